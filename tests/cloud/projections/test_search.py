import json
import random
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from elasticsearch import Elasticsearch as RawClient

from cloud.clock_fix import fixed_observed_at
from cloud.columns import COLUMNS
from cloud.config import Period
from cloud.errors import ProjectionError
from cloud.lake.cursors import CursorStore
from cloud.lake.positions import Cursor, FileSequence, LandedFile, Position
from cloud.lake.store import FolderStore
from cloud.plausible import FIRST_UTC_MS
from cloud.projections.runner import ProjectionRunner
from cloud.projections.search import SearchProjection
from cloud.search.bulk import BulkLimits, BulkWriter, OutcomeKind, RefusedDocument
from cloud.search.client import SearchClient
from cloud.search.documents import BlockContext, documents
from cloud.search.names import IndexNames
from cloud.search.query import EVERYTHING, Filter
from cloud.search.templates import install
from cloud.search.verify import compare, keys_in_lake, search_counts
from contract.blocks import Block, Mark, kinds_total
from contract.quantities import Flag, Quality
from contract.records import (
    ClockFix,
    Kind,
)
from contract.topics import Lane
from deploy.local.elasticsearch import Elasticsearch
from tests.builders import EVERY_EVENT, JULY, STREAM, air, landed, timed

pytestmark = pytest.mark.services

SEED = 20130704
DEVICE = "gw-1"
ORIGIN = BlockContext(device_id=DEVICE, received_at=JULY + 1)
SEQUENCE = FileSequence("node-1", "1372895999000-0123abcd", Lane.LIVE)


class Refused(list):
    def put(self, refused: Sequence[RefusedDocument]) -> None:
        self.extend(refused)


def sensor(rows=3):
    return air(rows, (None, *(451,) * (rows - 1)), (Mark(1, 0, Quality.BAD, (Flag.CHECK_FAILED,)),))


def block(first=1, utc_at=JULY, events=(), sensors=()):
    return Block(
        stream_id=STREAM,
        first=first,
        offset_ms=1000,
        utc_at=utc_at,
        sensors=sensors,
        events=timed(events),
    )


def file(n, *blocks, device=DEVICE):
    return LandedFile(Position(SEQUENCE, n), tuple(landed(b, device) for b in blocks))


class Store:
    """A projection, and a look at what it wrote."""

    def __init__(self, url: str, names: IndexNames) -> None:
        self.client = SearchClient(url)
        self.names = names
        self.refused = Refused()

    def projection(self) -> SearchProjection:
        limits = BulkLimits(documents=100, attempts=2, first_pause_s=0.01)
        writer = BulkWriter(self.client, self.refused, limits, time.sleep, random.Random(SEED))
        return SearchProjection(self.client, writer, self.names)

    def all(self):
        """Every document by index and id, its fields without the ones that repeat its place."""
        aliases = [self.names.alias(kind) for kind in Kind]
        self.client.refresh(aliases)
        hits = self.client.find(aliases, EVERYTHING, limit=10_000)
        assert len(hits) == sum(self.client.count(alias) for alias in aliases)
        return {(h.index.removeprefix(self.names.prefix + "-"), h.id): h.fields for h in hits}


@pytest.fixture(scope="module")
def names(elasticsearch):
    names = IndexNames(f"t{secrets.token_hex(4)}", Period.DAY)
    client = SearchClient(elasticsearch.url)
    install(client, names)
    client.close()
    return names


@pytest.fixture
def store(elasticsearch, names):
    store = Store(elasticsearch.url, names)
    yield store
    raw = RawClient(elasticsearch.url)
    for index in raw.indices.get(index=f"{names.prefix}-*"):
        raw.indices.delete(index=index)
    raw.close()
    store.client.close()


def test_every_kind_is_stored_and_twice_is_once(store):
    made = block(sensors=(sensor(),), events=EVERY_EVENT)
    assert set(kinds_total(made)) == set(Kind)
    store.projection().apply([file(1, made)])
    stored = store.all()
    assert len(stored) == made.records_total
    assert store.refused == []
    for kind in Kind:
        store.client.refresh([store.names.alias(kind)])
        assert store.client.count(store.names.alias(kind)) == kinds_total(made)[kind]
        known = {c.name for c in COLUMNS[kind]} | {"@timestamp"}
        (fields, *_) = (
            f for (i, _), f in stored.items() if i.startswith(kind.replace("_", "-") + "-")
        )
        assert set(fields) <= known
    store.projection().apply([file(1, made), file(2, made)])
    assert store.all() == stored


def test_days_find_their_index(store):
    store.projection().apply([file(1, block(sensors=(sensor(rows=2),)))])
    assert set(store.all()) == {
        ("reading-2013.07.03", f"{DEVICE}:{STREAM}:1"),
        ("reading-2013.07.04", f"{DEVICE}:{STREAM}:2"),
        ("reading-2013.07.03", f"{DEVICE}:{STREAM}:3"),
        ("reading-2013.07.04", f"{DEVICE}:{STREAM}:4"),
    }


@pytest.mark.parametrize("utc_at", [FIRST_UTC_MS, JULY + 1 + 86_400_000])
def test_the_earliest_and_the_latest_day_that_is_plausible(store, utc_at):
    made = replace(block(events=EVERY_EVENT[:1], utc_at=utc_at), offset_ms=2000)
    store.projection().apply([file(1, made)])
    ((_, fields),) = store.all().items()
    assert fields["observed_at"] == utc_at
    assert store.refused == []


def test_1100_readings_each_of_another_day_make_one_index(store):
    """They would make 1,100 indices, and use up the cluster's shards."""
    days = tuple(1000 + 86_400_000 * n for n in range(1100))
    spread = replace(air(1), offsets_ms=days, columns=((2508,) * 1100, (451,) * 1100))
    poison = replace(block(sensors=(spread,)), stream_id="p" * 13)
    files = [file(1, poison, device="bad-01"), file(2, block(sensors=(sensor(),)))]
    store.projection().apply(files)
    assert {index for index, _ in store.all()} == {"reading-2013.07.03", "reading-2013.07.04"}
    assert all(
        c.equal for c in compare(keys_in_lake(files), search_counts(store.client, store.names))
    )


@pytest.mark.parametrize("utc_at", [-62_135_596_800_000, 253_402_300_700_000])
def test_an_implausible_block_and_fix_are_left_out_and_the_rest_is_stored(store, utc_at):
    poison = replace(block(utc_at=utc_at, events=EVERY_EVENT[:1], sensors=(sensor(),)), first=50)
    fix = block(first=8, events=(ClockFix(utc_at=utc_at, uncertainty_ms=20),))
    good = block(first=9, events=(ClockFix(utc_at=JULY, uncertainty_ms=20),))
    store.projection().apply([file(1, UNDATED, poison, fix)])
    assert {index for index, _ in store.all()} == {"reading-unsynced", "loss-unsynced"}
    store.projection().apply([file(2, good)])
    assert store.all() == expected(store, DATED, good)


def closed(elasticsearch, index):
    raw = RawClient(elasticsearch.url)
    raw.indices.close(index=index)
    return raw


def test_readings_for_a_closed_index_wait_and_none_is_refused(store, elasticsearch, tmp_path):
    first, second = (block(first=n, sensors=(sensor(rows=1),)) for n in (1, 3))
    lake = StoppingLake([file(1, first), file(2, second)], None)
    cursors = CursorStore(FolderStore(tmp_path / "lake"), SearchProjection.name)
    store.projection().apply([file(1, first)])
    index = f"{store.names.alias(Kind.READING)}-2013.07.03"
    raw = closed(elasticsearch, index)
    with pytest.raises(ProjectionError, match=f"open index {index}") as caught:
        ProjectionRunner(lake, cursors, store.projection(), batch_blocks=1).run_once()
    assert caught.value.retryable
    raw.indices.open(index=index, wait_for_active_shards=1)
    raw.close()
    assert ProjectionRunner(lake, cursors, store.projection(), batch_blocks=1).run_once() == 2
    assert {key for _, key in store.all()} == {f"{DEVICE}:{STREAM}:{n}" for n in range(1, 5)}
    assert store.refused == []


def test_old_indices_stay_readable_and_get_what_arrives_again(store):
    """As an older release left them: an index of each kind for each day."""
    made = block(sensors=(sensor(),), events=EVERY_EVENT)
    older = documents(ORIGIN, made, store.names)
    old = [
        document._replace(index_name=f"{document.index_name.rpartition('-')[0]}-{day}")
        for document in older
        for day in [json.loads(document.body)["event_day"].replace("-", ".")]
    ]
    store.projection()._writer.create(old)
    stored = store.all()
    monthly = replace(store.names, period=Period.MONTH)
    writer = store.projection()._writer
    later = block(first=100, utc_at=JULY + 5 * 86_400_000, sensors=(sensor(),), events=EVERY_EVENT)
    files = [
        file(1, made),
        LandedFile(Position(SEQUENCE, 2), (landed(later, received_at=JULY + 6 * 86_400_000),)),
    ]
    SearchProjection(store.client, writer, monthly).apply(files)
    found = store.all()
    assert {place: found[place] for place in stored} == stored
    new = {index for index, _ in found.keys() - stored.keys()}
    assert new == {"reading-2013.07"} | {
        f"{kind.replace('_', '-')}-2013.01" for kind in Kind if kind is not Kind.READING
    }
    lake = keys_in_lake(files)
    assert all(c.equal for c in compare(lake, search_counts(store.client, store.names)))


def test_a_fix_that_an_older_program_stored_dates_nothing(store):
    old = block(first=8, events=(ClockFix(utc_at=0, uncertainty_ms=20),))
    store.projection()._writer.create(documents(ORIGIN, old, store.names))
    store.projection().apply([file(1, UNDATED)])
    assert {index for index, _ in store.all() if "clock" not in index} == {
        "reading-unsynced",
        "loss-unsynced",
    }
    good = block(first=9, events=(ClockFix(utc_at=JULY, uncertainty_ms=20),))
    store.projection().apply([file(2, good)])
    assert store.all() == expected(store, old, DATED, good)


def test_what_elasticsearch_refuses_goes_to_the_sink_and_the_rest_is_stored(store, elasticsearch):
    # An index somebody made by hand, whose mapping contradicts the template.
    raw = RawClient(elasticsearch.url)
    wrong = {"properties": {"quantity": {"type": "date"}}}
    raw.indices.create(index=f"{store.names.alias(Kind.READING)}-2013.07.03", mappings=wrong)
    raw.close()
    store.projection().apply([file(1, block(sensors=(sensor(rows=2),)))])
    assert {key for _, key in store.all()} == {f"{DEVICE}:{STREAM}:2", f"{DEVICE}:{STREAM}:4"}
    assert len(store.refused) == 2
    key, device_id, reason, document = store.refused[0]
    assert (key, device_id) == (f"{DEVICE}:{STREAM}:1", DEVICE)
    assert reason.startswith("400 document_parsing_exception")
    assert json.loads(document)["seq"] == 1


def test_undecodable_blocks_are_passed_over(store):
    store.projection().apply([file(1, b"", b"garbage", block(events=(EVERY_EVENT[4],)), b"\x01")])
    assert len(store.all()) == 1
    assert store.refused == []


UNDATED = block(utc_at=None, sensors=(sensor(),), events=(EVERY_EVENT[4],))
FIX = block(first=8, utc_at=JULY, events=(ClockFix(utc_at=JULY, uncertainty_ms=20),))
# The same as UNDATED, had the clock been right: FIX's record is at offset 2000.
DATED = replace(UNDATED, utc_at=fixed_observed_at(UNDATED.offset_ms, 2000, JULY))


def test_undated_records_wait_until_a_fix_comes(store):
    store.projection().apply([file(1, UNDATED)])
    assert {index for index, _ in store.all()} == {"reading-unsynced", "loss-unsynced"}
    store.projection().apply([file(2, FIX)])
    after = store.all()
    assert after == expected(store, DATED, FIX)
    store.projection().apply([file(1, UNDATED), file(2, FIX)])
    assert store.all() == after


def expected(store, *blocks):
    """What the store holds if these blocks came and nothing else."""
    found = {}
    for made in blocks:
        for index, key, body in documents(ORIGIN, made, store.names):
            found[index.removeprefix(store.names.prefix + "-"), key] = json.loads(body)
    return found


def test_undated_records_after_their_fix(store):
    store.projection().apply([file(1, FIX)])
    store.projection().apply([file(2, UNDATED)])
    assert store.all() == expected(store, DATED, FIX)


def test_undated_records_and_their_fix_in_one_batch(store):
    store.projection().apply([file(1, UNDATED, FIX)])
    assert store.all() == expected(store, DATED, FIX)


def test_a_fix_dates_no_other_stream_and_no_other_device(store):
    store.projection().apply([file(1, UNDATED, device="gw-2"), file(2, FIX)])
    store.projection().apply([file(3, replace(UNDATED, stream_id="b" * 13))])
    waiting = {key for index, key in store.all() if index.endswith("-unsynced")}
    assert len(waiting) == 14
    assert not [key for key in waiting if key.startswith(f"{DEVICE}:{STREAM}")]


def test_a_move_that_broke_off_after_its_creation_is_completed(store):
    projection = store.projection()
    projection.apply([file(1, UNDATED)])
    waiting = store.names.unsynced(Kind.READING)
    # As a crash between create and delete leaves it: in both indices.
    broken_off = SearchProjection(store.client, OnlyCreates(store), store.names)
    broken_off.apply([file(2, FIX)])
    assert len(store.all()) == 2 * UNDATED.records_total + 1
    projection.apply([file(2, FIX)])
    assert store.all() == expected(store, DATED, FIX)
    store.client.refresh([waiting])
    assert store.client.count(waiting) == 0


class OnlyCreates(BulkWriter):
    def __init__(self, store: Store) -> None:
        super().__init__(store.client, store.refused, BulkLimits(), time.sleep, random.Random(SEED))

    def delete(self, documents):
        list(documents)


def test_a_fix_that_gives_no_date_leaves_the_records_where_they_are(store):
    impossible = block(first=8, events=(ClockFix(utc_at=2000, uncertainty_ms=20),))
    store.projection().apply([file(1, UNDATED), file(2, impossible)])
    waiting = [key for index, key in store.all() if index.endswith("-unsynced")]
    assert len(waiting) == UNDATED.records_total


def test_more_waiting_records_than_one_page(store):
    many = block(utc_at=None, sensors=(sensor(rows=800),))
    fix = block(first=1601, events=(ClockFix(utc_at=JULY, uncertainty_ms=20),))
    store.projection().apply([file(1, many)])
    store.projection().apply([file(2, fix)])
    store.all()
    undated = Filter(missing="observed_at")
    assert store.client.count(store.names.alias(Kind.READING)) == 1600
    assert store.client.count(store.names.alias(Kind.READING), undated) == 0


def test_verify_sees_what_is_missing_and_what_is_doubled(store):
    files = [file(1, UNDATED, FIX), file(2, block(first=20, events=EVERY_EVENT)), file(3, FIX)]
    store.projection().apply(files)
    lake = keys_in_lake(files)
    assert all(c.equal for c in compare(lake, search_counts(store.client, store.names)))
    one, other, *_ = documents(ORIGIN, DATED, store.names)
    twice = other._replace(index_name=store.names.unsynced(Kind.READING))
    store.client.ensure_index(twice.index_name)
    for change, items in (
        (store.client.bulk_delete, [one]),
        (store.client.bulk_create, [twice]),
        (store.client.bulk_create, [one]),
    ):
        assert {o.kind for o in change(items)} == {OutcomeKind.DONE}
        found = compare(lake, search_counts(store.client, store.names))
        assert [c.of.kind for c in found if not c.equal] == [Kind.READING]


class StoppingLake:
    """Files in memory; the server is killed when the third one is read."""

    def __init__(self, files, server) -> None:
        self.files = files
        self.server = server

    def after(self, cursor: Cursor) -> Iterator[LandedFile]:
        for landed_file in self.files:
            if landed_file.position.n == 3 and self.server:
                self.server.kill()
                self.server = None
            if not cursor.covers(landed_file.position):
                yield landed_file


@pytest.fixture
def own_elasticsearch(stack_base):
    server = Elasticsearch.start(stack_base)
    yield server
    server.stop()


def test_elasticsearch_is_killed_in_the_middle_and_started_again(own_elasticsearch, tmp_path):
    store = Store(own_elasticsearch.url, IndexNames("dewline", Period.MONTH))
    install(store.client, store.names)
    files = [file(n, block(first=6 * n - 5, sensors=(sensor(),))) for n in range(1, 6)]
    lake = StoppingLake(files, own_elasticsearch)
    cursors = CursorStore(FolderStore(tmp_path / "lake"), SearchProjection.name)
    runner = ProjectionRunner(lake, cursors, store.projection(), batch_blocks=1)
    with pytest.raises(ProjectionError) as caught:
        runner.run_once()
    assert caught.value.retryable
    assert cursors.load().passed == {SEQUENCE: 2}
    own_elasticsearch.restart()
    assert runner.run_once() == 3
    assert {key for _, key in store.all()} == {f"{DEVICE}:{STREAM}:{n}" for n in range(1, 31)}
    assert cursors.load().passed == {SEQUENCE: 5}
    store.client.close()
