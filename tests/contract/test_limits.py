"""No payload is expensive to decode, and no gateway meets the limits."""

import json
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.air import layout_of
from bench.payload import blocks as gateway_blocks
from contract import wire
from contract.blocks import Block
from contract.errors import ContractError
from contract.limits import NEW, STORED, Limits, check_structure, counts_of
from tests.contract.expensive import FAMILIES, HEAD, least_cost_of, made, payload_of, speed_of_core

Pack = Callable[[object], bytes]

LARGEST_S = 0.020  # for a payload of 12 kB, on one core
LARGE_BYTES = 12_288
BLOCK_OF_8_S = 100e-6
ONE = {"sensor": "a", "series": [["temperature", "Cel", 0]], "data": [0, 0]}
HELD: dict[str, Any] = {"schema": 1, "clock": "unsynced", "stream": "a" * 13, "first": 1, "at": [0]}
SPAN = {"stream_id": "a" * 13, "first": 1, "last": 2}


def code_of(payload: bytes, limits: Limits = NEW) -> str | None:
    try:
        wire.decode(payload, limits)
    except ContractError as error:
        return error.code
    return None


def at_most(name: str, total: int) -> dict[str, Any]:
    """A document with so many items of what the limit `name` counts."""
    temperature = ["temperature", "Cel", 0]
    rows = {**ONE, "data": [0] * total + [1] * total}
    wide = {**ONE, "series": [temperature] * 64, "data": [0] * 65}
    series = [wide] * (total // 64)
    if total % 64:
        rest = total % 64
        series.append({**ONE, "series": [temperature] * rest, "data": [0] * (rest + 1)})
    halves = [["held", 0, {"spans": [SPAN] * n}] for n in (total // 2, total - total // 2)]
    found: dict[str, dict[str, Any]] = {
        "records": {"sensors": [rows]},
        "sensors": {"sensors": [ONE] * total},
        "series": {"sensors": series},
        "events": {"events": [["held", 0, {}]] * total},
        "parts": {"events": halves},
        "lists": {"events": [["held", 0, {}]], "ignored": [[]] * (total - 6)},
    }
    return HELD | found[name]


@pytest.mark.parametrize("name", ["records", "sensors", "series", "events", "parts", "lists"])
def test_a_new_block_has_so_much_of_it_and_a_stored_one_more(name: str, packed: Pack) -> None:
    most = getattr(NEW, name)
    assert code_of(packed(at_most(name, most))) is None
    above = packed(at_most(name, most + 1))
    assert code_of(above) == "bad_size"
    assert code_of(above, STORED) is None
    with pytest.raises(ContractError, match="bad_size"):
        wire.decode_header(above)


def test_a_stored_block_has_a_limit_too(packed: Pack) -> None:
    assert code_of(packed(at_most("records", STORED.records)), STORED) is None
    assert code_of(packed(at_most("records", STORED.records + 1)), STORED) == "bad_size"


def test_the_document_of_a_payload_has_a_limit_that_grows_with_it(packed: Pack) -> None:
    document = json.dumps(at_most("events", 1)).encode()
    noise = "".join(random.Random(1).choices("abcdefghijklmnop", k=20_000))  # half a byte each
    seen = set()
    for text in ("", noise):
        for spaces in range(150_000, 420_000, 10_000):
            filled = document[:-1] + f',"ignored":"{text}"}}'.encode() + b" " * spaces
            payload = packed(filled)
            code = "bad_size" if len(filled) > NEW.document_bytes_of(len(payload)) else None
            assert code_of(payload) == code
            assert code_of(payload, STORED) is None
            seen.add((text == "", code, spaces > 200_000))
    assert seen > {(True, None, False), (True, "bad_size", True), (False, None, True)}


def test_65536_sensors_of_one_reading_cost_next_to_nothing() -> None:
    """As a hostile device sent them: 2.7 s of CPU for 12 kB."""
    items = ",".join(['{"sensor":"a","series":[["temperature","Cel",0]],"data":[0,0]}'] * 65_536)
    payload = payload_of("{" + HEAD + f',"sensors":[{items}]' + "}")
    assert len(payload) < 13_000
    assert code_of(payload) == "bad_size"
    assert least_cost_of(payload, LARGEST_S).cpu_s <= LARGEST_S


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


JSON = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\ä,:', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet='[]{}"\\', max_size=4), inner, max_size=3)
    ),
    max_leaves=30,
)


@settings(max_examples=500)
@given(value=JSON, depth=st.integers(1, 8), ascii_only=st.booleans())
def test_depth_is_counted_as_the_page_says(value: object, depth: int, ascii_only: bool) -> None:
    document = json.dumps([value], ensure_ascii=ascii_only).encode()
    limits = Limits(records=1, depth=depth)
    if depth_of([value]) <= depth:
        check_structure(document, limits)
    else:
        with pytest.raises(ContractError, match="bad_json"):
            check_structure(document, limits)


@given(document=st.dictionaries(st.sampled_from(("sensors", "events", "x")), JSON))
def test_a_document_of_any_shape_can_be_counted(document: dict[str, Any]) -> None:
    counts_of(document)
    counts_of({"sensors": [document], "events": [document, [0, 0, document]]})


@settings(max_examples=100)
@given(data=st.data())
def test_the_header_is_that_of_the_block(
    data: st.DataObject, blocks: st.SearchStrategy[Block]
) -> None:
    block = data.draw(blocks)
    header = wire.decode_header(wire.encode(block))
    assert (header.stream_id, header.first, header.last) == (
        block.stream_id,
        block.first,
        block.last,
    )


def test_a_block_of_8_readings_is_decoded_in_100_us() -> None:
    made_blocks = gateway_blocks(layout_of("rooms", paired=True), 8, 86_400, seed=3)
    payloads = [wire.encode(next(made_blocks)) for _ in range(200)]
    rounds = []
    for _ in range(15):
        speed, began_s = speed_of_core(), time.thread_time()
        for payload in payloads:
            wire.decode(payload)
        spent_s = (time.thread_time() - began_s) / len(payloads)
        rounds.append(spent_s * max(speed, speed_of_core()))
    assert min(rounds) <= BLOCK_OF_8_S, f"{statistics.median(rounds) * 1e6:.0f} us"


def test_no_payload_of_12_kb_is_expensive() -> None:
    """A few of the inputs of `make proof-decode`."""
    source = random.Random(7)
    seen = set()
    for _ in range(150):
        name, payload = made(source, source.choice((60_000, 200_000, 400_000)))
        if len(payload) <= LARGE_BYTES:
            cost = least_cost_of(payload, LARGEST_S)
            assert cost.cpu_s <= LARGEST_S, (
                f"{name}: {len(payload)} bytes, {cost.cpu_s * 1e3:.1f} ms"
            )
            seen.add((name, cost.is_block))
    assert {name for name, is_block in seen if is_block} >= {f.__name__ for f in FAMILIES}


@pytest.mark.parametrize("family", dict.fromkeys(FAMILIES), ids=lambda f: f.__name__)
def test_cost_grows_with_size_and_not_with_its_square(family: Any) -> None:
    costs = []
    for size in (20_000, 160_000):
        payload = payload_of("{" + HEAD + "," + family(random.Random(5), size) + "}")
        costs.append(min(least_cost_of(payload, 0.0).cpu_s for _ in range(2)))
    small_s, large_s = costs
    assert large_s <= 20 * small_s + 0.001  # 8 times the size; its square would be 64
