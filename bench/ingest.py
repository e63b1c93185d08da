"""Measures ingest: readings per second and core from a real broker into the lake.

    make bench-ingest

One ingest process (`dewline-cloud ingest run`) receives valid blocks from a load process. Then the
bench counts the readings in the landing files and fails if any is missing or doubled. In the same
run a plain consumer (`bench.plain`) receives the same readings as JSON. The last line is JSON.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.acker import INGEST
from bench.broker import broker
from bench.child import child
from bench.errors import BenchError
from bench.machine import cpu_s, file_system_of, machine
from cloud.lake.landing import landed_paths, read_file
from cloud.lake.store import FolderStore
from contract.errors import DewlineError
from contract.wire import decode
from deploy.local.mosquitto import BrokerAccount

__all__ = ["main"]

_DEVICES = 4
_CONFIG = """\
[lake]
root = "{lake}"
[ingest]
node = "bench"
port = {port}
username = "{user}"
password_file = "{secret}"
device_window = 65535
device_messages_per_s = 1e6
device_bytes_per_s = 1e9
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Describes a load: the number of blocks and of readings per block."""

    records: int
    blocks: int
    seed: int

    @property
    def timed(self) -> int:
        """Number of readings that are sent while the CPU time counts."""
        return self.blocks // _DEVICES * _DEVICES * self.records

    @property
    def sent(self) -> int:
        """Number of all readings: each device sends one more block at the begin."""
        return self.timed + _DEVICES * self.records


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Holds the result of one load for one consumer.

    Attributes:
        readings: Readings in the measured time.
        cpu_s: User and system CPU of the consumer in the measured time, seconds.
        wall_s: The measured time, seconds.
        files: Number of files at the end.
    """

    readings: int
    cpu_s: float
    wall_s: float
    files: int = 1

    @property
    def per_core_s(self) -> float:
        """Readings per CPU second of the consumer."""
        if not self.cpu_s:
            raise BenchError(
                "the consumer used less CPU time than the kernel counts (10 ms); send more blocks"
            )
        return self.readings / self.cpu_s


def run_round(folder: Path, load: Load) -> Round:
    """Sends one load through a new broker and a new ingest process into a new lake in `folder`.

    Raises:
        BenchError: The lake does not contain exactly the readings that were sent.
    """
    lake = folder / f"lake-{load.records}-{load.seed}"

    def ingest(port: int, password: str) -> list[str]:
        config = str(_configure(lake, port, password))
        return [sys.executable, "-m", "cloud.cli", "--config", config, "ingest", "run"]

    acked, done = _run(lake, load, ingest)
    stored, files = _stored(lake)
    _require_equal(load.sent, acked, stored)
    return replace(done, files=files)


def run_plain(folder: Path, load: Load) -> Round:
    """Sends one load as plain JSON through a new broker to a new plain consumer.

    Raises:
        BenchError: The consumer's file does not contain exactly the readings that were sent.
    """
    out = folder / f"plain-{load.records}-{load.seed}"

    def plain(port: int, password: str) -> list[str]:
        secret = _secret(out, password)
        command = [sys.executable, "-m", "bench.plain", "--port", str(port), "--out", str(out)]
        return [*command, "--password-file", str(secret)]

    acked, done = _run(out, load, plain, "--plain")
    with out.open(encoding="utf-8") as lines:
        _require_equal(load.sent, acked, sum(1 for _ in lines))
    out.unlink()
    return done


def _run(
    at: Path, load: Load, consumer: Callable[[int, str], list[str]], *options: str
) -> tuple[int, Round]:
    """Returns the number of acked readings, and the cost of the timed ones."""
    devices = [BrokerAccount.generate(f"bench-{n}", "device") for n in range(1, _DEVICES + 1)]
    account = BrokerAccount.generate(INGEST, "ingest")
    with (
        broker([*devices, account]) as server,
        child(consumer(server.port, account.password), at.with_suffix(".log")) as pid,
        _loader(server.port, devices, load, *options) as loader,
    ):
        began_cpu_s, began_s = cpu_s(pid), time.monotonic()
        acked = int(_ask(loader, "go"))
        spent_s, wall_s = cpu_s(pid) - began_cpu_s, time.monotonic() - began_s
    return acked, Round(readings=load.timed, cpu_s=spent_s, wall_s=wall_s)


def _require_equal(sent: int, acked: int, stored: int) -> None:
    if not sent == acked == stored:
        raise BenchError(f"counts differ: {sent} readings sent, {acked} acked, {stored} stored")


def _secret(at: Path, password: str) -> Path:
    secret = at.with_suffix(".password")
    secret.write_text(password + "\n", encoding="utf-8")
    return secret


def _configure(lake: Path, port: int, password: str) -> Path:
    config = lake.with_suffix(".toml")
    secret = _secret(lake, password)
    text = _CONFIG.format(lake=lake, port=port, user=INGEST, secret=secret)
    config.write_text(text, encoding="utf-8")
    return config


@contextmanager
def _loader(
    port: int, devices: Sequence[BrokerAccount], load: Load, *options: str
) -> Generator[subprocess.Popen[str]]:
    counts = ["--blocks", str(load.blocks), "--records", str(load.records)]
    command = [sys.executable, "-m", "bench.load", "--port", str(port), *counts]
    command += ["--seed", str(load.seed * 1000), *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            _ask(process, json.dumps({d.name: d.password for d in devices}))
            yield process
        finally:
            process.terminate()


def _ask(process: subprocess.Popen[str], line: str) -> str:
    if process.stdin is None or process.stdout is None:
        raise BenchError("bench.load: the process has no pipes")
    process.stdin.write(line + "\n")
    process.stdin.flush()
    answer = process.stdout.readline().strip()
    if not answer:
        raise BenchError("bench.load: the process ended early; its output is above")
    return answer


def _stored(lake: Path) -> tuple[int, int]:
    """Returns the number of distinct readings in the landing files, and of files."""
    store = FolderStore(lake)
    paths = [path for numbered in landed_paths(store).values() for path in numbered.values()]
    found: set[tuple[str, str, int]] = set()
    total = 0
    for path in paths:
        for landed in read_file(store, path).blocks:
            block = decode(landed.payload)
            total += block.records_total
            found.update(
                (landed.device_id, block.stream_id, n) for n in range(block.first, block.last + 1)
            )
    if len(found) != total:
        raise BenchError(f"lake: {total} readings, but only {len(found)} distinct ones")
    return total, len(paths)


def _measure(folder: Path, records: int, blocks: int, rounds: int) -> tuple[float, float]:
    """Returns readings per core and second of ingest and of the plain consumer."""
    ingest, plain = [], []
    for seed in range(1, rounds + 1):
        load = Load(records=records, blocks=blocks, seed=seed)
        ingest.append(_reported("ingest", load, run_round(folder, load)))
        plain.append(_reported("plain", load, run_plain(folder, load)))
    return statistics.median(ingest), statistics.median(plain)


def _reported(name: str, load: Load, done: Round) -> float:
    print(
        f"  {name:6s} {load.records:3d} per block: {done.readings} readings, {done.files} files, "
        f"CPU {done.cpu_s:.2f} s, wall {done.wall_s:.2f} s: {done.per_core_s:,.0f} per core and "
        f"second; {done.readings / done.wall_s:,.0f} per second of wall time",
        flush=True,
    )
    return done.per_core_s


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds for the median (default 3)")
    parser.add_argument(
        "--blocks8", type=int, default=24_000, help="blocks of 8 readings per round (24000)"
    )
    parser.add_argument(
        "--blocks80", type=int, default=8_000, help="blocks of 80 readings per round (8000)"
    )
    parser.add_argument("--folder", type=Path, default=Path("var/bench"), help="on a real disk")
    args = parser.parse_args(arguments)
    try:
        rates = _measure_all(args)
    except DewlineError as error:
        print(f"bench-ingest: {error}", file=sys.stderr)
        return 1
    figures: dict[str, float]
    figures = {f"readings_per_core_s_block{r}": round(own) for r, (own, _) in rates.items()}
    figures |= {
        f"vs_plain_json_block{r}": round(own / other, 2) for r, (own, other) in rates.items()
    }
    print(json.dumps(figures))
    return 0


def _measure_all(args: argparse.Namespace) -> dict[int, tuple[float, float]]:
    args.folder.mkdir(parents=True, exist_ok=True)
    print(
        f"{machine()}; lake on {file_system_of(args.folder)}; load average {os.getloadavg()[0]:.1f}"
    )
    print(f"{_DEVICES} devices send through Mosquitto to one consumer; blocks have QoS 1")
    with TemporaryDirectory(prefix="ingest-", dir=args.folder.resolve()) as name:
        return {
            records: _measure(Path(name), records, blocks, args.rounds)
            for records, blocks in ((8, args.blocks8), (80, args.blocks80))
        }


if __name__ == "__main__":
    sys.exit(main())
