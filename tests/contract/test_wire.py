import copy
import json
import random
import zlib
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from contract import wire
from contract.blocks import Block, SensorColumns, Series, entries
from contract.document import document_of
from contract.errors import ContractError
from contract.keys import event_day
from contract.limits import STORED
from contract.quantities import Quantity

STREAM = "ynoicv4oqjyxi"
Pack = Callable[[object], bytes]


def walk(source: random.Random, start: int, rows: int) -> tuple[int, ...]:
    """Scaled values that wander by up to two digits a second, as a room's do."""
    steps = (source.choice((-2, -1, -1, 0, 0, 0, 1, 1, 2)) for _ in range(rows - 1))
    return tuple(accumulate(steps, initial=start))


def block_of(rows: int, sensors: int = 4) -> Block:
    """8 signals at 1 Hz, on their grid to a millisecond; names that the dictionary lacks."""
    source = random.Random(5)
    return Block(
        stream_id=STREAM,
        first=52_001,
        offset_ms=6_500_117,
        utc_at=1_768_460_400_117,
        sensors=tuple(
            SensorColumns(
                sensor_id=f"kiln{n}-zone",
                series=(Series(Quantity.TEMPERATURE, 2), Series(Quantity.HUMIDITY, 1)),
                offsets_ms=tuple(6_500_118 + 1_000 * row + row % 2 for row in range(rows)),
                columns=(
                    walk(source, 2_137 + 411 * n, rows),
                    walk(source, 463 + 57 * n, rows),
                ),
            )
            for n in range(sensors)
        ),
    )


def code_of(payload: bytes) -> str:
    with pytest.raises(ContractError) as caught:
        wire.decode(payload)
    return caught.value.code


@settings(max_examples=60)
@given(data=st.data())
def test_decode_after_encode_is_the_same_block(
    data: st.DataObject, blocks: st.SearchStrategy[Block]
) -> None:
    block = data.draw(blocks)
    assert wire.decode(wire.encode(block)) == block


@pytest.mark.parametrize(("rows", "limit"), [(1, 16.0), (30, 12.0)])
def test_a_reading_costs_few_bytes(rows: int, limit: float) -> None:
    block = block_of(rows)
    assert len(wire.encode(block)) / block.records_total <= limit


def test_the_first_byte_names_the_dictionary_and_the_rest_is_raw_deflate() -> None:
    payload = wire.encode(block_of(1))
    assert payload[0] == 1
    inflater = zlib.decompressobj(-15, zdict=wire.dictionary(1))
    assert json.loads(inflater.decompress(payload[1:])) == document_of(block_of(1))


def test_a_block_too_large_to_send_is_refused_when_it_is_encoded() -> None:
    block = block_of(1, sensors=1)
    noise = tuple((n * 2_654_435_761) % 2**31 for n in range(60_000))
    sensor = replace(
        block.sensors[0],
        series=(Series(Quantity.PRESSURE, 3),),
        offsets_ms=(block.offset_ms,) * len(noise),
        columns=(noise,),
    )
    with pytest.raises(ContractError) as caught:
        wire.encode(replace(block, sensors=(sensor,)))
    assert caught.value.code == "bad_size"


def test_a_payload_may_be_200000_bytes_and_no_more() -> None:
    assert code_of(b"\xff" * wire.MAX_PAYLOAD_BYTES) == "bad_dictionary"
    assert code_of(b"\xff" * (wire.MAX_PAYLOAD_BYTES + 1)) == "bad_size"


def test_a_document_may_fill_the_limit_to_its_last_byte(packed: Pack) -> None:
    document = json.dumps(document_of(block_of(1))).encode()
    room = STORED.document_bytes - len(document)
    assert wire.decode(packed(document + b" " * room), STORED) == block_of(1)
    with pytest.raises(ContractError, match="bad_size"):
        wire.decode(packed(document + b" " * (room + 1)), STORED)


@given(payload=st.binary(max_size=300))
def test_any_bytes_are_a_block_or_a_contract_error(payload: bytes) -> None:
    for candidate in (payload, b"\x01" + payload):
        try:
            wire.decode(candidate)
        except ContractError:
            continue


@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_payload_is_a_block_or_a_contract_error(
    data: st.DataObject, blocks: st.SearchStrategy[Block]
) -> None:
    payload = bytearray(wire.encode(data.draw(blocks)))
    at = data.draw(st.integers(0, len(payload) - 1))
    damage = data.draw(st.sampled_from(("flip", "cut", "append")))
    if damage == "flip":
        payload[at] ^= 1 << data.draw(st.integers(0, 7))
    elif damage == "cut":
        del payload[at:]
    else:
        payload += data.draw(st.binary(min_size=1, max_size=9))
    try:
        wire.decode(bytes(payload))
    except ContractError:
        return
    assert damage == "flip"  # a cut or a longer payload is never a block


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(("reading", "held", "temperature", "Cel", "bad", "jump")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_document_with_anything_anywhere_is_a_block_or_a_contract_error(
    data: st.DataObject, blocks: st.SearchStrategy[Block], packed: Pack
) -> None:
    document = copy.deepcopy(document_of(data.draw(blocks)))
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        assume(keys)
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(ANY_JSON)
    try:
        block = wire.decode(packed(document))
    except ContractError as error:
        str(error).encode("utf-8")  # it is stored with the quarantined payload
        return
    assert sum(1 for _ in entries(block)) == block.records_total
    for entry in entries(block):
        event_day(entry.observed_at)
    assert wire.decode(wire.encode(block)) == block


@pytest.mark.parametrize("field", ["first", "ignored", "sensors", "events", "version"])
def test_no_depth_of_nesting_is_more_than_a_contract_error(field: str, packed: Pack) -> None:
    head = f'"schema":1,"clock":"synced","stream":"{STREAM}","at":[0,0]'
    for depth in range(900, 1_010):  # around the interpreter's own limit of recursion
        deep = "[" * depth + "]" * depth
        version = f'"events":[["status",0,{{"phase":"start","version":{deep}}}]]'
        found = version if field == "version" else f'"{field}":{deep}'
        payload = packed(f'{{{head},"first":1,{found}}}'.encode())
        assert code_of(payload).startswith("bad_")


def test_a_number_of_5000_digits_is_bad_json(packed: Pack) -> None:
    assert code_of(packed(b'{"schema":' + b"1" * 5_000 + b"}")) == "bad_json"
