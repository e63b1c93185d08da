"""Messages to landed blocks, landed blocks to acks."""

import json
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.blocks import acks_of, landed_block
from cloud.lake.positions import LandedBlock
from contract.acks import MAX_ACK_BYTES, encode_ack
from contract.errors import ContractError
from contract.keys import payload_digest
from contract.records import Span
from contract.wire import DICTIONARY_VERSION, decode, dictionary

STREAMS = ("aaaaaaaaaaaaa", "bbbbbbbbbbbbb")


def block(
    stream: str | None, first: int | None, last: int | None, device: str = "ewr"
) -> LandedBlock:
    return LandedBlock(
        received_at=0,
        topic=f"dewline/v1/{device}/up/live",
        device_id=device,
        stream_id=stream,
        first=first,
        last=last,
        payload=f"{stream}-{first}-{last}".encode(),
    )


def deflated(document: bytes) -> bytes:
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15, zdict=dictionary(DICTIONARY_VERSION))
    return bytes((DICTIONARY_VERSION,)) + deflate.compress(document) + deflate.flush()


def spans_of(blocks: list[LandedBlock]) -> list[Span]:
    return [span for _, ack in acks_of(blocks) for span in ack.spans]


def test_blocks_that_follow_each_other_are_one_span() -> None:
    one, two = STREAMS
    blocks = [block(one, 11, 20), block(two, 1, 5), block(one, 1, 10), block(one, 25, 30)]
    assert spans_of(blocks) == [
        Span(stream_id=one, first=1, last=20),
        Span(stream_id=one, first=25, last=30),
        Span(stream_id=two, first=1, last=5),
    ]


def test_each_device_gets_its_own() -> None:
    blocks = [block(STREAMS[0], 1, 2, "ewr"), block(None, None, None, "jfk")]
    (ewr, spans), (jfk, digests) = acks_of(blocks)
    assert (ewr, spans.spans, spans.digests) == (
        "ewr",
        (Span(stream_id=STREAMS[0], first=1, last=2),),
        (),
    )
    assert (jfk, digests.spans, digests.digests) == (
        "jfk",
        (),
        (payload_digest(b"None-None-None"),),
    )


@given(
    st.lists(
        st.tuples(st.sampled_from(STREAMS), st.integers(1, 60), st.integers(1, 12)), max_size=30
    )
)
def test_spans_name_the_landed_numbers_exactly(items: list[tuple[str, int, int]]) -> None:
    blocks = [block(stream, first, first + total - 1) for stream, first, total in items]
    landed = {(b.stream_id, n) for b in blocks for n in range(b.first or 0, (b.last or 0) + 1)}
    spans = spans_of(blocks)
    acked = [(s.stream_id, n) for s in spans for n in range(s.first, s.last + 1)]
    assert len(acked) == len(set(acked))
    assert set(acked) == landed
    after = {(s.stream_id, s.last + 1) for s in spans}
    assert not after & landed  # merged as far as they go


def test_no_ack_is_too_large_to_send() -> None:
    largest = 2**53 - 1
    blocks = [block(STREAMS[0], largest - 2 * i, largest - 2 * i) for i in range(5000)]
    blocks += [block(None, i, None) for i in range(5000)]
    acks = [ack for _, ack in acks_of(blocks)]
    assert sum(len(a.spans) + len(a.digests) for a in acks) == 10_000
    assert max(len(encode_ack(a)) for a in acks) < MAX_ACK_BYTES


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.binary(max_size=300))
def test_no_bytes_stop_ingest(payload: bytes) -> None:
    assert landed_block("t", "ewr", payload, 1).payload == payload
    assert landed_block("t", "ewr", deflated(payload), 1).stream_id is None


@given(
    st.sampled_from(["first", "at", "sensors", "events", "stream", "clock", "schema"]),
    JSON,
    st.sampled_from([None, "sensor", "series", "data", "marks", "calibration", "span_s", "counts"]),
)
def test_no_document_stops_ingest(key: str, value: object, inner: str | None) -> None:
    sensor: dict[str, object] = {
        "sensor": "attic",
        "series": [["temperature", "Cel", 2]],
        "data": [0, 2000],
        "marks": [[0, 0, "good", []]],
    }
    document: dict[str, object] = {
        "schema": 1,
        "clock": "synced",
        "stream": STREAMS[0],
        "first": 1,
        "at": [0, 0],
        "sensors": [sensor],
    }
    if inner is None:
        document[key] = value
    else:
        sensor[inner] = value
    payload = deflated(json.dumps(document).encode())
    assert landed_block("t", "ewr", payload, 1).payload == payload


def with_sensors(sensors: list[object], **changes: object) -> bytes:
    document = {
        "schema": 1,
        "clock": "unsynced",
        "stream": STREAMS[0],
        "first": 7,
        "at": [0],
        "sensors": sensors,
    }
    return deflated(json.dumps(document | changes, separators=(",", ":")).encode())


ONE = {"sensor": "a", "series": [["temperature", "Cel", 0]], "data": [0, 0]}


def test_a_message_of_65536_sensors_costs_ingest_no_more_than_others() -> None:
    """12 kB that cost 2.7 s; one of them every two seconds stopped a lane."""
    payload = with_sensors([ONE] * 65_536)
    costs = []
    for _ in range(5):
        began_s = time.thread_time()
        made = landed_block("t", "ewr", payload, 1)
        costs.append(time.thread_time() - began_s)
    assert (made.stream_id, made.payload) == (None, payload)
    assert min(costs) < 0.020


@pytest.mark.parametrize("sensors", [[ONE] * 257, [{**ONE, "data": [0] * 20_000 + [1] * 20_000}]])
def test_a_message_beyond_the_limits_has_no_numbers(sensors: list[object]) -> None:
    assert landed_block("t", "ewr", with_sensors(sensors), 1).stream_id is None


def test_only_the_numbers_are_read() -> None:
    """Readers of the lake check the rest, and the quarantine has what they refuse."""
    kelvin = {**ONE, "series": [["temperature", "K", 0]], "data": [0, 1, 5, 6]}
    made = landed_block("t", "ewr", with_sensors([ONE, kelvin]), 1)
    assert (made.stream_id, made.first, made.last) == (STREAMS[0], 7, 9)
    with pytest.raises(ContractError, match="bad_unit"):
        decode(made.payload, made.limits)


@pytest.mark.parametrize("number", ["1" + "0" * 400, "1e400", "-1e400", "NaN"])
def test_numbers_beyond_every_range_stop_nothing(number: str) -> None:
    fields = f'"condition_id":"a","model":"m","version":"1","horizon_s":1,"probability":{number}'
    head = f'"schema":1,"clock":"unsynced","stream":"{STREAMS[0]}","first":1,"at":[0]'
    document = f'{{{head},"events":[["prediction",0,{{{fields}}}]]}}'
    made = landed_block("t", "ewr", deflated(document.encode()), 1)
    assert made.payload == deflated(document.encode())
    with pytest.raises(ContractError):
        decode(made.payload, made.limits)
