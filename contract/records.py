"""Defines the records that gateways send, one frozen dataclass for each kind.

A record describes an event or a value; its time and its number are in the block that contains it
(`contract.wire`). The fields are the columns of every store: the index templates, the Spark schema
and the warehouse's tables are derived from these classes. The module is long because schema and
docs take the description of each field from here.
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
    """Names the kinds of record; each has its own index and table."""

    READING = "reading"
    PREDICTION = "prediction"
    ALERT = "alert"
    STATUS = "status"
    MODEL_REPORT = "model_report"
    LOSS = "loss"
    CLOCK_FIX = "clock_fix"
    HELD = "held"


class Statistic(StrEnum):
    """Says which statistic of its span a thinned reading is."""

    MIN = "min"
    MEAN = "mean"
    MAX = "max"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Names consecutive record numbers of one stream, including both ends.

    Attributes:
        stream_id: The stream.
        first: The first number.
        last: The last number, not less than `first`.
    """

    stream_id: StreamId
    first: Seq
    last: Seq

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ContractError(
                "bad_field", f"span: last {self.last} is less than first {self.first}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Holds one value of one quantity from one sensor at one instant.

    Attributes:
        sensor_id: The role of the sensor on its device, such as `attic`.
        quantity: The measured quantity; it defines the unit.
        value: Raw value in that unit, rounded to the series' decimals; None if there is no value.
        quality: How far the value can be trusted.
        flags: Why the value is not `good`, or which problem was solved while reading it.
        calibration: Version of the calibration that applies; None for the chip's own.
        statistic: For a thinned row, the statistic of its span; None for a sample.
        span_s: For a thinned row, the length of its span, seconds.
        count: For a thinned row, the number of samples it was made of.
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
    """Says which side computed a prediction."""

    EDGE = "edge"
    CLOUD = "cloud"


class PredictionMode(StrEnum):
    """Says whether a prediction may raise an alert."""

    ACTIVE = "active"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Forecasts, at the record's time, how probably a condition becomes true within its horizon.

    Attributes:
        condition_id: The condition.
        model: Name of the bundle.
        version: Version of the bundle.
        horizon_s: Horizon of the forecast, seconds.
        probability: Probability that the condition becomes true within the horizon, 0 to 1.
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
    """Names the states of an alert; both records of an alert have the same id."""

    RAISED = "raised"
    CLEARED = "cleared"


class AlertBasis(StrEnum):
    """Says why an alert was raised: an observation, a forecast or missing data."""

    OBSERVED = "observed"
    FORECAST = "forecast"
    NO_DATA = "no_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Says whether one output accepted the alert.

    Attributes:
        output_id: The output.
        delivered: Whether the output accepted the alert.
    """

    output_id: Id
    delivered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Reports that an alert was raised or cleared: its condition became true or false.

    Attributes:
        alert_id: The same for raised and cleared; see `contract.keys.alert_id`.
        condition_id: The condition.
        state: Raised or cleared.
        basis: Observed, forecast or missing data.
        value: The signal's value at that time, in its quantity's unit; None if there is no value.
        probability: For a forecast, the probability that passed `warn_at`.
        receipts: Results of the outputs that were notified before the record was committed.
    """

    alert_id: AlertId
    condition_id: Id
    state: AlertState
    basis: AlertBasis
    value: float | None = None
    probability: Probability | None = None
    receipts: tuple[Receipt, ...] = ()


class Phase(StrEnum):
    """Names the phases of a stream."""

    START = "start"
    RUNNING = "running"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Reports a gateway's health. A stream begins with a Status of phase `start`.

    Attributes:
        phase: Start, running or stop.
        previous_stream_id: The stream before this one in the same outbox; None for the first.
        previous_last: Last number committed in that stream; 0 if none was.
        version: The gateway program's version.
        samples_total: Readings sampled in this stream so far.
        sample_failures_total: Those of them that have no value.
        committed_total: Records of this stream committed before the block of this record.
        queued_blocks: Blocks in the outbox.
        queued_bytes: Payload bytes of these blocks.
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
    """Reports what a gateway did with a model bundle.

    Attributes:
        model: Name of the bundle.
        version: Version of the bundle.
        outcome: Short stable name of the result, such as `active` or `refused`.
        reason: The reason as a message.
    """

    model: Id
    version: Id
    outcome: Id
    reason: ShortText | None = None


class LossReason(StrEnum):
    """Says why records will never arrive."""

    UNCLEAN_STOP = (
        "unclean_stop"  # sampled but not committed when the process died: a span without numbers
    )
    BUDGET = "budget"  # the outbox was full: deleted numbers, or a span of dropped readings
    CORRUPT = "corrupt"  # the outbox returned unreadable blocks: their numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Reports lost records: numbers of a stream, or a span of time without numbers.

    Attributes:
        reason: The reason.
        lost: The numbers, if they are known.
        from_at: Begin of the span, ms since 1970 UTC, if no numbers exist.
        to_at: End of the span, ms since 1970 UTC.
        estimated_total: Number of readings that the span should have contained.
    """

    reason: LossReason
    lost: Span | None = None
    from_at: UtcMs | None = None
    to_at: UtcMs | None = None
    estimated_total: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockFix:
    """Reports that the clock is now trusted, and the UTC instant of the record's own offset.

    Attributes:
        utc_at: The instant, ms since 1970 UTC.
        uncertainty_ms: Largest possible error of the instant, ms.
    """

    utc_at: UtcMs
    uncertainty_ms: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Reports the records that the gateway still holds: not lost, not yet acked by the cloud.

    Attributes:
        spans: Committed numbers in the outbox when this record was made, oldest first.
        truncated: True if the outbox contains more spans than the record may name.
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
