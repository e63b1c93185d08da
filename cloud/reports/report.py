"""What a report says, as values: `queries` makes them, `page` and `charts` lay them out.

Instants are ms since 1970 UTC. A figure that does not exist, because nothing was counted, is None.
"""

from dataclasses import dataclass
from datetime import date

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
    """How many readings of one device are stored, and from which days.

    Attributes:
        device_id: The device.
        total: Their number.
        first_day: The first UTC day; None if no clock was believable.
        last_day: The last one.
    """

    device_id: str
    total: int
    first_day: date | None
    last_day: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthInterval:
    """A time in which the condition held; `ended_at` is None while it does."""

    began_at: int
    ended_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTotals:
    """How often and how long a condition held.

    Attributes:
        times: Intervals, the last one may be open.
        hours: Length of those that have ended, h.
        longest_h: Of the longest of these, h.
        since: Begin of the interval that is still open.
    """

    times: int
    hours: float
    longest_h: float | None
    since: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastCounts:
    """Forecasts of one origin for one device.

    Attributes:
        origin: `edge` or `cloud`.
        issued: All.
        late: Of the cloud's, those for readings that came late; None for the gateway's.
        judged: Those whose truth is known.
        mean_probability: Of the judged ones.
        onset_share: Share of the judged ones that the condition followed.
    """

    origin: str
    issued: int
    late: int | None
    judged: int
    mean_probability: float | None
    onset_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastDay:
    """The judged forecasts of one UTC day and origin: mean probability and share of onsets."""

    day: date
    origin: str
    mean_probability: float
    onset_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The signal in one day (or step, in short reports): begin, and its values in its unit."""

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
    """Outcomes whose forecast fell into one bin of probability, of the newest cycle."""

    origin: str
    bin: int
    outcomes_total: int
    mean_probability: float
    onset_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitored:
    """Skill of the forecasts that were made, at the newest cycle; empty ids mean all."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """How one family scored in the selection of one cycle."""

    cycle_at: int
    family: str
    brier: float | None
    brier_baseline: float | None
    skill: float | None
    windows_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionReport:
    """One condition: what it is, what it did, what was forecast of it and decided."""

    declared: Condition
    devices: tuple[DeviceReport, ...]
    reliability: tuple[Bin, ...]
    monitored: tuple[Monitored, ...]
    decisions: tuple[DecisionRow, ...]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What a device should run for a condition, and what it says that it runs.

    Attributes:
        device_id: The device.
        condition_id: The condition; None for a reported model that the registry does not know.
        desired: `model version` that the fleet's desired state names; None for none.
        active: `model version` of the latest report; None before the first.
        since: When that report was made.
    """

    device_id: str
    condition_id: str | None
    desired: str | None
    active: str | None
    since: int | None

    @property
    def equal(self) -> bool:
        """Whether the device runs what it should."""
        return self.desired == self.active


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A bundle that a gateway refused: which, how often, when last and why then."""

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
        written_at: The instant that ages are counted to.
        server: The database server that the figures come from, with its version.
        readings: Per device.
        conditions: In the order of their declaration.
        undeclared: Conditions that tables speak of and nobody declares; left out.
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
