"""The runner: everything once where nothing fails, at least once where something does."""

import random
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.errors import LakeMissing, ProjectionError
from cloud.lake.cursors import CursorStore, all_cursors
from cloud.lake.positions import Cursor, FileSequence, LandedFile, Position
from cloud.lake.store import FolderStore
from cloud.projections.runner import ProjectionRunner
from contract.errors import DewlineError
from contract.topics import Lane
from tests.builders import landed
from transport.backoff import Backoff

LIVE = FileSequence("node-1", "1700049600000-0123abcd", Lane.LIVE)


class Files:
    """A lake in memory; `error` is raised once where it is set."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.error: DewlineError | None = None

    def after(self, cursor: Cursor) -> Iterator[LandedFile]:
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        for n in range(cursor.passed.get(LIVE, 0) + 1, self.total + 1):
            blocks = (landed(b"", "ewr"), landed(b"", "ewr"))
            yield LandedFile(Position(LIVE, n), blocks)


class Target:
    """Keeps numbers in the order they came; refuses where `refusals` says so."""

    name = "target"

    def __init__(self, refusals: Sequence[bool] = ()) -> None:
        self.batches: list[list[int]] = []
        self._refusals = iter(refusals)

    def apply(self, files: Sequence[LandedFile]) -> None:
        self.batches.append([f.position.n for f in files])
        if next(self._refusals, False):
            raise ProjectionError("took half of it")


@pytest.fixture
def cursors(tmp_path: Path) -> CursorStore:
    return CursorStore(FolderStore(tmp_path), "target")


def test_once_runs_to_the_end_in_batches(cursors: CursorStore) -> None:
    target = Target()
    runner = ProjectionRunner(Files(5), cursors, target, batch_blocks=4)
    assert runner.run_once() == 5
    assert target.batches == [[1, 2], [3, 4], [5]]
    assert runner.run_once() == 0
    assert cursors.load() == Cursor({LIVE: 5})


def test_a_new_runner_is_known_to_the_fold_at_once(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    ProjectionRunner(Files(0), CursorStore(store, "target"), Target())
    assert all_cursors(store) == {"target": Cursor()}


def test_a_refused_batch_comes_again(cursors: CursorStore) -> None:
    target = Target([False, True])
    runner = ProjectionRunner(Files(4), cursors, target, batch_blocks=4)
    with pytest.raises(ProjectionError):
        runner.run_once()
    assert cursors.load() == Cursor({LIVE: 2})
    assert runner.run_once() == 2
    assert target.batches == [[1, 2], [3, 4], [3, 4]]


def test_following_waits_out_failures_and_stops_when_told(
    cursors: CursorStore, tmp_path: Path
) -> None:
    watched = CursorStore(FolderStore(tmp_path), "target")
    files, target, stop, errors = Files(3), Target([True, True]), threading.Event(), []
    runner = ProjectionRunner(
        files,
        cursors,
        target,
        backoff=Backoff(first_s=0.001, longest_s=0.002, source=random.Random(1)),
    )
    thread = threading.Thread(target=runner.follow, args=(stop, 0.005, errors.append))
    thread.start()
    end = threading.Event()
    for _ in range(1000):
        if watched.load().passed.get(LIVE) == 3:
            break
        end.wait(0.01)
    files.total = 4
    for _ in range(1000):
        if watched.load().passed.get(LIVE) == 4:
            break
        end.wait(0.01)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert [n for batch in target.batches[2:] for n in batch] == [1, 2, 3, 4]
    assert [str(e) for e in errors] == ["took half of it"] * 2


def test_what_waiting_does_not_mend_ends_it(cursors: CursorStore) -> None:
    files = Files(1)
    files.error = LakeMissing("table lost")
    runner = ProjectionRunner(files, cursors, Target())
    with pytest.raises(LakeMissing):
        runner.follow(threading.Event(), 0.01, pytest.fail)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 12), st.integers(1, 8), st.lists(st.booleans(), max_size=8))
def test_applied_in_order_at_least_once_and_the_cursor_never_ahead(
    total: int, batch_blocks: int, refusals: list[bool]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cursors = CursorStore(FolderStore(Path(folder)), "target")
        target = Target(refusals)
        runner = ProjectionRunner(Files(total), cursors, target, batch_blocks)
        for _ in range(len(refusals) + 1):
            try:
                runner.run_once()
            except ProjectionError:
                refused = target.batches[-1]
                assert cursors.load().passed.get(LIVE, 0) == refused[0] - 1
        assert cursors.load().passed.get(LIVE, 0) == total
        seen = [n for batch in target.batches for n in batch]
        assert sorted(set(seen)) == list(range(1, total + 1))
