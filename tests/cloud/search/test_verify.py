from collections.abc import Iterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from cloud.config import Period
from cloud.lake.positions import FileSequence, LandedFile, Position
from cloud.search.names import IndexNames
from cloud.search.query import EVERYTHING, Filter, StreamCount
from cloud.search.verify import (
    Counted,
    StreamComparison,
    StreamOfKind,
    compare,
    keys_in_lake,
    search_counts,
    totals,
)
from contract.blocks import Block, SensorColumns, Series, TimedEvent
from contract.quantities import Quantity
from contract.records import Held, Kind, Loss, LossReason, Span
from contract.topics import Lane
from contract.wire import encode
from tests.builders import STREAM, landed

NAMES = IndexNames("dewline", Period.DAY)
LOSS = Loss(reason=LossReason.CORRUPT)


def block(first, readings=0, events=(), utc_at=None):
    sensor = SensorColumns(
        sensor_id="attic",
        series=(Series(Quantity.HUMIDITY, 1),),
        offsets_ms=tuple(range(readings)),
        columns=((455,) * readings,),
    )
    return Block(
        stream_id=STREAM,
        first=first,
        offset_ms=0,
        utc_at=utc_at,
        sensors=(sensor,) if readings else (),
        events=tuple(TimedEvent(0, e) for e in events),
    )


def file(*payloads, device="gw-1"):
    blocks = tuple(landed(payload, device) for payload in payloads)
    return LandedFile(Position(FileSequence("n", "1-x", Lane.LIVE), 1), blocks)


def of(kind, device="gw-1"):
    return StreamOfKind(kind, device, STREAM)


def test_repeated_blocks_count_once_and_unreadable_ones_not():
    first, second = encode(block(1, 4, [LOSS, Held()])), encode(block(7, 2, [LOSS]))
    files = [file(first, b"garbage", second), file(first), file(second, device="gw-2")]
    assert keys_in_lake(files) == {
        of(Kind.READING): Counted(6, 1 + 2 + 3 + 4 + 7 + 8),
        of(Kind.LOSS): Counted(2, 5 + 9),
        of(Kind.HELD): Counted(1, 6),
        of(Kind.READING, "gw-2"): Counted(2, 15),
        of(Kind.LOSS, "gw-2"): Counted(1, 9),
    }


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 9))))
def test_any_overlap_counts_each_number_once(spans):
    numbers = {n for first, total in spans for n in range(first, first + total)}
    found = keys_in_lake([file(*(encode(block(first, total)) for first, total in spans))])
    expected = Counted(len(numbers), sum(numbers))
    assert found.get(of(Kind.READING), Counted()) == expected


def test_many_scattered_blocks_are_merged_on_the_way():
    scattered = [encode(block(2 * n, 1)) for n in range(1, 1501)]
    assert keys_in_lake([file(*scattered)]) == {of(Kind.READING): Counted(1500, 1500 * 1501)}


def test_what_the_projection_leaves_out_is_not_expected():
    year_9999 = block(7, 2, [LOSS], utc_at=253_402_300_799_000)
    too_large = Held(spans=(Span(stream_id=STREAM, first=1, last=2**53 - 1),))
    assert keys_in_lake([file(encode(block(1, 2, [LOSS, too_large])), encode(year_9999))]) == {
        of(Kind.READING): Counted(2, 3),
        of(Kind.LOSS): Counted(1, 3),
    }


class Server:
    def __init__(self, counts) -> None:
        self.counts = counts
        self.refreshed: list[str] = []
        self.filters: dict[str, Filter] = {}

    def refresh(self, indices: Sequence[str]) -> None:
        self.refreshed += indices

    def count_streams(self, alias: str, matching: Filter) -> Iterator[StreamCount]:
        assert alias in self.refreshed
        self.filters[alias] = matching
        return iter(self.counts.get(alias, ()))


def test_documents_are_counted_per_kind():
    server = Server({"dewline-model-report": [StreamCount("gw-1", STREAM, 3, 6)]})
    assert search_counts(server, NAMES) == {of(Kind.MODEL_REPORT): Counted(3, 6)}
    assert set(server.filters.values()) == {EVERYTHING}


def test_missing_doubled_and_both_at_once_differ():
    lake = {of(k): Counted(4, 10) for k in (Kind.READING, Kind.ALERT, Kind.LOSS, Kind.HELD)}
    search = {
        of(Kind.READING): Counted(4, 10),
        of(Kind.ALERT): Counted(3, 6),
        of(Kind.LOSS): Counted(4, 9),  # one missing and another one twice
        of(Kind.STATUS): Counted(1, 1),
    }
    found = compare(lake, search)
    assert [c.of.kind for c in found if c.equal] == [Kind.READING]
    assert StreamComparison(of(Kind.HELD), Counted(4, 10), Counted()) in found
    assert StreamComparison(of(Kind.STATUS), Counted(), Counted(1, 1)) in found
    assert totals(found, lambda c: c.search)[Kind.LOSS] == 4
    assert set(totals(found, lambda c: c.lake)) == set(Kind)
