"""Blocks of an import: every reading once, numbers without a gap, and the contract's limits."""

import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.importing import blocks as module
from cloud.importing.blocks import BlockMaker
from cloud.importing.naming import GOOD
from cloud.importing.refusals import Refusals
from cloud.importing.values import Piece, SeriesKey
from contract.blocks import entries
from contract.keys import is_import
from contract.quantities import Flag, Quality, Quantity
from contract.records import Phase, Reading, Status
from contract.signals import Signal
from contract.wire import decode, encode

AT = 1_704_067_200_000
BAD = (Quality.BAD, (Flag.OUT_OF_RANGE,))
KEYS = [
    SeriesKey("gw-1", Signal("attic", Quantity.TEMPERATURE), 2),
    SeriesKey("gw-1", Signal("attic", Quantity.HUMIDITY), 1),
    SeriesKey("gw-2", Signal("cellar", Quantity.TEMPERATURE), 2),
]


def piece(key, rows, first_line=1):
    """A piece from (second, scaled value, grade) of each row."""
    seconds, values, grades = zip(*rows, strict=True)
    return Piece(
        key,
        np.array(seconds, np.int64) * 1000 + AT,
        np.array(values, np.int64),
        np.array(grades, np.int64),
        np.arange(first_line, first_line + len(rows), dtype=np.int64),
    )


def made(pieces, every=1):
    """The decoded blocks of pieces by device, and what was refused."""
    refusals = Refusals()
    maker = BlockMaker(hashlib.sha256(b"a file").digest(), [GOOD, BAD], refusals)
    found = []
    for n, item in enumerate(pieces):
        maker.add(item)
        if n % every == 0:
            found += maker.full()
    found += maker.rest()
    by_device = {}
    for one in found:
        by_device.setdefault(one.device_id, []).append(decode(encode(one.block)))
    return by_device, {r.reason: r.total for r in refusals.all()}


ROWS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(-5000, 5000), st.sampled_from([0, 0, 0, 1])),
    min_size=1,
    max_size=40,
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(KEYS), ROWS), min_size=1, max_size=8))
def test_each_instant_of_a_series_has_its_first_value_once(drawn):
    """In any order of rows; a later value of the same instant is refused, and counted."""
    # Within one block the first row of an instant counts; all rows here fit into one block.
    by_device, refused = made([piece(key, rows) for key, rows in drawn], every=len(drawn) + 1)
    first = {}
    total = 0
    for key, rows in drawn:
        for second, value, grade in rows:
            total += 1
            first.setdefault((key, second), (value / 10**key.decimals, [GOOD, BAD][grade]))
    found = {}
    for device, blocks in by_device.items():
        for block in blocks:
            for entry in entries(block):
                r = entry.record
                if isinstance(r, Reading):
                    (key,) = [
                        k
                        for k in KEYS
                        if (k.device_id, k.signal) == (device, Signal(r.sensor_id, r.quantity))
                    ]
                    second = (entry.observed_at - AT) // 1000
                    assert (key, second) not in found
                    found[key, second] = (r.value, (r.quality, r.flags))
    assert found == first
    assert sum(refused.values()) == total - len(first)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(KEYS), ROWS), min_size=1, max_size=8))
def test_numbers_have_no_gap_and_the_first_record_is_a_start(drawn):
    by_device, _ = made([piece(key, rows) for key, rows in drawn])
    for blocks in by_device.values():
        (stream,) = {block.stream_id for block in blocks}
        assert is_import(stream)
        assert [b.first for b in blocks] == [1, *(b.last + 1 for b in blocks[:-1])]
        (start, *_) = entries(blocks[0])
        assert start.record == Status(phase=Phase.START, version="import")


def test_a_long_series_becomes_blocks_of_limited_size():
    rows = [(n, n % 100, 0) for n in range(50_000)]
    by_device, _ = made([piece(KEYS[0], rows), piece(KEYS[1], rows)], every=1)
    blocks = by_device["gw-1"]
    assert sum(b.records_total for b in blocks) == 100_001
    assert max(b.records_total for b in blocks) <= module._BLOCK_READINGS
    spans = [(b.sensors[0].offsets_ms[0], b.sensors[0].offsets_ms[-1]) for b in blocks[1:]]
    assert all(low <= high for low, high in spans)


def test_many_series_share_blocks_of_limited_size():
    keys = [SeriesKey("gw-1", Signal(f"s-{n}", Quantity.TEMPERATURE), 2) for n in range(60)]
    pieces = [
        piece(key, [(n, 1, 0) for n in range(1000 if i else 20_000)]) for i, key in enumerate(keys)
    ]
    by_device, _ = made(pieces, every=61)
    blocks = by_device["gw-1"][1:]
    assert sum(b.records_total for b in blocks) == 79_000
    assert max(b.records_total for b in blocks) <= module._BLOCK_READINGS
    assert len(blocks) < 79_000 / module._BLOCK_READINGS * 2


def test_series_with_the_same_times_share_them():
    rows = [(n, n, 0) for n in range(10)]
    by_device, _ = made([piece(KEYS[0], rows), piece(KEYS[1], rows)], every=9)
    (item,) = by_device["gw-1"][1].sensors
    assert [s.quantity for s in item.series] == [Quantity.HUMIDITY, Quantity.TEMPERATURE]
    by_device, _ = made([piece(KEYS[0], rows), piece(KEYS[1], rows[1:])], every=9)
    assert len(by_device["gw-1"][1].sensors) == 2


def test_a_value_at_the_end_of_a_block_is_found_again():
    """The next block begins with the instant of the last one's end."""
    rows = [(n, n, 0) for n in range(module._BLOCK_READINGS)]
    last = module._BLOCK_READINGS - 1
    again = [(last, last, 0), (last, 7, 0), (last + 1, 1, 0)]
    _, refused = made([piece(KEYS[0], rows), piece(KEYS[0], again)])
    assert refused == {"repeated": 1, "conflict": 1}


def test_more_series_than_a_block_may_have():
    keys = [SeriesKey("gw-1", Signal(f"s-{n}", Quantity.TEMPERATURE), 2) for n in range(500)]
    by_device, _ = made([piece(key, [(n, 1, 0)]) for n, key in enumerate(keys)], every=501)
    assert [len(b.sensors) for b in by_device["gw-1"]] == [0, 200, 200, 100]


def test_many_devices_stay_within_the_memory(monkeypatch):
    """When all buffers together are full, every device's readings become blocks."""
    monkeypatch.setattr(module, "_BUFFERED", 1000)
    keys = [SeriesKey(f"gw-{n}", Signal("s", Quantity.TEMPERATURE), 2) for n in range(300)]
    maker = BlockMaker(b"", [GOOD], Refusals())
    for key in keys:
        maker.add(piece(key, [(n, 1, 0) for n in range(4)]))
    assert len(list(maker.full())) == 600
    assert list(maker.rest()) == []
