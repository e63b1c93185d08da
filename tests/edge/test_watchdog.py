"""A real gateway process under a real supervisor: what systemd would see, and what it would do."""

import os
import signal
import socket
import subprocess
import sys
import time
from itertools import pairwise

import pytest

from contract.blocks import entries
from contract.records import Loss, LossReason, Status

WATCHDOG_S = 6.0
BEATS = 3  # signs of life in that time, as in edge.supervisor
LIMIT_S = 30.0
# A board whose third wait for a chip never ends: what hangs is a sensor's call, and nothing else.
HANGING = """
import itertools, os, sys, threading
from pathlib import Path
from edge import gateway
from edge.clock import SystemClock
from edge.configuration.config import load_config
from edge.supervisor import supervisor_of

class HangingClock(SystemClock):
    waits = itertools.count(1)

    def sleep_s(self, seconds):
        if next(self.waits) == 3:
            threading.Event().wait()
        super().sleep_s(seconds)

config = load_config(Path(sys.argv[1]))
supervisor = supervisor_of(os.environ, os.getpid())
gateway.run(config, HangingClock(config.clock.floor_ms), supervisor=supervisor)
"""


class Manager:
    """Starts a gateway as systemd would, and listens."""

    def __init__(self, folder, interval_s):
        self.outbox = folder / "outbox.db"
        self.config = folder / "gateway.toml"
        self.config.write_text(
            'device_id = "gw-1"\n'
            f'[outbox]\npath = "{self.outbox}"\n'
            # a send loop that is alive all the time must not speak for the sense loop
            '[uplink]\nhost = "127.0.0.1"\nport = 1\nretry_max_s = 0.2\ndrain_s = 0.1\n'
            '[board]\nkind = "simulated"\n[commit]\nrhythm_s = 0.3\n'
            f'[[sensor]]\nid = "hall"\ndriver = "sht4x"\ninterval_s = {interval_s}\n'
        )
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.bind(str(folder / "notify"))
        self._environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": str(round(WATCHDOG_S * 1e6)),
            "PYTHONFAULTHANDLER": "1",
        }
        self._environment.pop("WATCHDOG_PID", None)
        self.child = None

    def start(self, *words):
        self.child = subprocess.Popen(
            [sys.executable, *words], env=self._environment, stderr=subprocess.PIPE
        )

    def word(self, limit_s):
        """The next word, None after `limit_s` without one."""
        self._line.settimeout(limit_s)
        try:
            return self._line.recv(200).decode()
        except TimeoutError:
            return None

    def wait_until_ready(self):
        while (word := self.word(LIMIT_S)) != "READY=1":
            assert word == "WATCHDOG=1"

    def end(self, number):
        """The exit status and what was written to standard error."""
        self.child.send_signal(number)
        _, errors = self.child.communicate(timeout=LIMIT_S)
        return self.child.returncode, errors.decode()

    def close(self):
        if self.child is not None and self.child.poll() is None:
            self.child.kill()
            self.child.communicate()
        self._line.close()


@pytest.fixture
def manager(tmp_path):
    opened = []

    def open_with(**settings):
        opened.append(Manager(tmp_path, **settings))
        return opened[-1]

    yield open_with
    for one in opened:
        one.close()


def test_silent_sensors_feed_the_watchdog_and_a_stop_is_told(manager, blocks_in):
    """One reading a day, and three times the watchdog's patience: it is never used up."""
    systemd = manager(interval_s=86_400)
    systemd.start("-m", "edge.cli", "run", "--config", str(systemd.config))
    systemd.wait_until_ready()
    times = [time.monotonic()]
    while times[-1] - times[0] < 3 * WATCHDOG_S:
        assert systemd.word(WATCHDOG_S) == "WATCHDOG=1"
        times.append(time.monotonic())
    assert max(b - a for a, b in pairwise(times)) < WATCHDOG_S
    # start, one reading, and a Status by each third of the patience: life is told by no more
    assert len(times) < 3 * BEATS * 1.5 + 3
    status, errors = systemd.end(signal.SIGTERM)
    words = list(iter(lambda: systemd.word(0.1), None))
    assert words.count("STOPPING=1") == 1
    assert status == 0, errors
    told = [e.record for b in blocks_in(systemd.outbox) for e in entries(b)]
    assert sum(isinstance(record, Status) for record in told) >= 3 * (BEATS - 1)  # late is not lost


def test_a_hung_sensor_starves_the_watchdog_and_the_next_start_tells(manager, blocks_in):
    systemd = manager(interval_s=0.5)
    systemd.start("-c", HANGING, str(systemd.config))
    systemd.wait_until_ready()
    while systemd.word(WATCHDOG_S) is not None:
        assert systemd.child.poll() is None
    assert systemd.child.poll() is None, "nothing but the watchdog ends it"
    status, errors = systemd.end(signal.SIGABRT)
    assert status == -signal.SIGABRT
    assert "in sleep_s" in errors, "the log says where it hung"
    systemd.start("-m", "edge.cli", "run", "--config", str(systemd.config))
    systemd.wait_until_ready()
    assert systemd.end(signal.SIGTERM)[0] == 0
    told = [e.record for b in blocks_in(systemd.outbox) for e in entries(b)]
    assert [r.reason for r in told if isinstance(r, Loss)] == [LossReason.UNCLEAN_STOP]


def test_a_watchdog_faster_than_the_rhythm_is_told(manager):
    systemd = manager(interval_s=1)
    text = systemd.config.read_text().replace("rhythm_s = 0.3", "rhythm_s = 60")
    systemd.config.write_text(text)
    systemd.start("-m", "edge.cli", "run", "--config", str(systemd.config))
    systemd.wait_until_ready()
    assert systemd.word(WATCHDOG_S) == "WATCHDOG=1"
    status, errors = systemd.end(signal.SIGTERM)
    assert status == 0
    assert f"committed every {WATCHDOG_S / BEATS:g} s, not every 60 s" in errors
