"""Reads the history of one condition on each device: when it was true, alerts, forecasts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import BigInteger, Connection, Date, Select, case, func, select

from cloud.monitoring.alerts import Happened, judge
from cloud.reports.report import (
    DeviceReport,
    ForecastCounts,
    ForecastDay,
    HeldTotals,
    TruthInterval,
)
from cloud.reports.signals import SignalReader
from cloud.warehouse.model_tables import CLOUD_PREDICTIONS, MONITORING, OUTCOMES, TRUTH
from cloud.warehouse.plausible_rows import plausibly_dated
from cloud.warehouse.tables import FACTS
from contract.records import AlertBasis, AlertState, Kind, Origin, PredictionMode
from models.conditions import Condition, signals_of

__all__ = ["DRAWN_DEVICES", "device_reports", "held"]

DRAWN_DEVICES = 8  # of one condition: nobody reads a page with hundreds of charts
_HOUR_MS = 3_600_000
# Without the type, SQLAlchemy would read the sum of a boolean column as a boolean.
_ONSETS = func.sum(OUTCOMES.c.onset, type_=BigInteger()).label("onsets")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Alerts:
    observed: int
    raised: tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Forecasts:
    """The forecasts of one condition on one device; instants in ms since 1970 UTC.

    Attributes:
        counts: Numbers of forecasts, one entry for each origin.
        first_at: Time of the gateway's first forecast; None if there is none.
        known_until: Outcomes are known up to this time; None if there are none.
    """

    counts: tuple[ForecastCounts, ...]
    first_at: int | None
    known_until: int | None


_NO_ALERTS = _Alerts(observed=0, raised=())
_NO_FORECASTS = _Forecasts(counts=(), first_at=None, known_until=None)


def device_reports(
    connection: Connection, condition: Condition, signals: SignalReader
) -> tuple[DeviceReport, ...]:
    """Return a report for each device that measures the condition or has rows about it."""
    judged_until = _judged_until(connection, condition.id)
    truth = _truth(connection, condition.id)
    alerts = _alerts(connection, condition.id)
    forecasts = _forecasts(connection, condition.id)
    measured = _measured(connection, condition)
    found: list[DeviceReport] = []
    for device_id in sorted(measured.keys() | truth.keys() | alerts.keys() | forecasts.keys()):
        intervals, told = truth.get(device_id, ()), forecasts.get(device_id, _NO_FORECASTS)
        drawn = len(found) < DRAWN_DEVICES
        history = _history(intervals, alerts.get(device_id, _NO_ALERTS), told)
        report = DeviceReport(
            device_id=device_id,
            held=held(intervals, _earlier(judged_until, measured.get(device_id))),
            alerts=judge(history, condition.horizon_s),
            forecasts=told.counts,
            truth=intervals,
            signal=signals.points(device_id, condition) if drawn else (),
            days=_days(connection, device_id, condition.id) if drawn else (),
        )
        found.append(report)
    return tuple(found)


def held(intervals: Sequence[TruthInterval], known_until: int | None) -> HeldTotals:
    """Return how often and how long the condition was true.

    Args:
        intervals: Times in which the condition was true.
        known_until: Where an open interval ends in the hours: the newest instant of which truth
            is known, ms since 1970 UTC; None to count an open interval with no length.
    """
    lengths = [_end(i, known_until) - i.began_at for i in intervals]
    is_open = [i.began_at for i in intervals if i.ended_at is None]
    return HeldTotals(
        times=len(intervals),
        hours=sum(lengths) / _HOUR_MS,
        longest_h=max(lengths) / _HOUR_MS if lengths else None,
        since=is_open[-1] if is_open else None,
    )


def _end(interval: TruthInterval, known_until: int | None) -> int:
    if interval.ended_at is not None:
        return interval.ended_at
    return max(interval.began_at, known_until or 0)


def _earlier(one: int | None, other: int | None) -> int | None:
    return min((at for at in (one, other) if at is not None), default=None)


def _history(intervals: Sequence[TruthInterval], alerts: _Alerts, told: _Forecasts) -> Happened:
    known = [at for i in intervals for at in (i.began_at, i.ended_at) if at is not None]
    if told.known_until is not None:
        known.append(told.known_until)
    return Happened(
        observed=alerts.observed,
        raised=alerts.raised,
        began=[i.began_at for i in intervals],
        first_forecast_at=told.first_at,
        known_until=max(known, default=None),
    )


def _measured(connection: Connection, condition: Condition) -> Mapping[str, int | None]:
    """Return the time of the newest reading of the condition's signal, by device."""
    at = FACTS[Kind.READING].c
    signal = signals_of(condition)[0]
    newest = func.max(case((plausibly_dated(at), at.observed_at)), type_=at.observed_at.type)
    query = (
        select(at.device_id, newest)
        .where(at.sensor_id == signal.sensor_id, at.quantity == signal.quantity.value)
        .group_by(at.device_id)
    )
    return {str(device_id): last_at for device_id, last_at in connection.execute(query)}


def _judged_until(connection: Connection, condition_id: str) -> int | None:
    """Return the instant of the newest cycle, which computed the truth; None if none is known."""
    at = MONITORING.c
    newest = select(func.max(at.cycle_at, type_=at.cycle_at.type))
    found: int | None = connection.scalar(newest.where(at.condition_id == condition_id))
    return found


def _truth(connection: Connection, condition_id: str) -> Mapping[str, tuple[TruthInterval, ...]]:
    at = TRUTH.c
    query = (
        select(at.device_id, at.began_at, at.ended_at)
        .where(at.condition_id == condition_id)
        .order_by(at.device_id, at.began_at)
    )
    found: defaultdict[str, list[TruthInterval]] = defaultdict(list)
    for device_id, began_at, ended_at in connection.execute(query):
        found[device_id].append(TruthInterval(began_at=began_at, ended_at=ended_at))
    return _tuples(found)


def _tuples(found: Mapping[str, list[_V]]) -> Mapping[str, tuple[_V, ...]]:
    return {key: tuple(values) for key, values in found.items()}


def _alerts(connection: Connection, condition_id: str) -> Mapping[str, _Alerts]:
    at = FACTS[Kind.ALERT].c
    query = select(at.device_id, at.basis, at.observed_at).where(
        at.condition_id == condition_id, at.state == AlertState.RAISED.value
    )
    found: defaultdict[str, list[tuple[str, int | None]]] = defaultdict(list)
    for device_id, basis, observed_at in connection.execute(query):
        found[device_id].append((basis, observed_at))
    return {
        device_id: _Alerts(
            observed=sum(basis == AlertBasis.OBSERVED.value for basis, _ in alerts),
            raised=tuple(at for basis, at in alerts if basis == AlertBasis.FORECAST.value),
        )
        for device_id, alerts in found.items()
    }


def _forecasts(connection: Connection, condition_id: str) -> Mapping[str, _Forecasts]:
    edge = {r.device_id: r for r in connection.execute(_issued_by_edge(condition_id))}
    cloud = {r.device_id: r for r in connection.execute(_issued_by_cloud(condition_id))}
    judged = {(r.device_id, r.origin): r for r in connection.execute(_judged_of(condition_id))}
    devices = edge.keys() | cloud.keys() | {device_id for device_id, _ in judged}
    return {
        device_id: _Forecasts(
            counts=tuple(
                _counts(origin, rows.get(device_id), judged.get((device_id, origin.value)))
                for origin, rows in ((Origin.EDGE, edge), (Origin.CLOUD, cloud))
            ),
            first_at=edge[device_id].first_at if device_id in edge else None,
            known_until=_known_until([r for (d, _), r in judged.items() if d == device_id]),
        )
        for device_id in devices
    }


def _known_until(judged: Sequence[Any]) -> int | None:
    return max((r.last_at + int(r.horizon_s) * 1000 for r in judged), default=None)


def _counts(origin: Origin, issued: Any, judged: Any) -> ForecastCounts:
    late = int(issued.late) if issued is not None else 0
    return ForecastCounts(
        origin=origin.value,
        issued=int(issued.total) if issued is not None else 0,
        late=late if origin is Origin.CLOUD else None,
        judged=int(judged.total) if judged is not None else 0,
        mean_probability=float(judged.mean) if judged is not None else None,
        onset_share=int(judged.onsets) / int(judged.total) if judged is not None else None,
    )


def _issued_by_edge(condition_id: str) -> Select[Any]:
    at = FACTS[Kind.PREDICTION].c
    total, none = func.count().label("total"), func.count(None).label("late")
    first_at = func.min(at.observed_at, type_=at.observed_at.type).label("first_at")
    return (
        select(at.device_id, total, none, first_at)
        .where(
            at.condition_id == condition_id,
            at.origin == Origin.EDGE.value,
            at.mode == PredictionMode.ACTIVE.value,  # forecasts in other modes raise no alerts
        )
        .group_by(at.device_id)
    )


def _issued_by_cloud(condition_id: str) -> Select[Any]:
    at = CLOUD_PREDICTIONS.c
    total, late = func.count().label("total"), func.sum(at.late, type_=BigInteger()).label("late")
    return (
        select(at.device_id, total, late)
        .where(at.condition_id == condition_id)
        .group_by(at.device_id)
    )


def _judged_of(condition_id: str) -> Select[Any]:
    # MySQL's AVG of whole numbers has only four decimal places, so Python divides the shares.
    at = OUTCOMES.c
    return (
        select(
            at.device_id,
            at.origin,
            func.count().label("total"),
            func.avg(at.probability).label("mean"),
            _ONSETS,
            func.max(at.issued_at, type_=at.issued_at.type).label("last_at"),
            func.max(at.horizon_s).label("horizon_s"),
        )
        .where(at.condition_id == condition_id)
        .group_by(at.device_id, at.origin)
    )


def _days(connection: Connection, device_id: str, condition_id: str) -> tuple[ForecastDay, ...]:
    at = OUTCOMES.c
    day = func.date(at.issued_at, type_=Date()).label("day")
    total, onsets = (
        func.count().label("total"),
        _ONSETS,
    )
    query = (
        select(day, at.origin, func.avg(at.probability).label("mean"), total, onsets)
        .where(at.device_id == device_id, at.condition_id == condition_id)
        .group_by(day, at.origin)
        .order_by(day, at.origin)
    )
    return tuple(
        ForecastDay(
            day=row.day,
            origin=row.origin,
            mean_probability=float(row.mean),
            onset_share=int(row.onsets) / int(row.total),
        )
        for row in connection.execute(query)
    )
