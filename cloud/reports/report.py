"""Defines the values of a report: `queries` makes them, `page` and `charts` show them.

Instants are ms since 1970 UTC. A figure is None if nothing was counted for it. An onset is the
event that a model forecasts: the condition is false and becomes true within its horizon.
"""

from dataclasses import dataclass
from datetime import date

from cloud.expectation import Expectation
from cloud.ledger.report import Totals
from cloud.monitoring.alerts import AlertCounts
from cloud.registry import DecisionRow
from models.conditions import Condition

__all__ = [
    "Bin",
    "Candidate",
    "Completeness",
    "ConditionReport",
    "DeviceReport",
    "ForecastCounts",
    "ForecastDay",
    "HeldTotals",
    "Installed",
    "Monitored",
    "Point",
    "ReadingCounts",
    "Refusal",
    "Report",
    "TruthInterval",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingCounts:
    """Number of one device's stored readings, and their first and last day.

    Attributes:
        device_id: The device.
        total: Number of readings.
        first_day: The first UTC day; None if no reading has a date.
        last_day: The last UTC day; None if no reading has a date.
    """

    device_id: str
    total: int
    first_day: date | None
    last_day: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthInterval:
    """A time in which the condition was true; `ended_at` is None while it still is."""

    began_at: int
    ended_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTotals:
    """How often and how long a condition was true.

    Attributes:
        times: Number of intervals; the last one may be open.
        hours: Total length of the intervals, h; an open one lasts to the newest known instant.
        longest_h: Length of the longest interval, h; None if there is none.
        since: Begin of the open interval; None if there is none.
    """

    times: int
    hours: float
    longest_h: float | None
    since: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastCounts:
    """Numbers of forecasts of one origin for one device.

    Attributes:
        origin: `edge` or `cloud`.
        issued: All forecasts.
        late: The cloud's forecasts for readings that arrived late; None for the gateway's.
        judged: Forecasts with a known outcome.
        mean_probability: Mean probability of the judged forecasts.
        onset_share: Share of the judged forecasts that an onset followed.
    """

    origin: str
    issued: int
    late: int | None
    judged: int
    mean_probability: float | None
    onset_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastDay:
    """Mean probability and share of onsets of the judged forecasts of one UTC day and origin."""

    day: date
    origin: str
    mean_probability: float
    onset_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The signal in one day, or in one step in short reports: begin, and values in its unit."""

    at: int
    lowest: float
    mean: float
    highest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReport:
    """One condition on one device; `signal` and `days` are empty where no chart is drawn."""

    device_id: str
    held: HeldTotals
    alerts: AlertCounts
    forecasts: tuple[ForecastCounts, ...]
    truth: tuple[TruthInterval, ...]
    signal: tuple[Point, ...]
    days: tuple[ForecastDay, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The newest cycle's outcomes of all forecasts in one bin; an empty origin means both."""

    origin: str
    bin: int
    outcomes_total: int
    mean_probability: float
    onset_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitored:
    """Skill in service at the newest cycle; an empty device or origin means all of them."""

    cycle_at: int
    device_id: str
    origin: str
    outcomes_total: int
    onsets_total: int
    event_weeks: int
    brier: float | None
    brier_baseline: float | None
    skill: float | None
    skill_low: float | None
    skill_high: float | None
    drift_psi: float | None
    retrain: bool
    reason: str | None
    suspect_limits: float | None
    suspect: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The score of one family in the selection of one cycle."""

    cycle_at: int
    family: str
    brier: float | None
    brier_baseline: float | None
    skill: float | None
    windows_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionReport:
    """One condition: its declaration, devices, skill, decisions and candidates.

    `expectation` is that of the model in force; None if no window has judged it.
    """

    declared: Condition
    devices: tuple[DeviceReport, ...]
    reliability: tuple[Bin, ...]
    monitored: tuple[Monitored, ...]
    decisions: tuple[DecisionRow, ...]
    candidates: tuple[Candidate, ...]
    expectation: Expectation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """The model that a device should run for a condition, and the model that it reports.

    Attributes:
        device_id: The device.
        condition_id: The condition; None for a reported model that the registry does not know.
        desired: `model version` in the device's desired state; None if it names no model.
        active: `model version` of the latest report; None before the first.
        since: Time of that report; None before the first.
    """

    device_id: str
    condition_id: str | None
    desired: str | None
    active: str | None
    since: int | None

    @property
    def equal(self) -> bool:
        """Whether the device runs the model that it should run."""
        return self.desired == self.active


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A bundle that a gateway refused for one reason: how often, and when last."""

    device_id: str
    model: str
    version: str
    total: int
    last_at: int | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """The ledger's account: per device, in total, by kind, and its notes."""

    devices: tuple[tuple[str, Totals], ...]
    totals: Totals
    by_kind: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]
    sound: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole report.

    Attributes:
        written_at: The instant at which ages are computed.
        server: The database server of the figures, with its version.
        readings: Numbers of readings, one entry for each device.
        conditions: The declared conditions, in the order of their declaration.
        undeclared: Ids of conditions that have rows but no declaration; the report omits them.
        installed: Desired and reported models, one entry for each device and condition.
        refusals: Bundles that gateways refused.
        completeness: The ledger's account.
    """

    written_at: int
    server: str
    readings: tuple[ReadingCounts, ...]
    conditions: tuple[ConditionReport, ...]
    undeclared: tuple[str, ...]
    installed: tuple[Installed, ...]
    refusals: tuple[Refusal, ...]
    completeness: Completeness

    @property
    def first_day(self) -> date | None:
        """The first UTC day with a reading."""
        return min((r.first_day for r in self.readings if r.first_day), default=None)

    @property
    def last_day(self) -> date | None:
        """The last UTC day with a reading."""
        return max((r.last_day for r in self.readings if r.last_day), default=None)
