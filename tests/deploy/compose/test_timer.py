"""The timer of a container: its instants, what it starts, how it ends."""

import signal
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.compose.timer import Schedule, follow

TOUCH = "import pathlib, sys; pathlib.Path(sys.argv[1]).open('a').write('x')"


@given(
    now_s=st.floats(0, 4e9),
    period_s=st.integers(1, 10**6),
    offset_s=st.integers(0, 10**6),
)
def test_the_next_instant_is_a_multiple_and_at_most_a_period_away(now_s, period_s, offset_s):
    wait_s = Schedule(period_s=period_s, offset_s=offset_s).until_next_s(now_s)
    assert 0 < wait_s <= period_s
    late = (now_s + wait_s - offset_s) % period_s
    assert min(late, period_s - late) < 1e-3


def test_a_day_begins_at_its_offset():
    night = Schedule(period_s=86_400, offset_s=12_600)
    assert night.until_next_s(0) == 12_600  # 1970-01-01 00:00 UTC: at 03:30
    assert night.until_next_s(12_600) == 86_400


@pytest.fixture
def following(tmp_path):
    """`following(command)`: runs it each 50 ms; yields the mark; ended afterwards."""
    stop, threads = threading.Event(), []

    def start(*command):
        mark = tmp_path / "mark"
        args = (Schedule(period_s=0.05), command, mark, stop)
        threads.append(threading.Thread(target=follow, args=args))
        threads[-1].start()
        return mark

    yield start
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_it_runs_again_and_again_and_marks_what_went_well(following, tmp_path, wait_until):
    count = tmp_path / "count"
    mark = following(sys.executable, "-c", TOUCH, str(count))
    wait_until(mark.exists)
    begun_ns = mark.stat().st_mtime_ns
    wait_until(lambda: count.exists() and count.stat().st_size >= 3)
    assert mark.stat().st_mtime_ns > begun_ns


def test_what_fails_is_told_and_not_marked(following, tmp_path, wait_until, capfd):
    count = tmp_path / "count"
    mark = following(sys.executable, "-c", f"{TOUCH}; sys.exit(3)", str(count))
    wait_until(mark.exists)
    begun_ns = mark.stat().st_mtime_ns
    wait_until(lambda: count.exists() and count.stat().st_size >= 2)
    assert mark.stat().st_mtime_ns == begun_ns
    assert "exited with code 3" in capfd.readouterr().err


def test_sigterm_reaches_the_command_and_ends_in_order(tmp_path, wait_until):
    told, begun = tmp_path / "told", tmp_path / "begun"
    child = (
        f"import pathlib, signal, sys, time\n"
        f"def end(*_): pathlib.Path({str(told)!r}).touch(); sys.exit(0)\n"
        f"signal.signal(signal.SIGTERM, end)\n"
        f"pathlib.Path({str(begun)!r}).touch()\n"
        f"time.sleep(60)\n"
    )
    command = [sys.executable, "-m", "deploy.compose.timer", "--period", "0.1"]
    command += ["--mark", str(tmp_path / "mark"), "--", sys.executable, "-c", child]
    with subprocess.Popen(command) as timer:
        wait_until(begun.exists)
        timer.send_signal(signal.SIGTERM)
        assert timer.wait(30) == 0
    assert told.exists()


def test_one_that_waits_ends_at_once(tmp_path, wait_until):
    command = [sys.executable, "-m", "deploy.compose.timer", "--period", "1e9"]
    command += ["--mark", str(tmp_path / "mark"), "--", "false"]
    with subprocess.Popen(command) as timer:
        wait_until((tmp_path / "mark").exists)
        begun_s = time.monotonic()
        timer.send_signal(signal.SIGTERM)
        assert timer.wait(30) == 0
        assert time.monotonic() - begun_s < 15


@pytest.mark.parametrize("period", ["0", "-1", "inf", "nan", "often"])
def test_a_period_is_a_number_above_0(period, tmp_path):
    command = [sys.executable, "-m", "deploy.compose.timer", "--period", period]
    command += ["--mark", str(tmp_path / "mark"), "--", "false"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2
