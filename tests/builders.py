"""What tests of several rooms are made of: blocks, blocks as they land, a record of each kind."""

from collections.abc import Sequence

from cloud.ingest.blocks import landed_block
from cloud.lake.positions import LandedBlock
from contract.blocks import Block, Mark, SensorColumns, Series, TimedEvent
from contract.quantities import Quantity
from contract.records import (
    Alert,
    AlertBasis,
    AlertState,
    ClockFix,
    Event,
    Held,
    Loss,
    LossReason,
    ModelReport,
    Phase,
    Prediction,
    Receipt,
    Span,
    Status,
)
from contract.topics import Lane, up_topic
from contract.wire import encode

STREAM = "a" * 13
JULY = 1_372_895_999_000  # 2013-07-03T23:59:59Z: a second later it is another day
EVERY_EVENT: tuple[Event, ...] = (
    Prediction(condition_id="damp", model="m", version="1", horizon_s=3600, probability=0.25),
    Alert(
        alert_id="0123456789abcdef",
        condition_id="damp",
        state=AlertState.RAISED,
        basis=AlertBasis.OBSERVED,
        value=2.5,
        receipts=(Receipt(output_id="lamp", delivered=True),),
    ),
    Status(phase=Phase.START, version="0.1.0", samples_total=2**53 - 1),
    ModelReport(model="m", version="1", outcome="active", reason="ä" * 200),
    Loss(reason=LossReason.BUDGET, lost=Span(stream_id=STREAM, first=1, last=9)),
    ClockFix(utc_at=JULY, uncertainty_ms=20),
    # More JSON than the 32,766 bytes that Elasticsearch indexes of one keyword.
    Held(spans=tuple(Span(stream_id=STREAM, first=n, last=n) for n in range(1, 900))),
)


def temperatures(
    values: Sequence[int | None], offsets_ms: Sequence[int], sensor_id: str = "attic"
) -> SensorColumns:
    """Hundredths of a degree, one at each offset."""
    return SensorColumns(
        sensor_id=sensor_id,
        series=(Series(Quantity.TEMPERATURE, 2),),
        offsets_ms=tuple(offsets_ms),
        columns=(tuple(values),),
    )


def air(
    rows: int, humidity: Sequence[int | None] | None = None, marks: tuple[Mark, ...] = ()
) -> SensorColumns:
    """Temperature and humidity of sensor `attic`, each second once."""
    return SensorColumns(
        sensor_id="attic",
        series=(Series(Quantity.TEMPERATURE, 2), Series(Quantity.HUMIDITY, 1)),
        offsets_ms=tuple(1000 * n for n in range(1, rows + 1)),
        columns=((2508,) * rows, (451,) * rows if humidity is None else tuple(humidity)),
        marks=marks,
    )


def timed(events: Sequence[Event], every_ms: int = 2000) -> tuple[TimedEvent, ...]:
    """Events at equal distances, the first one after one of them."""
    return tuple(TimedEvent(every_ms * n, event) for n, event in enumerate(events, start=1))


def landed(
    made: Block | bytes,
    device_id: str = "gw-1",
    *,
    received_at: int = JULY + 1,
    lane: Lane = Lane.LIVE,
) -> LandedBlock:
    """A block, or any bytes, as ingest lands it."""
    payload = made if isinstance(made, bytes) else encode(made)
    return landed_block(up_topic(device_id, lane), device_id, payload, received_at)
