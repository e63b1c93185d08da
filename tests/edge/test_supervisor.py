"""What a supervisor is told, on a real socket; and when, on a wound clock."""

import logging
import math
import socket
from itertools import pairwise

import pytest

from contract.blocks import entries
from contract.errors import ConfigError
from contract.quantities import Quantity
from contract.records import Phase, Status
from edge.supervisor import Supervisor, supervisor_of

AIR = {Quantity.TEMPERATURE: 20.0, Quantity.HUMIDITY: 50.0}
DAY_S = 86_400.0
BEAT_S = 30.0


@pytest.fixture
def bound():
    """`bound(address)`: a datagram socket that waits there."""
    opened = []

    def bind(address):
        line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        line.bind(address.replace("@", "\0", 1))
        line.settimeout(5)
        opened.append(line)
        return line

    yield bind
    for line in opened:
        line.close()


@pytest.mark.parametrize("abstract", [False, True])
def test_each_word_is_a_datagram(bound, tmp_path, abstract):
    address = f"@dewline-{tmp_path}" if abstract else str(tmp_path / "notify")
    line = bound(address)
    supervisor = Supervisor(address, BEAT_S)
    supervisor.ready()
    supervisor.alive()
    supervisor.stopping()
    assert [line.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_without_a_watchdog_nothing_is_said_of_life(bound, tmp_path):
    address = str(tmp_path / "notify")
    line = bound(address)
    supervisor = Supervisor(address)
    supervisor.alive()
    supervisor.stopping()
    assert line.recv(100) == b"STOPPING=1"


def test_without_a_supervisor_nothing_happens():
    supervisor = Supervisor(beat_s=1.0)
    supervisor.ready()
    supervisor.alive()
    supervisor.stopping()
    assert supervisor.beat_s == math.inf


def test_a_supervisor_that_is_gone_or_full_holds_nobody_up(bound, tmp_path, caplog):
    supervisor = Supervisor(str(tmp_path / "notify"), BEAT_S)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            supervisor.alive()
        assert len(caplog.records) == 1, "a failure is told once"
        bound(str(tmp_path / "notify"))
        for _ in range(5000):  # more than any queue holds; a blocking socket would hang here
            supervisor.alive()
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("environment", "beat_s"),
    [
        ({}, math.inf),
        ({"NOTIFY_SOCKET": "/run/n"}, math.inf),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "90000000"}, 30.0),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "90000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "90000000", "WATCHDOG_PID": "8"}, math.inf),
        ({"WATCHDOG_USEC": "90000000"}, math.inf),
    ],
)
def test_the_environment_says_how_often(environment, beat_s):
    assert supervisor_of(environment, 7).beat_s == beat_s


@pytest.mark.parametrize("limit", ["soon", "0", "-5", "1.5", "٣"])
def test_a_limit_that_is_no_number_is_refused(limit):
    with pytest.raises(ConfigError, match=r"WATCHDOG_USEC is .* expected microseconds"):
        supervisor_of({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": limit}, 7)


# --- when ----------------------------------------------------------------------------------------


class Listener:
    """A supervisor that notes at what second of the wound clock it was told what."""

    def __init__(self, clock, beat_s):
        self.beat_s = beat_s
        self.told = []
        self._clock = clock

    def ready(self):
        self.told.append(("ready", self._clock.now_s))

    def alive(self):
        self.told.append(("alive", self._clock.now_s))

    def stopping(self):
        self.told.append(("stopping", self._clock.now_s))

    @property
    def beats_s(self):
        return [second for word, second in self.told if word == "alive"]


@pytest.fixture
def watched(wound_clock, sense, dial):
    """`watched(end_s, ...)`: a loop under a watchdog of 3 x 30 s, and who listened."""

    def build(end_s, *, beat_s=BEAT_S, at=None, **settings):
        clock = wound_clock(end_s=end_s, at=at or {})
        listener = Listener(clock, beat_s)
        return sense(clock, {"attic": dial(AIR)}, supervisor=listener, **settings), listener

    return build


def statuses(desk):
    found = [e.record for b in desk.committed for e in entries(b)]
    return [r.phase for r in found if isinstance(r, Status)]


def test_silent_sensors_are_no_silence(watched):
    """A sensor that is read once a day: still a commit each 30 s, each of one Status."""
    desk, listener = watched(600.0, interval_s=DAY_S)
    desk.loop.run()
    assert max(b - a for a, b in pairwise(listener.beats_s)) <= BEAT_S + 0.2
    # the reading of the start is committed with the first beat
    assert statuses(desk) == [Phase.START, *[Phase.RUNNING] * 19, Phase.STOP]
    assert [word for word, _ in listener.told if word != "alive"] == ["ready", "stopping"]
    assert listener.told[0][0] == "alive", "the first commit comes before READY"


def test_without_a_watchdog_silent_sensors_cause_no_commit(watched):
    desk, _ = watched(600.0, interval_s=DAY_S, beat_s=math.inf, rhythm_s=60.0)
    desk.loop.run()
    assert statuses(desk) == [Phase.START, Phase.STOP]
    assert len(desk.committed) == 4  # start, the one reading, stop, held


def test_where_enough_is_committed_the_watchdog_adds_nothing(watched):
    desk, listener = watched(600.0, interval_s=1.0, rhythm_s=1.0)
    desk.loop.run()
    assert statuses(desk) == [Phase.START, Phase.STOP]
    assert max(b - a for a, b in pairwise(listener.beats_s)) < 1.2


def test_a_longer_rhythm_gives_way(watched):
    desk, listener = watched(600.0, interval_s=10.0, rhythm_s=300.0)
    desk.loop.run()
    assert max(b - a for a, b in pairwise(listener.beats_s)) <= BEAT_S + 0.2
    assert statuses(desk) == [Phase.START, Phase.STOP]


def test_a_sign_of_life_is_a_commit(watched):
    desk, listener = watched(600.0, interval_s=45.0, rhythm_s=20.0)
    desk.loop.run()
    assert len(listener.beats_s) == len(desk.committed)


def test_a_disk_that_refuses_causes_no_restart(watched, disk):
    """It answers, if with a no; what waits in memory would be lost by a restart."""
    at = {100.0: disk.refuse, 400.0: disk.take}
    desk, listener = watched(600.0, interval_s=DAY_S, at=at)
    desk.loop.run()
    assert max(b - a for a, b in pairwise(listener.beats_s)) <= BEAT_S + 0.2
    assert len(listener.beats_s) > len(desk.committed)
