"""Writes outcomes: a forecast of gateway or cloud with its truth and the baseline's probability.

Outcomes are computed from the forecasts, the history and the baselines. If late readings have
changed the history, outcomes are changed or deleted. Outcomes outside of the history stay.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, select

from cloud.monitoring.row_differences import Cells, Rows, every_row, make_exact, read_rows
from cloud.training.history import History
from cloud.warehouse.engine import converted
from cloud.warehouse.model_tables import CLOUD_PREDICTIONS, OUTCOMES
from cloud.warehouse.tables import FACTS
from contract.records import Kind, Origin, PredictionMode
from models.conditions import Condition

__all__ = ["Baseline", "join_outcomes"]

Floats = NDArray[np.float64]

Baseline: TypeAlias = tuple[int, Callable[[Floats], Floats]]
"""Time from which the baseline is in force (ms since 1970 UTC), and its function from rows of
features to probabilities."""

_DECIMALS = 6  # as in forecasts; the last bits of a matrix product depend on its number of rows


def join_outcomes(
    engine: Engine, condition: Condition, history: History, baselines: Sequence[Baseline]
) -> int:
    """Update the outcomes of a condition from its history, in one transaction for each device.

    A step is a piece of time in which the condition is evaluated once. A forecast belongs to the
    step that the reading at the forecast's instant completed. It is judged if the condition is
    false after this step and the step's label is known; unfit readings make it unknown. Forecasts
    for another horizon than the declared one are not judged. If several forecasts of one model have
    the same instant, the first by stream and number counts.

    Args:
        engine: The warehouse.
        condition: The condition's present declaration.
        history: All steps of the condition; outcomes of devices that are not in it stay unchanged.
        baselines: The baselines; each is in force until the next one. Forecasts before the first
            one have no baseline.

    Returns:
        Number of outcomes written or deleted; 0 if nothing differed.

    Raises:
        SchemaOutdated: A table is missing.
        WarehouseError: The present device is unchanged; the devices before it are complete.
    """
    total = 0
    for device_id, own in history.by_device():
        # Readings that prove to be unfit take their outcomes back.
        decided = own.at_ms[~np.isnan(own.labels) | own.masked]
        if not len(decided):
            continue
        span = int(own.at_ms.min()), int(decided.max())
        steps = own.rows(own.full & ~own.holds & ~np.isnan(own.labels))
        told = dict(zip(steps.at_ms.tolist(), _told(steps, baselines), strict=True))
        with converted(), engine.begin() as connection:
            wanted = _wanted(_issued(connection, condition, device_id, span), told)
            kept = _kept(connection, condition.id, device_id, span)
            total += make_exact(connection, OUTCOMES, kept, wanted)
    return total


def _told(steps: History, baselines: Sequence[Baseline]) -> Iterator[tuple[float | None, bool]]:
    """Yield the probability of the baseline in force and the truth of each step."""
    ordered = sorted(baselines, key=lambda baseline: baseline[0])
    starts = np.array([from_at for from_at, _ in ordered], np.int64)
    in_force = np.searchsorted(starts, steps.at_ms, side="right") - 1
    found = np.full(len(steps), np.nan)
    for index, (_, probability) in enumerate(ordered):
        rows = np.flatnonzero((in_force == index) & steps.usable)
        if len(rows):
            found[rows] = np.round(probability(steps.features[rows]).ravel(), _DECIMALS)
    for value, label in zip(found.tolist(), steps.labels.tolist(), strict=True):
        yield None if np.isnan(value) else value, bool(label)


def _wanted(
    issued: Iterator[tuple[Cells, int, float]], told: dict[int, tuple[float | None, bool]]
) -> Rows:
    wanted: dict[Cells, Cells] = {}
    for key, horizon_s, probability in issued:
        step = told.get(key[3])
        if step is not None:
            wanted.setdefault(key, (horizon_s, probability, *step))
    return wanted


def _issued(
    connection: Connection, condition: Condition, device_id: str, span: tuple[int, int]
) -> Iterator[tuple[Cells, int, float]]:
    """Yield the outcome's key, the horizon in seconds and the probability of each forecast."""
    edge, cloud = FACTS[Kind.PREDICTION].c, CLOUD_PREDICTIONS.c
    active = edge.mode == PredictionMode.ACTIVE.value, edge.origin == Origin.EDGE.value
    forecasts = (
        (Origin.EDGE, edge, edge.observed_at, active),
        (Origin.CLOUD, cloud, cloud.issued_at, ()),
    )
    for origin, at, issued_at, further in forecasts:
        query = (
            select(issued_at, at.model, at.version, at.horizon_s, at.probability)
            .where(at.condition_id == condition.id, at.device_id == device_id, *further)
            .where(issued_at.between(*span), at.horizon_s == condition.horizon_s)
            .order_by(at.stream_id, at.seq)
        )
        begin = device_id, condition.id, origin.value
        for instant, model, version, horizon_s, probability in connection.execute(query):
            yield (*begin, instant, model, version), horizon_s, probability


def _kept(connection: Connection, condition_id: str, device_id: str, span: tuple[int, int]) -> Rows:
    at = OUTCOMES.c
    query = every_row(OUTCOMES).where(
        at.device_id == device_id, at.condition_id == condition_id, at.issued_at.between(*span)
    )
    return read_rows(connection, OUTCOMES, query)
