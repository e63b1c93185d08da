"""The records: what can happen on a gateway, one frozen dataclass a kind.

A record says what happened; when it happened and which number it has stand in the block that
carries it (`contract.wire`). Their fields are the columns of every store: the index templates, the
Spark schema and the warehouse's tables are derived from these classes. The module is long because
each field is explained where it is declared: schema and docs take their words from here.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, TypeAlias

from contract.errors import ContractError
from contract.quantities import Flag, Quality, Quantity
from contract.typed import Between, Id, Pattern, Seq, StreamId, UtcMs

__all__ = [
    "EVENT_TYPES",
    "RECORD_TYPES",
    "Alert",
    "AlertBasis",
    "AlertState",
    "ClockFix",
    "Event",
    "Held",
    "Kind",
    "Loss",
    "LossReason",
    "ModelReport",
    "Origin",
    "Phase",
    "Prediction",
    "PredictionMode",
    "Reading",
    "Receipt",
    "Record",
    "Span",
    "Statistic",
    "Status",
]

Probability = Annotated[float, Between(0.0, 1.0)]
Count = Annotated[int, Between(0, 2**53 - 1)]
ShortText = Annotated[
    str, Pattern(r"[^\x00-\x1f\ud800-\udfff]{1,200}", "1 to 200 characters on one line")
]
AlertId = Annotated[str, Pattern(r"[0-9a-f]{16}", "16 hexadecimal digits")]


class Kind(StrEnum):
    """The kinds of record; each has its index and its table."""

    READING = "reading"
    PREDICTION = "prediction"
    ALERT = "alert"
    STATUS = "status"
    MODEL_REPORT = "model_report"
    LOSS = "loss"
    CLOCK_FIX = "clock_fix"
    HELD = "held"


class Statistic(StrEnum):
    """What a thinned reading's value is of its span."""

    MIN = "min"
    MEAN = "mean"
    MAX = "max"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Numbers of one stream, both ends included.

    Attributes:
        stream_id: The stream.
        first: The first number.
        last: The last number, not below `first`.
    """

    stream_id: StreamId
    first: Seq
    last: Seq

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ContractError("bad_field", f"span: last {self.last} is before {self.first}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value of one quantity from one sensor at one instant.

    Attributes:
        sensor_id: The role of the sensor on its device, such as `attic`.
        quantity: What was measured; it fixes the unit.
        value: Raw value in that unit, rounded to the series' decimals; None where there is none.
        quality: How far to trust it.
        flags: Why it is not simply good, or what happened on the way.
        calibration: Version of the calibration that applies, None for the chip's own.
        statistic: For a thinned row, what the value is of its span; None for a sample.
        span_s: For a thinned row, seconds that it stands for.
        count: For a thinned row, how many samples it was made of.
    """

    sensor_id: Id
    quantity: Quantity
    value: float | None
    quality: Quality
    flags: tuple[Flag, ...] = ()
    calibration: Id | None = None
    statistic: Statistic | None = None
    span_s: Annotated[float, Between(0, 1e9)] | None = None
    count: Count | None = None


class Origin(StrEnum):
    """Who computed a prediction."""

    EDGE = "edge"
    CLOUD = "cloud"


class PredictionMode(StrEnum):
    """Whether a prediction may raise an alert."""

    ACTIVE = "active"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """How probable it is that a condition begins within its horizon; issued at the record's time.

    Attributes:
        condition_id: Which condition.
        model: Name of the bundle.
        version: Version of the bundle.
        horizon_s: How far ahead it looks, seconds.
        probability: Of onset within the horizon, 0 to 1.
        origin: Gateway or cloud.
        mode: Active or shadow.
    """

    condition_id: Id
    model: Id
    version: Id
    horizon_s: Annotated[int, Between(1, 10**8)]
    probability: Probability
    origin: Origin = Origin.EDGE
    mode: PredictionMode = PredictionMode.ACTIVE


class AlertState(StrEnum):
    """An alert is two records under one id."""

    RAISED = "raised"
    CLEARED = "cleared"


class AlertBasis(StrEnum):
    """What an alert rests on."""

    OBSERVED = "observed"
    FORECAST = "forecast"
    NO_DATA = "no_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Whether one output took the alert.

    Attributes:
        output_id: The output.
        delivered: Whether it took the alert.
    """

    output_id: Id
    delivered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A condition began or ended.

    Attributes:
        alert_id: The same for raised and cleared; see `contract.keys.alert_id`.
        condition_id: Which condition.
        state: Raised or cleared.
        basis: Observed, forecast or missing data.
        value: The signal's value at that moment, in its quantity's unit; None where there is none.
        probability: For a forecast, the probability that passed `warn_at`.
        receipts: Which outputs had taken it before it was committed.
    """

    alert_id: AlertId
    condition_id: Id
    state: AlertState
    basis: AlertBasis
    value: float | None = None
    probability: Probability | None = None
    receipts: tuple[Receipt, ...] = ()


class Phase(StrEnum):
    """Where in its run a stream is."""

    START = "start"
    RUNNING = "running"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Health of a gateway. A stream begins with one of phase `start` that names its predecessor.

    Attributes:
        phase: Start, running or stop.
        previous_stream_id: The stream before this one on this outbox, None for the first.
        previous_last: The last number committed in it (0 if none was).
        version: The gateway program's version.
        samples_total: Readings sampled in this stream so far.
        sample_failures_total: Of these, the ones without a value.
        committed_total: Records committed in this stream before this one's block.
        queued_blocks: Blocks in the outbox.
        queued_bytes: Their payload bytes.
    """

    phase: Phase
    version: ShortText
    previous_stream_id: StreamId | None = None
    previous_last: Count | None = None
    samples_total: Count = 0
    sample_failures_total: Count = 0
    committed_total: Count = 0
    queued_blocks: Count = 0
    queued_bytes: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """What happened to a model bundle on the gateway.

    Attributes:
        model: Name of the bundle.
        version: Version of the bundle.
        outcome: Short stable name of what happened, such as `active` or `refused`.
        reason: Why, for a person.
    """

    model: Id
    version: Id
    outcome: Id
    reason: ShortText | None = None


class LossReason(StrEnum):
    """Why something will never arrive."""

    UNCLEAN_STOP = (
        "unclean_stop"  # sampled, not committed when the process died: an unnumbered span
    )
    BUDGET = "budget"  # no room: deleted numbers, or a span of readings that found no room
    CORRUPT = "corrupt"  # unreadable in the outbox: numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What is lost and why: numbers of a stream, or a span of time without numbers.

    Attributes:
        reason: Why.
        lost: The numbers, where they are known.
        from_at: Begin of the span, ms since 1970 UTC, where no numbers exist.
        to_at: Its end.
        estimated_total: Readings that the span should have held.
    """

    reason: LossReason
    lost: Span | None = None
    from_at: UtcMs | None = None
    to_at: UtcMs | None = None
    estimated_total: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockFix:
    """The clock became believable: the record's own offset was at this instant of UTC.

    Attributes:
        utc_at: The instant, ms since 1970 UTC.
        uncertainty_ms: How far off it may be.
    """

    utc_at: UtcMs
    uncertainty_ms: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the gateway still holds: not lost, not yet acked by the cloud.

    Attributes:
        spans: Committed numbers in the outbox when this record was made, oldest first.
        truncated: True if there were more than the record may name.
    """

    spans: tuple[Span, ...] = ()
    truncated: bool = False


Event: TypeAlias = Prediction | Alert | Status | ModelReport | Loss | ClockFix | Held
Record: TypeAlias = Reading | Event

EVENT_TYPES: dict[type[Event], Kind] = {
    Prediction: Kind.PREDICTION,
    Alert: Kind.ALERT,
    Status: Kind.STATUS,
    ModelReport: Kind.MODEL_REPORT,
    Loss: Kind.LOSS,
    ClockFix: Kind.CLOCK_FIX,
    Held: Kind.HELD,
}
RECORD_TYPES: dict[Kind, type[Record]] = {
    Kind.READING: Reading,
    **{kind: cls for cls, kind in EVENT_TYPES.items()},
}
