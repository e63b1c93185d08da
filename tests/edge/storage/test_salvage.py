"""Rows out of the pages of a damaged file: only whole ones, all of them, in their order."""

import random
import sqlite3

from contract.wire import encode
from edge.storage.open_block import OpenBlock
from edge.storage.outbox import Outbox
from edge.storage.queued import Encoded
from edge.storage.salvage import salvage
from edge.storage.stream_end import StreamEnd

STREAM = "abcdefghij234"


def filled(path, sizes):
    outbox = Outbox(path, durable=True)
    draw = random.Random(1)
    blocks = [Encoded(n, n, n % 7 == 0, draw.randbytes(size)) for n, size in enumerate(sizes, 1)]
    for block in blocks:
        outbox.commit([block], StreamEnd(STREAM, block.last, None, 0, False), [("alerts", "[]")])
    return outbox, [(STREAM, block) for block in blocks]


def test_a_file_that_does_not_exist(tmp_path):
    found = salvage(tmp_path / "outbox.db")
    assert (found.blocks, found.memory) == ([], {})


def test_every_row_of_file_and_wal(outbox_path):
    """Payloads up to three pages, so that rows have overflow pages."""
    outbox, blocks = filled(outbox_path, [1, 100, 3000, 4030, 4061, 4096, 9000, 20_000] * 10)
    assert salvage(outbox_path).blocks == blocks  # in the -wal
    outbox.close()
    assert salvage(outbox_path).blocks == blocks  # in the file
    assert salvage(outbox_path).memory == {"alerts": "[]"}


def test_a_page_costs_only_its_rows(outbox_path):
    outbox, blocks = filled(outbox_path, [300] * 200)
    outbox.close()
    raw = bytearray(outbox_path.read_bytes())
    damaged = [at for at in range(0, len(raw), 4096) if raw[at] == 13][3]
    raw[damaged : damaged + 4096] = random.Random(2).randbytes(4096)
    outbox_path.write_bytes(raw)
    found = salvage(outbox_path).blocks
    assert set(found) < set(blocks)
    assert len(found) >= len(blocks) - 13  # rows of 300 bytes on a page


def test_a_wrong_kind_of_page_costs_nothing(outbox_path):
    outbox, blocks = filled(outbox_path, [300] * 200)
    outbox.close()
    raw = bytearray(outbox_path.read_bytes())
    for at in range(4096, len(raw), 4096):
        raw[at] ^= 8  # a leaf becomes an interior page
    outbox_path.write_bytes(raw)
    assert salvage(outbox_path).blocks == blocks


def test_numbers_come_from_the_payload_if_the_row_is_damaged(outbox_path, measured):
    block = OpenBlock()
    block.open_at(0, None)
    block.add_reading(measured(0))
    payload = encode(block.close(STREAM, 5))
    outbox = Outbox(outbox_path, durable=True)
    outbox.commit([Encoded(5, 6, False, payload)], StreamEnd(STREAM, 6, None, 0, False))
    db = sqlite3.connect(outbox_path)
    with db:
        db.execute("UPDATE block SET first = 1, last = 99")
    db.close()
    outbox.close()
    assert salvage(outbox_path).blocks == [(STREAM, Encoded(5, 6, False, payload))]


def test_random_bytes_are_no_rows(outbox_path):
    outbox_path.write_bytes(random.Random(3).randbytes(4096 * 20))
    assert salvage(outbox_path).blocks == []
