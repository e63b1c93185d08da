"""Streams with missing documents are found, and their blocks alone are applied again."""

import pytest

from cloud.errors import ProjectionError
from cloud.lake.positions import FileSequence, LandedFile, Position
from cloud.projections.repair import Stream, repair, with_missing
from cloud.projections.runner import BATCH_BLOCKS
from cloud.search.verify import Counted, StreamComparison, StreamOfKind
from contract.blocks import Block
from contract.records import Kind
from contract.topics import Lane
from tests.builders import JULY, air, landed

A, B = "a" * 13, "b" * 13


def compared(stream_id, lake, search, kind=Kind.READING):
    of = StreamOfKind(kind, "gw-1", stream_id)
    return StreamComparison(of, Counted(*lake), Counted(*search))


@pytest.mark.parametrize(
    ("lake", "search", "missing"),
    [
        ((3, 6), (3, 6), False),
        ((3, 6), (2, 5), True),
        ((3, 6), (0, 0), True),
        ((3, 6), (3, 7), True),  # one is missing, and there is one too many
        ((3, 6), (4, 10), False),  # only too many: writing again does not help
        ((0, 0), (1, 1), False),
    ],
)
def test_a_stream_with_missing_documents(lake, search, missing):
    found = with_missing([compared(A, lake, search), compared(B, (1, 1), (1, 1))])
    assert found == ({Stream("gw-1", A)} if missing else set())


def test_a_stream_is_named_once_whatever_kinds_it_lacks():
    kinds = [compared(A, (2, 3), (1, 1), kind) for kind in Kind]
    assert with_missing(kinds) == {Stream("gw-1", A)}


class Applied:
    """A projection that remembers its batches, and fails when it is asked to."""

    name = "search"

    def __init__(self, fails_at=None):
        self.batches = []
        self.fails_at = fails_at

    def apply(self, files):
        if len(self.batches) == self.fails_at:
            raise ProjectionError("away")
        self.batches.append(list(files))


def block(stream_id, first):
    return Block(stream_id=stream_id, first=first, offset_ms=0, utc_at=JULY, sensors=(air(1),))


def file(n, *blocks):
    return LandedFile(Position(FileSequence("node-1", "1-x", Lane.LIVE), n), blocks)


def test_only_blocks_of_these_streams_are_applied_in_their_order():
    wanted = [landed(block(A, 1)), landed(block(A, 3))]
    others = [landed(block(B, 1)), landed(block(A, 1), "gw-2"), landed(b"unreadable")]
    files = [file(1, wanted[0], *others), file(2, *others), file(3, *others, wanted[1])]
    applied = Applied()
    repair(applied, files, frozenset({Stream("gw-1", A)}))
    (batch,) = applied.batches
    assert [(f.position.n, f.blocks) for f in batch] == [(1, (wanted[0],)), (3, (wanted[1],))]
    repair(applied, files, frozenset())
    assert len(applied.batches) == 1


def test_batches_are_no_larger_than_those_of_the_runner():
    one = landed(block(A, 1))
    files = [file(n, *[one] * (BATCH_BLOCKS // 2)) for n in range(1, 6)]
    applied = Applied()
    repair(applied, files, frozenset({Stream("gw-1", A)}))
    assert [[f.position.n for f in batch] for batch in applied.batches] == [[1, 2], [3, 4], [5]]


def test_a_server_that_is_away_ends_the_repair():
    one = landed(block(A, 1))
    files = [file(n, *[one] * BATCH_BLOCKS) for n in range(1, 4)]
    applied = Applied(fails_at=1)
    with pytest.raises(ProjectionError, match="away"):
        repair(applied, files, frozenset({Stream("gw-1", A)}))
    assert len(applied.batches) == 1
