"""A real gateway process, damage to its outbox, and the account of every committed number."""

import json
import logging
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from cloud.lake.positions import FileSequence, Position
from cloud.ledger.account import Told, account
from cloud.ledger.facts import BlockFact, HeldFact, LossFact, StartFact, facts_of
from cloud.ledger.tally import tallies
from contract.blocks import entries
from contract.records import Loss
from contract.topics import Lane
from contract.wire import decode
from edge import gateway
from edge.clock import VirtualClock
from edge.configuration.config import load_config
from edge.storage.outbox import Outbox
from edge.storage.trace import Trace
from tests.builders import landed

DEVICE = "gw-hall"
PAGE = 4096
UNSEEN = 30  # records of a block that a kill can hide from the observer
LIMIT_S = 5.0  # from the start of the process to the first commit, seconds of CPU time
FILES = ("", "-wal", "-shm")

Numbers = set[tuple[str, int]]

CONFIG = """\
device_id = "gw-hall"
[outbox]
path = "{path}"
[board]
kind = "simulated"
[commit]
rhythm_s = 0.05
status_s = 0.5
{uplink}
[[sensor]]
id = "hall"
driver = "sht4x"
interval_s = 0.02
[[condition]]
id = "warm"
signal = "hall/temperature"
comparison = "above"
limit = -40.0
step_s = 1
max_age_s = 5
"""


@dataclass
class Site:
    """One gateway, and the observer outside of it."""

    folder: Path
    outbox: Path
    uplink: str = ""
    committed: Numbers = field(default_factory=set)
    acked: list[bytes] = field(default_factory=list)
    first_commit_s: float | None = None  # of the process's own CPU time: the machine is shared
    process: subprocess.Popen[bytes] | None = None
    reader: threading.Thread | None = None

    @classmethod
    def make(cls, folder: Path, outbox: Path | None = None, uplink: str = "") -> "Site":
        folder.mkdir(parents=True, exist_ok=True)
        site = cls(folder, outbox or folder / "outbox.db", uplink)
        (folder / "gateway.toml").write_text(CONFIG.format(path=site.outbox, uplink=uplink))
        return site

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def start(self) -> None:
        read_end, write_end = os.pipe()
        words = ("run", "--config", str(self.folder / "gateway.toml"), "--trace-fd", str(write_end))
        self.first_commit_s = None
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edge.cli", *words],
                pass_fds=[write_end],
                stdout=log,
                stderr=log,
            )
        os.close(write_end)
        self.reader = threading.Thread(target=self._observe, args=(read_end, self.process.pid))
        self.reader.start()

    def _observe(self, read_end: int, pid: int) -> None:
        with os.fdopen(read_end) as lines:
            for line in lines:
                if not line.endswith("\n"):
                    continue
                if self.first_commit_s is None:
                    self.first_commit_s = _cpu_s(pid)
                self._take(line)

    def _take(self, line: str) -> None:
        block = json.loads(line)
        numbers = range(block["first"], block["last"] + 1)
        self.committed.update((block["stream"], number) for number in numbers)

    def run_inside(self) -> None:
        """The same start in this process, on virtual time: one second of readings."""
        read_end, write_end = os.pipe()
        handler = logging.FileHandler(self.folder / "log")
        logging.getLogger().addHandler(handler)
        now_ms = time.time_ns() // 1_000_000
        clock = VirtualClock(now_ms, now_ms + 1000, lambda _mark: None)
        began_s = time.process_time()
        try:
            gateway.run(load_config(self.folder / "gateway.toml"), clock, Trace(write_end))
        finally:
            logging.getLogger().removeHandler(handler)
            handler.close()
            os.close(write_end)
        with os.fdopen(read_end) as lines:
            for line in lines:
                self._take(line)
        self.first_commit_s = time.process_time() - began_s
        assert self.first_commit_s < LIMIT_S

    def wait(self, true: Callable[[], object], limit_s: float = 60.0) -> None:
        deadline_s = time.monotonic() + limit_s
        while not true():
            assert time.monotonic() < deadline_s, self.log[-3000:]
            time.sleep(0.01)

    def wait_for(self, more: int) -> None:
        """Waits until so many more numbers are committed."""
        wanted = len(self.committed) + more
        self.wait(lambda: len(self.committed) >= wanted)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        code = self._end(signal.SIGTERM)
        assert code == 0, self.log[-3000:]

    def _end(self, number: int) -> int:
        assert self.process is not None
        assert self.reader is not None
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.reader.join()
        return code

    def run_again(self, more: int = 10) -> None:
        """Starts, waits for commits, stops; the first commit must come in time."""
        self.start()
        self.wait_for(more)
        self.stop()
        assert self.first_commit_s is not None
        assert self.first_commit_s < LIMIT_S

    def ack(self, blocks: int) -> None:
        """Takes the oldest blocks as the cloud does; the outbox deletes them."""
        with closing(Outbox(self.outbox, durable=False)) as outbox:
            oldest = outbox.ordinary(0, 2**62, blocks)
            self.acked += [block.payload for block in oldest]
            outbox.delete(block.row_id for block in oldest)

    def copy(self, folder: Path, outbox: Path | None = None) -> "Site":
        """A second site with the same files and the same history."""
        other = Site.make(folder, outbox)
        for name in (*(f"{self.outbox.name}{suffix}" for suffix in FILES), "outbox.end"):
            if (self.outbox.parent / name).exists():
                shutil.copy(self.outbox.parent / name, other.outbox.parent / name)
        other.committed = set(self.committed)
        other.acked = list(self.acked)
        return other


@dataclass(frozen=True)
class Account:
    """Where each committed number is, by the gateway's own records and by the ledger."""

    missing: Numbers  # committed, neither acked nor in the outbox
    declared: Numbers
    unexplained: int
    doubled: int
    losses: list[Loss]


def account_of(site: Site) -> Account:
    """Reads the outbox as it is, and lets the cloud's ledger judge all that it would receive."""
    with closing(sqlite3.connect(site.outbox)) as db:
        held = [row[0] for row in db.execute("SELECT payload FROM block ORDER BY row_id")]
    acked, present = _numbers(site.acked), _numbers(held)
    losses = [e.record for p in held for e in entries(decode(p)) if isinstance(e.record, Loss)]
    spans = [loss.lost for loss in losses if loss.lost is not None]
    declared = {(s.stream_id, n) for s in spans for n in range(s.first, s.last + 1)}
    unexplained, doubled = _judged([*site.acked, *held])
    return Account(site.committed - acked - present, declared, unexplained, doubled, losses)


def assert_law(site: Site) -> Account:
    """Committed = stored + declared lost + held; nothing unexplained; nothing invented."""
    found = account_of(site)
    assert found.missing <= found.declared, sorted(found.missing - found.declared)[:5]
    assert (found.unexplained, found.doubled) == (0, 0)
    with closing(sqlite3.connect(site.outbox)) as db:
        held = [row[0] for row in db.execute("SELECT payload FROM block")]
    invented = found.declared - site.committed - _numbers(held) - _numbers(site.acked)
    latest: dict[str, int] = {}
    for stream, number in site.committed:
        latest[stream] = max(number, latest.get(stream, 0))
    # a kill between a commit and the trace: this block was committed, but nobody saw it
    unseen = {(s, n) for s, n in invented if latest.get(s, 0) < n <= latest.get(s, 0) + UNSEEN}
    assert invented == unseen, sorted(invented - unseen)[:5]
    if found.missing:
        assert "reported as lost" in site.log
    return found


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _numbers(payloads: Iterable[bytes]) -> Numbers:
    blocks = map(decode, payloads)
    return {(b.stream_id, n) for b in blocks for n in range(b.first, b.last + 1)}


def _judged(payloads: Iterable[bytes]) -> tuple[int, int]:
    """The ledger's unexplained and doubled numbers, if these payloads arrive."""
    position = Position(FileSequence("n", "1-a", Lane.LIVE), 1)
    facts = [
        fact
        for at, payload in enumerate(payloads)
        for fact in facts_of(landed(payload, DEVICE, received_at=at + 1), position, decode(payload))
    ]
    blocks = [fact for fact in facts if isinstance(fact, BlockFact)]
    blocks.sort(key=lambda f: (f.device_id, f.stream_id, f.first, f.last, f.precedence))
    told = Told(
        starts=tuple(f for f in facts if isinstance(f, StartFact)),
        losses=tuple(f for f in facts if isinstance(f, LossFact)),
        held=tuple(f for f in facts if isinstance(f, HeldFact)),
    )
    judged = account(DEVICE, tuple(tallies(blocks)), told)
    unexplained = sum(stream.unexplained_total for stream in judged.streams)
    return unexplained, sum(stream.doubled_total for stream in judged.streams)


def history(site: Site) -> None:
    """Two streams with a kill between them, old blocks acked, and a kill at the end."""
    site.start()
    site.wait_for(300)
    site.kill()
    site.ack(20)
    site.start()
    site.wait_for(300)
    site.kill()


def checkpointed(site: Site) -> None:
    """Moves all of the -wal into the file, so that damage to the file matters."""
    with closing(sqlite3.connect(site.outbox)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def flip(path: Path, offset: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))


def truncate(path: Path, size: int) -> None:
    os.truncate(path, size)


def places_by_kind(path: Path) -> dict[str, list[int]]:
    """Offsets of header, schema, tree (interior and root) and data pages."""
    raw = path.read_bytes()
    places = {"header": list(range(100)), "schema": list(range(100, PAGE)), "tree": [], "data": []}
    for begin in range(PAGE, len(raw), PAGE):
        head = list(range(begin, begin + 16)) + list(range(begin + PAGE - 64, begin + PAGE))
        kind = "tree" if raw[begin] in (2, 5) else "data"
        # the b-tree's own bytes of a leaf belong to the tree, too
        places["tree"] += head if kind == "tree" else range(begin, begin + 16)
        places["data"] += range(begin + 16, begin + PAGE) if kind == "data" else []
    return places


def flips(path: Path, count: int, seed: int) -> list[tuple[str, int, int]]:
    """`count` bits, equally many of each kind: (kind, offset, bit)."""
    draw = random.Random(seed)
    places = places_by_kind(path)
    kinds = [kind for kind in places if places[kind]]
    return [
        (kind, draw.choice(places[kind]), draw.randrange(8))
        for kind in (kinds[index % len(kinds)] for index in range(count))
    ]
