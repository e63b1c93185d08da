"""Writes contract/examples, the truth that every decoder is held to.

    python tests/contract/make_examples.py           writes the files that differ
    python tests/contract/make_examples.py --check   writes nothing, exits with 1 on a difference

Temperatures, humidities and pressures are ones that a house, a freezer or a roof can have.
"""

import argparse
import base64
import dataclasses
import hashlib
import json
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contract import wire
from contract.blocks import Block, Mark, SensorColumns, Series, TimedEvent, entries, kinds_total
from contract.blocks import kind_of as kind_of_record
from contract.document import document_of
from contract.errors import ContractError
from contract.keys import alert_id, payload_digest, stream_id
from contract.limits import NEW
from contract.quantities import Flag, Quality, Quantity
from contract.records import (
    Alert,
    AlertBasis,
    AlertState,
    ClockFix,
    Held,
    Loss,
    LossReason,
    ModelReport,
    Phase,
    Prediction,
    PredictionMode,
    Receipt,
    Span,
    Statistic,
    Status,
)

FOLDER = Path(__file__).parents[2] / "contract" / "examples"
UTC = 1_768_460_400_000  # 2026-01-15T07:00:00Z
T, H, P = Quantity.TEMPERATURE, Quantity.HUMIDITY, Quantity.PRESSURE
CLIMATE = (Series(T, 2), Series(H, 1))


def _middle(quantity: Quantity) -> int:
    """Halfway between the bounds, as a scaled integer."""
    facts = quantity.facts
    return round((facts.low + facts.high) / 2 * 10**facts.decimals)


def stream(name: str) -> str:
    return stream_id(hashlib.sha256(name.encode()).digest()[:8])


STREAM, BEFORE = stream("this run"), stream("the run before")


def packed(document: object) -> bytes:
    """A payload with any document: JSON, or bytes as they are."""
    if not isinstance(document, bytes):
        document = json.dumps(document, separators=(",", ":")).encode()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=wire.dictionary(1))
    return b"\x01" + deflate.compress(document) + deflate.flush()


def of_sensors(*sensors: SensorColumns, first: int = 1, offset_ms: int = 5_000) -> Block:
    return Block(stream_id=STREAM, first=first, offset_ms=offset_ms, utc_at=UTC, sensors=sensors)


def of_events(*events: TimedEvent, first: int = 1, offset_ms: int = 5_000) -> Block:
    return Block(stream_id=STREAM, first=first, offset_ms=offset_ms, utc_at=UTC, events=events)


def attic(**changes: Any) -> SensorColumns:
    plain = SensorColumns(
        sensor_id="attic",
        series=CLIMATE,
        offsets_ms=(5_000, 6_000, 7_001),
        columns=((425, 427, 426), (813, 812, 812)),
    )
    return dataclasses.replace(plain, **changes)


# --- valid blocks ---------------------------------------------------------------------------------


def of_readings() -> Iterator[tuple[str, str, Block]]:
    yield (
        "reading_one",
        "The smallest block: one value.",
        of_sensors(
            attic(series=(Series(T, 2),), offsets_ms=(5_000,), columns=((425,),)),
        ),
    )
    yield (
        "readings_one_sensor",
        "Two series share three times: numbers run down a series, then to the next.",
        of_sensors(attic()),
    )
    cellar = SensorColumns(
        sensor_id="cellar-north",
        series=(*CLIMATE, Series(P, 0)),
        offsets_ms=(3_600_250, 3_601_250),
        columns=((1_187, 1_187), (684, 685), (100_842, 100_840)),
    )
    yield (
        "readings_several_sensors",
        "Each sensor has its own times; the second has other series and other rows.",
        of_sensors(
            attic(offsets_ms=(3_600_000, 3_601_000, 3_602_000)),
            cellar,
            first=101,
            offset_ms=3_600_000,
        ),
    )
    yield (
        "readings_every_quantity",
        "One series for each quantity, in its unit, halfway between its bounds.",
        of_sensors(
            attic(
                sensor_id="office",
                series=tuple(Series(quantity, quantity.facts.decimals) for quantity in Quantity),
                offsets_ms=(5_000,),
                columns=tuple((_middle(quantity),) for quantity in Quantity),
            )
        ),
    )
    yield (
        "readings_negative",
        "Below zero, and through zero.",
        of_sensors(
            attic(
                sensor_id="freezer",
                series=(Series(T, 2),),
                offsets_ms=(5_000, 65_000, 125_000, 185_000),
                columns=((-1_850, -5, 0, 5),),
            )
        ),
    )
    yield (
        "readings_decimals",
        "0 to 9 decimals; a value is the double nearest to the quotient.",
        of_sensors(
            attic(
                series=tuple(Series(T, d) for d in range(10)),
                offsets_ms=(5_000,),
                columns=tuple((round(21.345678912 * 10**d),) for d in range(10)),
            )
        ),
    )
    yield (
        "readings_same_instant",
        "Two rows of one instant are two readings: a time may repeat.",
        of_sensors(attic(offsets_ms=(5_000, 5_000, 6_000))),
    )
    yield (
        "readings_calibrated",
        "The version of a calibration stands once for the sensor.",
        of_sensors(attic(calibration="two-point-2026-01")),
    )
    yield ("readings_240", "One large block: 4 sensors, 2 series each, 30 rows.", large())
    yield (
        "readings_unsynced",
        "The clock was not believable: no record has a UTC time.",
        dataclasses.replace(of_sensors(attic()), utc_at=None),
    )
    yield (
        "reading_last_number",
        "The largest number there is: 2^53 - 1.",
        of_sensors(
            attic(series=(Series(T, 2),), offsets_ms=(5_000,), columns=((425,),)),
            first=2**53 - 1,
        ),
    )
    yield from of_marks()
    yield from of_thinned()


def large() -> Block:
    times = tuple(range(5_000, 35_000, 1_000))
    names = (
        ("attic", 425, 813),
        ("cellar-north", 1_187, 684),
        ("bath", 2_134, 912),
        ("fridge", 512, 447),
    )
    return of_sensors(
        *(
            SensorColumns(
                sensor_id=name,
                series=CLIMATE,
                offsets_ms=times,
                columns=(
                    tuple(temperature + row % 5 - row // 7 for row in range(30)),
                    tuple(humidity + row // 4 for row in range(30)),
                ),
            )
            for name, temperature, humidity in names
        )
    )


def of_marks() -> Iterator[tuple[str, str, Block]]:
    rows = 10
    marks = (
        Mark(0, 0, Quality.GOOD, (Flag.RETRIED,)),
        Mark(0, 1, Quality.BAD, (Flag.NO_ANSWER,)),
        Mark(0, 2, Quality.BAD, (Flag.CHECK_FAILED,)),
        Mark(0, 3, Quality.BAD, (Flag.SENSOR_FAULT,)),
        Mark(0, 4, Quality.UNCERTAIN, (Flag.JUMP,)),
        Mark(0, 5, Quality.UNCERTAIN, (Flag.STUCK, Flag.RETRIED)),
        Mark(0, 6, Quality.UNCERTAIN, (Flag.HEATER,)),
        Mark(0, 7, Quality.UNCERTAIN, (Flag.DISAGREES,)),
        Mark(1, 8, Quality.UNCERTAIN, (Flag.OUT_OF_RANGE,)),  # an SHT4x computes up to 119 %RH
        Mark(1, 1, Quality.BAD, (Flag.NO_ANSWER,)),
        Mark(1, 9, Quality.UNCERTAIN, ()),
    )
    yield (
        "readings_marked",
        "Every flag; null with its reason; a mark without flags; all else is good.",
        of_sensors(
            attic(
                offsets_ms=tuple(range(5_000, 5_000 + rows * 2_000, 2_000)),
                columns=(
                    (425, None, None, None, 431, 431, 560, 428, 427, 427),
                    (813, None, 812, 812, 812, 811, 702, 809, 1_004, 810),
                ),
                marks=marks,
            )
        ),
    )
    yield (
        "readings_all_null",
        "A sensor that did not answer once is still heard of.",
        of_sensors(
            attic(
                series=(Series(T, 2),),
                offsets_ms=(5_000, 6_000),
                columns=((None, None),),
                marks=tuple(Mark(0, row, Quality.BAD, (Flag.NO_ANSWER,)) for row in (0, 1)),
            )
        ),
    )


def of_thinned() -> Iterator[tuple[str, str, Block]]:
    values = {
        Statistic.MIN: (418, 409),
        Statistic.MEAN: (425, 414),
        Statistic.MAX: (431, 420),
    }
    yield (
        "readings_thinned",
        "Rows that stand for 60 s each: one entry of `sensors` per statistic.",
        of_sensors(
            *(
                attic(
                    series=(Series(T, 2),),
                    offsets_ms=(65_000, 125_000),
                    columns=(column,),
                    statistic=statistic,
                    span_s=60.0,
                    counts=(60, 58),
                )
                for statistic, column in values.items()
            ),
            first=9_001,
        ),
    )


DEW = alert_id("attic-dew", STREAM, 7_205_000)


def of_alerts() -> Iterator[tuple[str, str, Block]]:
    raised = Alert(
        alert_id=DEW,
        condition_id="attic-dew",
        state=AlertState.RAISED,
        basis=AlertBasis.OBSERVED,
        value=2.87,
        receipts=(
            Receipt(output_id="led", delivered=True),
            Receipt(output_id="buzzer", delivered=False),
        ),
    )
    yield (
        "alert_raised",
        "An alert is a block of its own.",
        of_events(TimedEvent(7_205_000, raised), first=14_411, offset_ms=7_205_000),
    )
    yield (
        "alert_cleared",
        "The same alert ends: the same id.",
        of_events(
            TimedEvent(
                9_005_000,
                dataclasses.replace(raised, state=AlertState.CLEARED, value=3.02, receipts=()),
            ),
            first=18_013,
            offset_ms=9_005_000,
        ),
    )
    yield (
        "alert_forecast",
        "A prediction passed the condition's warn_at.",
        of_events(
            TimedEvent(
                3_600_000,
                Alert(
                    alert_id=alert_id("attic-dew", STREAM, 3_600_000),
                    condition_id="attic-dew",
                    state=AlertState.RAISED,
                    basis=AlertBasis.FORECAST,
                    probability=0.71,
                ),
            ),
            first=7_201,
            offset_ms=3_600_000,
        ),
    )
    yield (
        "alert_no_data",
        "The signal is missing: there is no value to tell.",
        of_events(
            TimedEvent(
                900_000,
                Alert(
                    alert_id=alert_id("freezer-warm", STREAM, 900_000),
                    condition_id="freezer-warm",
                    state=AlertState.RAISED,
                    basis=AlertBasis.NO_DATA,
                ),
            ),
            first=901,
            offset_ms=900_000,
        ),
    )


def of_statuses() -> Iterator[tuple[str, str, Block]]:
    yield (
        "status_first_start",
        "The first record of the first stream of an outbox.",
        of_events(TimedEvent(0, Status(phase=Phase.START, version="0.1.0")), offset_ms=0),
    )
    start = Status(
        phase=Phase.START, version="0.1.0", previous_stream_id=BEFORE, previous_last=86_400
    )
    lost = Loss(
        reason=LossReason.UNCLEAN_STOP,
        from_at=UTC - 95_000,
        to_at=UTC - 65_000,
        estimated_total=60,
    )
    yield (
        "status_start_after_power_cut",
        "A stream names the one before it; what was sampled and not committed is a span of time.",
        of_events(TimedEvent(0, start), TimedEvent(0, lost), offset_ms=0),
    )
    yield (
        "status_running_and_stop",
        "Several events of one kind.",
        of_events(
            *(
                TimedEvent(
                    offset_ms,
                    Status(
                        phase=phase,
                        version="0.1.0",
                        samples_total=offset_ms // 500,
                        sample_failures_total=3,
                        committed_total=offset_ms // 500 - 8,
                        queued_blocks=blocks,
                        queued_bytes=blocks * 130,
                    ),
                )
                for offset_ms, phase, blocks in (
                    (900_000, Phase.RUNNING, 900),
                    (901_500, Phase.STOP, 1),
                )
            ),
            first=1_793,
            offset_ms=900_000,
        ),
    )


def of_accounts() -> Iterator[tuple[str, str, Block]]:
    gone = Span(stream_id=BEFORE, first=1, last=4_800)
    yield (
        "loss_numbered",
        "Numbers that will never come, and why.",
        of_events(
            TimedEvent(5_000, Loss(reason=LossReason.BUDGET, lost=gone)),
            TimedEvent(
                5_000,
                Loss(
                    reason=LossReason.CORRUPT,
                    lost=Span(stream_id=BEFORE, first=5_041, last=5_048),
                ),
            ),
        ),
    )
    yield (
        "held",
        "What still waits on the gateway, of two streams.",
        of_events(
            TimedEvent(
                900_000,
                Held(
                    spans=(
                        Span(stream_id=BEFORE, first=4_801, last=5_040),
                        Span(stream_id=BEFORE, first=5_049, last=86_400),
                        Span(stream_id=STREAM, first=1, last=1_792),
                    )
                ),
            ),
            first=1_793,
            offset_ms=900_000,
        ),
    )
    yield (
        "held_truncated",
        "More spans than it may name.",
        of_events(
            TimedEvent(
                900_000,
                Held(spans=(Span(stream_id=BEFORE, first=7, last=7),), truncated=True),
            ),
            first=1_793,
            offset_ms=900_000,
        ),
    )
    yield (
        "held_nothing",
        "Nothing waits: an event without any field.",
        of_events(TimedEvent(900_000, Held()), first=1_793, offset_ms=900_000),
    )


def of_others() -> Iterator[tuple[str, str, Block]]:
    fix = ClockFix(utc_at=UTC + 56_000, uncertainty_ms=250)
    synced = Block(
        stream_id=STREAM,
        first=121,
        offset_ms=61_000,
        utc_at=UTC + 56_000,
        events=(TimedEvent(61_000, fix),),
    )
    yield (
        "clock_fix",
        "The clock became believable: it dates the unsynced records of its stream.",
        synced,
    )
    yield (
        "clock_fix_unsynced",
        "A fix counts in an unsynced block too; it does not date its own entries here.",
        dataclasses.replace(synced, utc_at=None),
    )
    prediction = Prediction(
        condition_id="attic-dew",
        model="baseline",
        version="3",
        horizon_s=21_600,
        probability=0.1875,
    )
    shadow = dataclasses.replace(
        prediction, model="trees", version="7", probability=0.25, mode=PredictionMode.SHADOW
    )
    yield (
        "predictions",
        "An active model and one in its shadow; origin and mode stand as they are.",
        of_events(
            TimedEvent(3_600_000, prediction),
            TimedEvent(3_600_000, shadow),
            first=7_201,
            offset_ms=3_600_000,
        ),
    )
    yield (
        "model_reports",
        "A reason is any text on one line.",
        of_events(
            TimedEvent(5_000, ModelReport(model="baseline", version="3", outcome="active")),
            TimedEvent(
                6_000,
                ModelReport(
                    model="trees",
                    version="7",
                    outcome="refused",
                    reason='golden vector 3: 0.42 ≠ 0.41 ± 0.001, "größer" 🌡',
                ),
            ),
        ),
    )
    cellar = SensorColumns(
        sensor_id="cellar",
        series=(Series(P, 0),),
        offsets_ms=(7_250,),
        columns=((100_842,),),
    )
    yield (
        "worked",
        "The worked example of docs/contract.md.",
        dataclasses.replace(
            of_sensors(
                attic(
                    offsets_ms=(5_000, 6_000),
                    columns=((-42, None), (813, 812)),
                    marks=(Mark(0, 1, Quality.BAD, (Flag.NO_ANSWER,)),),
                ),
                cellar,
                first=41,
            ),
            events=(TimedEvent(6_500, ModelReport(model="frost", version="3", outcome="active")),),
        ),
    )
    yield (
        "mixed",
        "Readings first, then events, whatever their times.",
        dataclasses.replace(
            of_sensors(attic(), first=41),
            events=(
                TimedEvent(7_001, Status(phase=Phase.RUNNING, version="0.1.0", samples_total=46)),
                TimedEvent(5_500, Held()),
            ),
        ),
    )


# --- valid documents that our encoder would not write ---------------------------------------------


def of_strangers() -> Iterator[tuple[str, str, bytes]]:
    document = document_of(of_sensors(attic(marks=(Mark(0, 1, Quality.UNCERTAIN, (Flag.JUMP,)),))))
    status = {"phase": "running", "version": "0.1.0"}
    newer = document | {
        "events": [["status", 0, status | {"mood": [1, {"a": None}]}, "more"]],
        "weather": {"sky": "clear", "cover": 1e-3},
    }
    sensor = newer["sensors"][0]
    newer["sensors"] = [
        sensor
        | {
            "height_m": 7.5,
            "series": [[*s, "more"] for s in sensor["series"]],
            "marks": [[*sensor["marks"][0], {"more": True}]],
        }
    ]
    yield (
        "unknown_fields",
        "Fields and further items that nobody knows are ignored.",
        packed(newer),
    )
    nulls = document | {
        "events": [["alert", 2_000, alert_with_nulls()], ["loss", 0, loss_with_nulls()]],
        "sensors": [
            newer["sensors"][0] | {"calibration": None, "statistic": None, "span_s": None},
        ],
    }
    yield (
        "null_is_missing",
        "An optional field may be null: as if it were missing.",
        packed(nulls),
    )
    empty = document | {"events": [], "sensors": [document["sensors"][0] | {"counts": []}]}
    yield ("empty_lists", "An empty list is as if it were missing.", packed(empty))
    turned = json.dumps(dict(reversed(document.items())), indent=2).encode() + b"\n"
    yield ("other_order", "Order of fields and white space mean nothing.", packed(turned))
    raw = json.dumps(document, separators=(",", ":")).encode()
    stored = b"\x01" + b"\x01" + len(raw).to_bytes(2, "little")
    stored += (len(raw) ^ 0xFFFF).to_bytes(2, "little") + raw
    yield ("stored_deflate", "Deflate without compression is deflate too.", stored)
    whole = document | {"sensors": [document["sensors"][0] | {"statistic": "mean", "span_s": 60}]}
    yield (
        "whole_number_for_number",
        "60 is as good as 60.0; counts may be missing.",
        packed(whole),
    )
    yield from of_corners(json.dumps(document, separators=(",", ":")))


def of_corners(text: str) -> Iterator[tuple[str, str, bytes]]:
    """Documents on which JSON parsers differ; `text` is a document."""

    def with_field(field: str) -> bytes:
        return packed((text[:-1] + f",{field}}}").encode())

    yield (
        "ignored_whole_number",
        "A whole number of 4,300 digits where it is ignored.",
        with_field('"weather":' + "9" * 4_300),
    )
    yield (
        "ignored_infinity",
        "1e999 is a JSON number: where it is ignored, it does no harm.",
        with_field('"weather":[1e999,-1e999]'),
    )
    yield (
        "ignored_half_a_pair",
        "Half a surrogate pair where it is ignored, as a text and as a name.",
        with_field('"sky \\ud83c":"\\udf21"'),
    )
    yield (
        "ignored_depth_32",
        "32 tables and lists in each other; the document's table is the first.",
        with_field('"weather":' + "[" * 31 + "]" * 31),
    )
    yield (
        "ignored_brackets",
        "Brackets in texts are no lists.",
        with_field('"weather":["' + "[{" * 40 + '","\\"' + "[" * 40 + '"]'),
    )
    yield (
        "field_twice",
        "Of a field that is there twice, only the last one counts.",
        packed(text.replace('"first":1', '"first":"1","first":9,"first":1').encode()),
    )
    yield (
        "minus_zero",
        "-0 is 0, as a time, as a value and as a number.",
        packed(
            text.replace('"at":[5000', '"at":[-0')
            .replace('"data":[0', '"data":[-0')
            .replace(",425", ",-0")
            .replace("}]}", '}],"events":[["alert",-0,' + ALERT_AT_MINUS_ZERO + "]]}")
            .encode()
        ),
    )


ALERT_AT_MINUS_ZERO = (
    '{"alert_id":"0123456789abcdef","condition_id":"frost","state":"raised","basis":"observed",'
    '"value":-0.0,"probability":-0}'
)


def alert_with_nulls() -> dict[str, Any]:
    return {
        "alert_id": DEW,
        "condition_id": "attic-dew",
        "state": "raised",
        "basis": "no_data",
        "value": None,
        "probability": None,
        "receipts": [],
    }


def loss_with_nulls() -> dict[str, Any]:
    return {
        "reason": "unclean_stop",
        "lost": None,
        "from_at": UTC - 95_000,
        "to_at": UTC - 65_000,
        "estimated_total": None,
    }


# --- invalid --------------------------------------------------------------------------------------


def of_bytes() -> Iterator[tuple[str, str, str, bytes]]:
    good = wire.encode(of_sensors(attic()))
    document = json.dumps(document_of(of_sensors(attic()))).encode()
    yield "empty", "empty", "No bytes at all.", b""
    yield "dictionary_0", "bad_dictionary", "There is no dictionary 0.", b"\x00" + good[1:]
    yield "dictionary_2", "bad_dictionary", "A dictionary from the future.", b"\x02" + good[1:]
    yield "json_as_it_is", "bad_dictionary", "Not a payload: its first byte is `{`.", document
    yield "only_dictionary", "bad_deflate", "Nothing after the first byte.", good[:1]
    yield "garbage", "bad_deflate", "Block type 3 does not exist.", b"\x01" + b"\xff" * 20
    yield "cut_off", "bad_deflate", "The last 3 bytes are missing.", good[:-3]
    yield "trailing", "bad_deflate", "A byte after the end.", good + b"\x00"
    yield (
        "zlib_header",
        "bad_deflate",
        "zlib's format, not raw deflate.",
        (b"\x01" + zlib.compress(document)),
    )
    bomb = packed(b" " * (NEW.document_bytes + 1))
    yield "bomb", "bad_size", "Inflates to one byte more than 4,194,304.", bomb
    yield "not_json", "bad_json", "Text that is not JSON.", packed(b"attic: 4.25")
    yield "no_document", "bad_json", "An empty document.", packed(b"")
    yield "latin_1", "bad_json", "Not UTF-8.", packed(document.replace(b"attic", b"d\xe9p\xf4t"))
    yield "utf_16", "bad_json", "UTF-16.", packed(document.decode().encode("utf-16-le"))
    yield (
        "not_a_number",
        "bad_json",
        "NaN is not a JSON number.",
        packed(document.replace(b"427", b"NaN")),
    )
    yield "two_documents", "bad_json", "A second document follows.", packed(document * 2)
    deep = b'{"schema":1,"first":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    yield "nested_deeply", "bad_json", "50,000 lists in each other.", packed(deep)

    def with_field(field: bytes) -> bytes:
        return packed(document[:-1] + b',"weather":' + field + b"}")

    yield (
        "depth_33",
        "bad_json",
        "33 tables and lists in each other, in a field that is ignored.",
        with_field(b"[" * 32 + b"]" * 32),
    )
    yield (
        "whole_number_long",
        "bad_json",
        "A whole number of 4,301 digits, in a field that is ignored.",
        with_field(b"-" + b"9" * 4_301),
    )
    yield (
        "half_a_pair_in_bytes",
        "bad_json",
        "Half a surrogate pair in UTF-8's form is not UTF-8.",
        with_field(b'"\xed\xa0\xbc"'),
    )
    yield (
        "too_many_lists",
        "bad_size",
        "32,769 lists in a field that is ignored, and those of the block.",
        with_field(b"[" + b"[]," * 32_768 + b"0]"),
    )
    yield (
        "bomb_small",
        "bad_size",
        "Inflates to more than 163,840 bytes and 20 for each byte of the payload.",
        with_field(b" " * 180_000 + b"0"),
    )


def of_heads() -> Iterator[tuple[str, str, str, object]]:
    document = document_of(of_sensors(attic()))
    sensors = document["sensors"]
    unsynced = document | {"clock": "unsynced"}
    yield "not_a_table", "bad_field", "The document is a list.", [document]
    yield "schema_missing", "bad_schema", "No schema.", without(document, "schema")
    yield "schema_newer", "bad_schema", "A schema from the future.", document | {"schema": 2}
    yield "schema_true", "bad_schema", "true is not 1.", document | {"schema": True}
    yield "schema_text", "bad_schema", "A text is not 1.", document | {"schema": "1"}
    yield "stream_missing", "bad_field", "No stream.", without(document, "stream")
    yield "stream_upper_case", "bad_field", "Not a-z, 2-7.", document | {"stream": STREAM.upper()}
    yield "stream_short", "bad_field", "12 characters.", document | {"stream": STREAM[:-1]}
    yield (
        "stream_line_end",
        "bad_field",
        "A line end at its end.",
        document | {"stream": STREAM + "\n"},
    )
    yield "first_0", "bad_field", "Numbers begin with 1.", document | {"first": 0}
    yield "first_true", "bad_field", "true is not a number.", document | {"first": True}
    yield "first_text", "bad_field", "A text is not a number.", document | {"first": "1"}
    yield "first_too_large", "bad_field", "Larger than 2^53 - 1.", document | {"first": 2**53}
    yield (
        "last_too_large",
        "bad_size",
        "The last number passes 2^53 - 1.",
        document | {"first": 2**53 - 3},
    )
    yield "clock_missing", "bad_field", "No clock.", without(document, "clock")
    yield "clock_unknown", "bad_field", "Neither synced nor unsynced.", document | {"clock": "ok"}
    yield "utc_missing", "bad_field", "synced, and no UTC.", document | {"at": [5_000]}
    yield "utc_unsynced", "bad_field", "unsynced, and a UTC.", unsynced
    yield (
        "utc_year_10000",
        "bad_field",
        "UTC beyond the year 9999.",
        document | {"at": [5_000, 253_402_300_800_000]},
    )
    yield (
        "time_year_10000",
        "bad_field",
        "A row's UTC is beyond the year 9999.",
        document | {"at": [5_000, 253_402_300_799_999]},
    )
    yield (
        "offset_negative",
        "bad_field",
        "The block begins before its stream.",
        document | {"at": [-1, UTC]},
    )
    yield "at_missing", "bad_field", "No at.", without(document, "at")
    yield "sensors_null", "bad_field", "A list is not null.", document | {"sensors": None}
    yield "events_null", "bad_field", "A list is not null.", document | {"events": None}
    twice = json.dumps(document).replace('"first": 1', '"first": 1, "first": 0')
    yield "first_twice", "bad_field", "The last one counts: 0.", twice.encode()
    yield (
        "first_infinite",
        "bad_field",
        "1e999 is no whole number.",
        json.dumps(document).replace('"first": 1', '"first": 1e999').encode(),
    )
    yield "too_many_sensors", "bad_size", "257 sensors.", document | {"sensors": sensors * 257}
    yield "sensors_table", "bad_field", "sensors is not a list.", document | {"sensors": {}}
    yield "no_records", "bad_size", "Neither sensors nor events.", document | {"sensors": []}


def without(table: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name != key}


def of_columns() -> Iterator[tuple[str, str, str, object]]:
    document = document_of(of_sensors(attic()))
    sensor = document["sensors"][0]
    temperature, humidity = sensor["series"]

    def changed(**changes: Any) -> dict[str, Any]:
        return document | {"sensors": [sensor | changes]}

    def marked(mark: object, *others: object) -> dict[str, Any]:
        return changed(marks=[mark, *others])

    yield (
        "sensor_missing",
        "bad_field",
        "No name.",
        document | {"sensors": [without(sensor, "sensor")]},
    )
    yield "sensor_upper_case", "bad_field", "Not an id.", changed(sensor="Attic")
    yield "sensor_long", "bad_field", "64 characters.", changed(sensor="a" * 64)
    yield (
        "unit_wrong",
        "bad_unit",
        "Temperatures are in Cel.",
        changed(series=[["temperature", "K", 2], humidity]),
    )
    yield (
        "unit_null",
        "bad_unit",
        "A unit must be told.",
        changed(series=[["temperature", None, 2], humidity]),
    )
    yield (
        "quantity_unknown",
        "bad_quantity",
        "Nobody knows what that is.",
        changed(series=[temperature, ["mood", "%RH", 1]]),
    )
    yield (
        "series_short",
        "bad_quantity",
        "Decimals are missing.",
        changed(series=[temperature, humidity[:2]]),
    )
    yield (
        "decimals_10",
        "bad_field",
        "0 to 9 decimals.",
        changed(series=[["temperature", "Cel", 10], humidity]),
    )
    yield (
        "decimals_true",
        "bad_field",
        "true is not 1.",
        changed(series=[temperature, ["humidity", "%RH", True]]),
    )
    yield "series_none", "bad_columns", "No series.", changed(series=[])
    yield "data_none", "bad_columns", "No rows.", changed(data=[])
    yield (
        "data_short",
        "bad_columns",
        "8 numbers do not fill 3 columns.",
        changed(data=sensor["data"][:-1]),
    )
    yield (
        "time_negative",
        "bad_columns",
        "Times go backwards.",
        changed(data=[0, -1_000, 1_001, *sensor["data"][3:]]),
    )
    yield (
        "time_null",
        "bad_columns",
        "A time is null.",
        changed(data=[0, None, 1_001, *sensor["data"][3:]]),
    )
    yield (
        "time_too_large",
        "bad_columns",
        "A time beyond 2^53 - 1.",
        changed(data=[0, 2**53 - 1, 1_001, *sensor["data"][3:]]),
    )
    yield (
        "value_fraction",
        "bad_columns",
        "Values are whole.",
        changed(data=[*sensor["data"][:-1], 81.2]),
    )
    yield (
        "value_true",
        "bad_columns",
        "true is not a number.",
        changed(data=[*sensor["data"][:-1], True]),
    )
    yield (
        "value_too_large",
        "bad_columns",
        "A value beyond 2^53 - 1.",
        changed(data=[*sensor["data"][:-1], -(2**53)]),
    )
    null = [*sensor["data"][:-1], None]
    yield "null_without_mark", "bad_columns", "Why is it null?", changed(data=null)
    yield (
        "null_without_flag",
        "bad_columns",
        "bad, but why?",
        changed(data=null, marks=[[1, 2, "bad", []]]),
    )
    yield (
        "null_uncertain",
        "bad_columns",
        "A null is bad, never uncertain.",
        changed(data=null, marks=[[1, 2, "uncertain", ["jump"]]]),
    )
    yield "mark_row", "bad_columns", "There is no row 3.", marked([0, 3, "good", ["retried"]])
    yield "mark_series", "bad_columns", "No series 2.", marked([2, 0, "good", ["retried"]])
    yield "mark_negative", "bad_columns", "Rows count from 0.", marked([0, -1, "good", ["retried"]])
    yield "mark_quality", "bad_columns", "No such quality.", marked([0, 0, "fine", ["retried"]])
    yield "mark_flag", "bad_columns", "No such flag.", marked([0, 0, "good", ["tired"]])
    yield "mark_flags_text", "bad_columns", "Flags are a list.", marked([0, 0, "good", "jump"])
    yield "mark_flags_no_list", "bad_columns", "Flags are a list.", marked([0, 0, "good", ""])
    yield (
        "mark_flags_table",
        "bad_columns",
        "Flags are a list.",
        marked([0, 0, "good", {"jump": True}]),
    )
    yield "mark_short", "bad_columns", "Flags are missing.", marked([0, 0, "good"])
    yield (
        "mark_twice",
        "bad_columns",
        "Two marks for one value.",
        marked([0, 0, "good", ["retried"]], [0, 0, "uncertain", ["jump"]]),
    )
    yield (
        "counts_short",
        "bad_columns",
        "2 counts for 3 rows.",
        changed(statistic="mean", span_s=60.0, counts=[60, 60]),
    )
    yield "statistic_unknown", "bad_field", "No such statistic.", changed(statistic="median")
    yield "span_negative", "bad_field", "Rows stand for 0 s or more.", changed(span_s=-1.0)
    yield (
        "span_infinite",
        "bad_field",
        "1e999 is not finite.",
        json.dumps(changed(span_s=60.5)).replace("60.5", "1e999").encode(),
    )
    times = [5_000] + [0] * 16_384
    yield (
        "too_many",
        "bad_size",
        "16,385 readings.",
        changed(series=[temperature], data=times + [425] * 16_385),
    )
    yield (
        "too_many_series",
        "bad_size",
        "1,025 series.",
        changed(series=[temperature] * 1_025, data=[0] + [425] * 1_025),
    )
    yield "marks_null", "bad_field", "A list is not null.", changed(marks=None)
    yield "counts_null", "bad_field", "A list is not null.", changed(counts=None)
    yield "series_null", "bad_field", "A list is not null.", changed(series=None)
    yield "flags_null", "bad_columns", "A list is not null.", marked([0, 0, "good", None])


NO_RECEIPTS: dict[str, Any] = {"receipts": None}


def of_fields() -> Iterator[tuple[str, str, str, object]]:
    def event(kind: object, table: object, offset: object = 0) -> dict[str, Any]:
        return document_of(of_events(TimedEvent(5_000, Held()))) | {
            "events": [[kind, offset, table]]
        }

    alert = without(alert_with_nulls(), "receipts")
    status = {"phase": "running", "version": "0.1.0"}
    span = {"stream_id": BEFORE, "first": 9, "last": 12}
    yield "kind_unknown", "bad_kind", "A kind from the future.", event("dream", {})
    yield "kind_reading", "bad_kind", "Readings are columns, not events.", event("reading", {})
    yield "kind_null", "bad_kind", "No kind.", event(None, {})
    yield (
        "event_short",
        "bad_field",
        "The fields are missing.",
        document_of(of_sensors(attic())) | {"events": [["held", 0]]},
    )
    yield "event_fields", "bad_field", "The fields are no table.", event("held", [])
    yield "event_negative", "bad_field", "Before the block.", event("held", {}, -1)
    yield "event_fraction", "bad_field", "Half a millisecond.", event("held", {}, 0.5)
    yield "event_too_late", "bad_field", "Beyond 2^53 - 1.", event("held", {}, 2**53 - 1)
    yield (
        "alert_id_bad",
        "bad_field",
        "Not 16 hexadecimal digits.",
        event("alert", alert | {"alert_id": DEW.upper()}),
    )
    yield (
        "alert_basis_unknown",
        "bad_field",
        "No such basis.",
        event("alert", alert | {"basis": "felt"}),
    )
    yield (
        "alert_value_text",
        "bad_field",
        "A text is no number.",
        event("alert", alert | {"value": "2.87"}),
    )
    yield (
        "receipt_delivered_1",
        "bad_field",
        "1 is not true.",
        event("alert", alert | {"receipts": [{"output_id": "led", "delivered": 1}]}),
    )
    yield "probability_2", "bad_field", "0 to 1.", event("alert", alert | {"probability": 1.01})
    yield (
        "status_phase_missing",
        "bad_field",
        "No phase.",
        event("status", without(status, "phase")),
    )
    yield (
        "status_count_negative",
        "bad_field",
        "A count below 0.",
        event("status", status | {"queued_blocks": -1}),
    )
    yield (
        "status_version_empty",
        "bad_field",
        "1 to 200 characters.",
        event("status", status | {"version": ""}),
    )
    yield (
        "status_two_lines",
        "bad_field",
        "Two lines.",
        event("status", status | {"version": "0.1.0\n0.2.0"}),
    )
    yield (
        "status_half_a_pair",
        "bad_field",
        "Half a surrogate pair.",
        event("status", status | {"version": "0.1.0 \ud83c"}),
    )
    yield "loss_reason_unknown", "bad_field", "No such reason.", event("loss", {"reason": "moths"})
    yield (
        "loss_backwards",
        "bad_field",
        "last before first.",
        event("loss", {"reason": "budget", "lost": span | {"last": 8}}),
    )
    yield (
        "held_first_0",
        "bad_field",
        "Numbers begin with 1.",
        event("held", {"spans": [span | {"first": 0}]}),
    )
    yield "held_spans_null", "bad_field", "A list is not null.", event("held", {"spans": None})
    yield "receipts_null", "bad_field", "A list is not null.", event("alert", alert | NO_RECEIPTS)
    yield (
        "too_many_spans",
        "bad_size",
        "1,025 spans in two events.",
        document_of(of_events(TimedEvent(5_000, Held())))
        | {"events": [["held", 0, {"spans": [span]}], ["held", 0, {"spans": [span] * 1_024}]]},
    )
    yield (
        "too_many_events",
        "bad_size",
        "1,025 events.",
        document_of(of_events(TimedEvent(5_000, Held()))) | {"events": [["held", 0, {}]] * 1_025},
    )
    yield (
        "clock_fix_text",
        "bad_field",
        "An instant is a number.",
        event("clock_fix", {"utc_at": "2026-01-15T07:00:00Z", "uncertainty_ms": 250}),
    )
    yield (
        "horizon_0",
        "bad_field",
        "A horizon of 1 s or more.",
        event(
            "prediction",
            {
                "condition_id": "attic-dew",
                "model": "baseline",
                "version": "3",
                "horizon_s": 0,
                "probability": 0.5,
            },
        ),
    )


# --- files ----------------------------------------------------------------------------------------


def valid(about: str, payload: bytes) -> dict[str, Any]:
    """What a decoder must find in a payload; each field of each record stands here."""
    block = wire.decode(payload)
    return {
        "about": about,
        "payload_base64": base64.b64encode(payload).decode(),
        "digest": payload_digest(payload),
        "document": json.loads(wire.inflate(payload)),
        "block": {
            "stream_id": block.stream_id,
            "first": block.first,
            "last": block.last,
            "clock": block.clock,
            "kinds_total": kinds_total(block),
        },
        "entries": [
            {
                "seq": entry.seq,
                "offset_ms": entry.offset_ms,
                "observed_at": entry.observed_at,
                "kind": kind_of_record(entry.record),
                "record": dataclasses.asdict(entry.record),
            }
            for entry in entries(block)
        ],
    }


def invalid(code: str, why: str, payload: bytes) -> dict[str, Any]:
    return {
        "why": why,
        "error": code,
        "payload_base64": base64.b64encode(payload).decode(),
    }


def examples() -> dict[Path, dict[str, Any]]:
    files: dict[Path, dict[str, Any]] = {}
    for source in (of_readings, of_alerts, of_statuses, of_accounts, of_others):
        for name, about, block in source():
            files[FOLDER / "valid" / f"{name}.json"] = valid(about, wire.encode(block))
    for name, about, payload in of_strangers():
        files[FOLDER / "valid" / f"{name}.json"] = valid(about, payload)
    for name, code, why, payload in of_bytes():
        files[FOLDER / "invalid" / f"{name}.json"] = invalid(code, why, payload)
    for source_of_documents in (of_heads, of_columns, of_fields):
        for name, code, why, document in source_of_documents():
            files[FOLDER / "invalid" / f"{name}.json"] = invalid(code, why, packed(document))
    # A parser without a limit of depth finds a list where a number should be.
    files[FOLDER / "invalid" / "nested_deeply.json"]["or"] = "bad_field"
    return files


def text_of(example: dict[str, Any]) -> str:
    """JSON with one line for each item of the two long lists, so that people can read it."""
    lines = []
    for key, value in example.items():
        shown = json.dumps(value, ensure_ascii=False).replace("Infinity", "1e999")
        shown = re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", shown)
        if key == "entries":
            rows = ",\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in value)
            shown = f"[\n{rows}\n  ]"
        lines.append(f'  "{key}": {shown}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def comparable(text: str) -> dict[str, Any]:
    """An example with what its payload means instead of its bytes: zlibs differ in those."""
    example: dict[str, Any] = json.loads(text)
    payload = base64.b64decode(example.pop("payload_base64"))
    example.pop("digest", None)
    try:
        example["means"] = wire.inflate(payload).decode("latin-1")
    except ContractError as error:
        example["means"] = error.code
    return example


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    wanted = {path: text_of(example) for path, example in examples().items()}
    stale = sorted(set(FOLDER.glob("*/*.json")) - set(wanted))
    for path, text in wanted.items():
        found = path.read_text(encoding="utf-8") if path.exists() else "{}"
        if found == "{}" or comparable(found) != comparable(text):
            stale.append(path)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    for path in stale:
        print(
            f"{path.relative_to(FOLDER)}: {'differs' if check or path not in wanted else 'written'}"
        )
    return 1 if stale and check else 0


if __name__ == "__main__":
    sys.exit(main())
