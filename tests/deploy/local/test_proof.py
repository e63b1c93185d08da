"""The closing table: it must see what is missing and what is doubled."""

from collections.abc import Iterator

from cloud.lake.positions import Cursor, FileSequence, LandedBlock, LandedFile, Position
from cloud.ledger.report import Totals
from contract.blocks import Block, TimedEvent
from contract.records import Kind, Phase, Status
from contract.topics import Lane
from deploy.local.proof import Counts, LakeCount, count_lake, lines, totals
from deploy.local.summary import Proof
from tests.builders import landed as as_landed
from tests.builders import temperatures

STREAM = "aaaaaaaaaaaaa"


def landed(first: int, readings: int, payload: bytes | None = None) -> LandedBlock:
    """A block of so many temperatures and one Status."""
    air = temperatures([2000 + i for i in range(readings)], range(readings), "air")
    status = TimedEvent(readings, Status(phase=Phase.RUNNING, version="1"))
    block = Block(
        stream_id=STREAM, first=first, offset_ms=0, utc_at=1, sensors=(air,), events=(status,)
    )
    return as_landed(block if payload is None else payload, "ewr", received_at=1)


class FewFiles:
    """A lake of the given blocks, one a file."""

    def __init__(self, *blocks: LandedBlock) -> None:
        self._blocks = blocks

    def after(self, cursor: Cursor) -> Iterator[LandedFile]:
        assert not cursor.passed
        sequence = FileSequence("node", "start", Lane.LIVE)
        for n, block in enumerate(self._blocks, 1):
            yield LandedFile(Position(sequence, n), (block,))


def test_keys_are_counted_once_whatever_comes_again() -> None:
    first, second = landed(1, 3), landed(5, 2)
    count = count_lake(FewFiles(first, second, first, landed(8, 1, payload=b"\xff")))
    assert count.keys == {("ewr", Kind.READING): 5, ("ewr", Kind.STATUS): 2}
    assert (count.deliveries, count.repeated, count.unreadable) == (4, 1, 1)
    assert count.payload_bytes == len(first.payload) + len(second.payload)


def test_overlapping_numbers_are_one_key_each() -> None:
    count = count_lake(FewFiles(landed(1, 3), landed(2, 3)))
    assert count.keys[("ewr", Kind.READING)] == 4  # 1 to 3 and 2 to 4


EWR = ("ewr", Kind.READING)


def table(produced: int, lake: int, search: int, warehouse: int) -> Proof:
    counts: list[Counts] = [{EWR: n} for n in (produced, 0, lake, search, warehouse)]
    nothing = LakeCount({}, 0, 0, 0, 0)
    return Proof(lines(*counts), nothing, Totals(), search_equal=True)


def test_it_closes_only_if_all_stores_agree() -> None:
    assert table(7, 7, 7, 7).closed
    for wrong in ((7, 6, 7, 7), (7, 7, 6, 7), (7, 7, 7, 6)):
        assert (table(*wrong).lines[0].lost, table(*wrong).closed) == (1, False)
    for wrong in ((7, 8, 7, 7), (7, 7, 8, 7), (7, 7, 7, 8)):
        assert (table(*wrong).lines[0].doubled, table(*wrong).closed) == (1, False)
    assert not table(0, 0, 0, 0).closed  # nothing proves nothing


def test_the_ledger_and_the_search_have_their_say() -> None:
    good = table(7, 7, 7, 7)
    assert not Proof(good.lines, good.lake, Totals(unexplained=1), search_equal=True).closed
    assert not Proof(good.lines, good.lake, Totals(doubled=1), search_equal=True).closed
    assert not Proof(good.lines, good.lake, Totals(), search_equal=False).closed


def test_what_waits_in_an_outbox_is_not_sent() -> None:
    (line,) = lines({EWR: 7}, {EWR: 2}, {EWR: 5}, {EWR: 5}, {EWR: 5})
    assert (line.sent, line.lost) == (5, 2)


def test_every_kind_is_named_in_the_totals() -> None:
    found = totals({EWR: 7, ("jfk", Kind.READING): 1})
    assert found["reading"] == 8
    assert set(found) == set(Kind)
