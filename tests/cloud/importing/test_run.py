"""A run over files: nothing twice, whatever was imported before, and whatever went wrong."""

import hashlib
import shutil

import pytest

from cloud.errors import HistoryError, LakeError
from cloud.importing.run import FILE_READINGS, NODE, Importer
from cloud.importing.state import LAYOUT, ImportKey, imports_of, overlapping
from cloud.lake.cursors import CursorStore
from cloud.lake.fold import fold
from cloud.lake.positions import Cursor
from cloud.lake.raw import RawTable
from cloud.lake.reader import LakeReader
from cloud.lake.store import FolderStore
from cloud.lake.survey import verify
from contract.blocks import ClockState
from contract.keys import import_stream_id
from contract.topics import Lane
from contract.wire import decode
from tests.cloud.importing.plain_mapping import NOW, ROOM


def rows(first, last):
    return "".join(
        f"2024-01-01 00:{n // 60:02d}:{n % 60:02d},{n / 10}\n" for n in range(first, last)
    )


CSV = "time,temp\n" + rows(0, 3000)


class FailingStore(FolderStore):
    """Fails when it has created so many landing files."""

    def __init__(self, root, left):
        super().__init__(root)
        self.left = left

    def create(self, path, data):
        if path.startswith("landing/"):
            if self.left == 0:
                raise LakeError("the disk is full")
            self.left -= 1
        super().create(path, data)


def importer(store, mapping, now_ms=NOW):
    return Importer(store, mapping, now_ms, file_readings=500)


def quiet(_bytes, _readings):
    pass


def test_the_same_file_twice_writes_nothing(lake, run, file_of, mapping_of):
    path = file_of(CSV)
    first = run(path, mapping_of())
    before = lake.store.list("")
    again = run(file_of(CSV, "copy.csv"), mapping_of(), now_ms=NOW + 10**9)
    assert (first.known, again.known) == (False, True)
    assert again.readings == first.readings == 3000
    assert lake.store.list("") == before
    assert [d.file for d in imports_of(lake.store)] == ["file.csv"]


def test_a_block_is_as_a_gateway_s(lake, run, file_of, mapping_of):
    run(file_of(CSV), mapping_of())
    (file,) = lake.files()
    assert (file.position.sequence.node, file.position.sequence.lane) == (NODE, Lane.BACKFILL)
    for landed in file.blocks:
        block = decode(landed.payload)
        assert landed.received_at == NOW
        assert landed.topic == "dewline/v1/store/up/backfill"
        assert (landed.first, landed.last, landed.stream_id) == (
            block.first,
            block.last,
            block.stream_id,
        )
        assert block.clock is ClockState.SYNCED


@pytest.mark.parametrize("left", range(4))
def test_a_run_that_failed_is_continued(lake, tmp_path, file_of, mapping_of, left):
    mapping, path = mapping_of(CSV_MAPPING), file_of(MANY)
    importer(FolderStore(tmp_path / "clean"), mapping).run(path, quiet)
    with pytest.raises(LakeError, match="disk is full"):
        importer(FailingStore(lake.folder, left), mapping).run(path, quiet)
    outcome = importer(lake.store, mapping, NOW + 10**8).run(path, quiet)
    assert lake.blocks() == type(lake)(tmp_path / "clean").blocks()
    assert (outcome.readings, outcome.files, outcome.resumed_files) == (2400, 5, left)
    assert not list(verify(lake.store, RawTable(lake.folder / "raw")))


def test_a_run_is_continued_after_the_fold_took_its_files(lake, tmp_path, file_of, mapping_of):
    mapping, path = mapping_of(CSV_MAPPING), file_of(MANY)
    importer(FolderStore(tmp_path / "clean"), mapping).run(path, quiet)
    with pytest.raises(LakeError):
        importer(FailingStore(lake.folder, 3), mapping).run(path, quiet)
    raw = RawTable(lake.folder / "raw")
    assert fold(lake.store, raw, (), NOW + 10**9, 0).deleted_files == 3
    outcome = importer(lake.store, mapping, NOW + 10**9).run(path, quiet)
    assert (outcome.resumed_files, outcome.files) == (3, 5)
    reader = LakeReader(lake.store, raw)
    blocks = sorted(
        (b.device_id, b.stream_id, b.first, b.last, b.topic, b.payload)
        for file in reader.after(Cursor())
        for b in file.blocks
    )
    assert blocks == type(lake)(tmp_path / "clean").blocks()
    assert not reader.holes


CSV_MAPPING = ROOM.replace('id = "store"', 'column = "device"')
MANY = "time,device,temp\n" + "".join(
    f"2024-01-01 00:{n // 60:02d}:{n % 60:02d},gw-{d},{n / 10}\n"
    for d in range(4)
    for n in range(600)
)


def test_files_of_a_run_share_a_sequence_until_one_fails(lake, file_of, mapping_of):
    mapping = mapping_of()
    one = importer(lake.store, mapping)
    one.run(file_of(CSV, "a.csv"), quiet)
    one.run(file_of("time,temp\n" + rows(0, 10), "b.csv"), quiet)
    with pytest.raises(HistoryError):
        one.run(file_of("time;temp\n", "c.csv"), quiet)
    one.run(file_of("time,temp\n" + rows(0, 20), "d.csv"), quiet)
    assert len({file.position.sequence for file in lake.files()}) == 2
    assert not list(verify(lake.store, RawTable(lake.folder / "raw")))


def test_two_runs_that_continue_one_file_do_not_mix_their_other_files(
    lake, tmp_path, file_of, mapping_of
):
    """Both continue a; meanwhile the second begins c and dies, and then the first begins d."""
    mapping = mapping_of(CSV_MAPPING)
    a, c, d = (file_of(MANY.replace("gw-", name), f"{name}.csv") for name in "acd")
    clean = importer(FolderStore(tmp_path / "clean"), mapping)
    for path in (a, c, d):
        clean.run(path, quiet)
    with pytest.raises(LakeError):
        importer(FailingStore(lake.folder, 2), mapping).run(a, quiet)
    first = importer(lake.store, mapping)
    second = importer(FailingStore(lake.folder, 4), mapping, NOW + 1)

    def meanwhile(_bytes, _readings):
        second.run(a, quiet)
        with pytest.raises(LakeError):
            second.run(c, quiet)

    first.run(a, meanwhile)
    first.run(d, quiet)
    importer(lake.store, mapping, NOW + 2).run(c, quiet)
    assert lake.blocks() == type(lake)(tmp_path / "clean").blocks()


def test_the_same_content_by_another_mapping_needs_to_be_wanted(lake, run, file_of, mapping_of):
    path = file_of(CSV)
    run(path, mapping_of())
    other = mapping_of(sensor="cellar")
    with pytest.raises(HistoryError, match=r"before, as file\.csv, with another mapping"):
        run(path, other)
    run(path, other, again=True)
    assert {r[1] for r in lake.readings()} == {"room/temperature", "cellar/temperature"}


def test_a_file_that_changes_meanwhile_is_not_complete(lake, file_of, mapping_of):
    path = file_of(CSV)

    def grow(_bytes, _readings):
        path.write_text(CSV + rows(3000, 3001))

    with pytest.raises(HistoryError, match="has changed while it was imported"):
        importer(lake.store, mapping_of()).run(path, grow)
    assert imports_of(lake.store) == ()


def test_files_with_the_same_signals_and_times_are_named(lake, run, file_of, mapping_of):
    run(file_of("time,temp\n" + rows(0, 100), "a.csv"), mapping_of())
    earlier = imports_of(lake.store)
    overlap = run(file_of("time,temp\n" + rows(99, 200), "b.csv"), mapping_of())
    later = run(file_of("time,temp\n" + rows(300, 400), "c.csv"), mapping_of())
    other = run(file_of("time,temp\n" + rows(0, 101), "d.csv"), mapping_of(device="x"))
    assert overlapping(overlap.spans, earlier) == ("a.csv",)
    assert overlapping(later.spans, earlier) == ()
    assert overlapping(other.spans, earlier) == ()


def test_a_damaged_state_is_named(lake, run, file_of, mapping_of):
    run(file_of(CSV), mapping_of())
    (path,) = [p for p in lake.store.list("imports/") if p.endswith("done.json")]
    (lake.folder / path).write_text("{")
    with pytest.raises(HistoryError, match=r"done\.json in the lake is damaged"):
        run(file_of(CSV), mapping_of())


def test_a_lost_state_repeats_blocks_and_adds_no_number(lake, account_of, run, file_of, mapping_of):
    """Somebody deletes `imports/`: the ledger counts the same numbers, delivered twice."""
    run(file_of(CSV), mapping_of())
    shutil.rmtree(lake.folder / "imports")
    run(file_of(CSV), mapping_of(), now_ms=NOW + 1)
    account = account_of(lake.files())
    (stream,) = account.streams
    assert (stream.unexplained_total, stream.doubled_total) == (0, 0)
    assert stream.tally.repeated_total == stream.tally.blocks_total == 7


def test_the_ledger_closes_and_two_files_of_one_device_are_no_fork(
    lake, account_of, run, file_of, mapping_of
):
    run(file_of(CSV, "a.csv"), mapping_of())
    run(file_of(CSV.replace("temp", "hum"), "b.csv"), mapping_of(HUMIDITY))
    account = account_of(lake.files())
    assert account.forks == ()
    assert [(s.expected_last, s.unexplained_total, s.doubled_total) for s in account.streams] == [
        (3001, 0, 0)
    ] * 2


HUMIDITY = ROOM.replace("temperature", "humidity").replace('"temp"', '"hum"')


def test_a_cursor_of_the_fold_is_enough_to_know_the_files(lake, run, file_of, mapping_of):
    """`registered` projections read an import like any other files."""
    cursors = CursorStore(lake.store, "search")
    cursors.register()
    run(file_of(CSV), mapping_of())
    raw = RawTable(lake.folder / "raw")
    assert fold(lake.store, raw, [cursors.load()], NOW + 10**9, 0).appended_files == 1
    assert [f.position.n for f in LakeReader(lake.store, raw).after(Cursor())] == [1]


def test_the_same_rows_become_the_same_blocks_in_every_release(lake, file_of, mapping_of):
    """An interrupted import may be continued by a newer program: else `LAYOUT` must grow."""
    mapping, path = mapping_of(CSV_MAPPING), file_of(MANY)
    Importer(lake.store, mapping, NOW).run(path, quiet)
    numbers = [[(b.device_id, b.first, b.last) for b in f.blocks] for f in lake.files()]
    spans = [(1, 1), (2, 501), (502, 601)]
    assert numbers == [[(f"gw-{d}", *span) for d in range(4) for span in spans]]
    assert (LAYOUT, FILE_READINGS) == (1, 20_000)
    key = ImportKey("ab" * 32, "cd" * 32)
    name = hashlib.sha256(key.digest + b"gw-0").digest()
    assert import_stream_id(name) == "imr5gux7fgenz"
