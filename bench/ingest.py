"""Measures ingest: readings per second and core from a real broker into the lake.

    make bench-ingest

One ingest process (`dewline-cloud ingest run`) receives valid blocks from a load process. Then the
bench counts the readings in the landing files and fails if any is missing or doubled. The last line
is JSON.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Holds the result of one load.

    Attributes:
        readings: Readings in the measured time.
        cpu_s: User and system CPU of the ingest process in the measured time, seconds.
        wall_s: The measured time, seconds.
        files: Number of landing files at the end.
    """

    readings: int
    cpu_s: float
    wall_s: float
    files: int

    @property
    def per_core_s(self) -> float:
        """Readings per CPU second of ingest."""
        if not self.cpu_s:
            raise BenchError(
                "ingest used less CPU time than the kernel counts (10 ms); send more blocks"
            )
        return self.readings / self.cpu_s


def run_round(folder: Path, load: Load) -> Round:
    """Sends one load through a new broker and a new ingest process into a new lake in `folder`.

    Raises:
        BenchError: The lake does not contain exactly the readings that were sent.
    """
    devices = [BrokerAccount.generate(f"bench-{n}", "device") for n in range(1, _DEVICES + 1)]
    ingest = BrokerAccount.generate(INGEST, "ingest")
    lake = folder / f"lake-{load.records}-{load.seed}"
    with broker([*devices, ingest]) as server:
        config = _configure(lake, server.port, ingest.password)
        with (
            child(_ingest(config), config.with_suffix(".log")) as pid,
            _loader(server.port, devices, load) as loader,
        ):
            began_cpu_s, began_s = cpu_s(pid), time.monotonic()
            acked = int(_ask(loader, "go"))
            spent_s, wall_s = cpu_s(pid) - began_cpu_s, time.monotonic() - began_s
    stored, files = _stored(lake)
    per_device = load.blocks // _DEVICES
    sent = (per_device + 1) * _DEVICES * load.records  # one block per device was sent as a probe
    if not sent == acked == stored:
        raise BenchError(
            f"counts differ: {sent} readings sent, {acked} acked, {stored} in the lake"
        )
    timed = per_device * _DEVICES * load.records
    return Round(readings=timed, cpu_s=spent_s, wall_s=wall_s, files=files)


def _configure(lake: Path, port: int, password: str) -> Path:
    secret, config = lake.with_suffix(".password"), lake.with_suffix(".toml")
    secret.write_text(password + "\n", encoding="utf-8")
    text = _CONFIG.format(lake=lake, port=port, user=INGEST, secret=secret)
    config.write_text(text, encoding="utf-8")
    return config


def _ingest(config: Path) -> list[str]:
    return [sys.executable, "-m", "cloud.cli", "--config", str(config), "ingest", "run"]


@contextmanager
def _loader(
    port: int, devices: Sequence[BrokerAccount], load: Load
) -> Generator[subprocess.Popen[str]]:
    counts = ["--blocks", str(load.blocks), "--records", str(load.records)]
    command = [sys.executable, "-m", "bench.load", "--port", str(port), *counts]
    command += ["--seed", str(load.seed * 1000)]
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


def _measure(folder: Path, records: int, blocks: int, rounds: int) -> float:
    done = []
    for seed in range(1, rounds + 1):
        one = run_round(folder, Load(records=records, blocks=blocks, seed=seed))
        done.append(one.per_core_s)
        print(
            f"  {records:3d} per block: {one.readings} readings, {one.files} files, "
            f"CPU {one.cpu_s:.2f} s, wall {one.wall_s:.2f} s: {one.per_core_s:,.0f} per core and "
            f"second; {one.readings / one.wall_s:,.0f} per second of wall time",
            flush=True,
        )
    return statistics.median(done)


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
    print(json.dumps({f"readings_per_core_s_block{r}": round(v) for r, v in rates.items()}))
    return 0


def _measure_all(args: argparse.Namespace) -> dict[int, float]:
    args.folder.mkdir(parents=True, exist_ok=True)
    print(
        f"{machine()}; lake on {file_system_of(args.folder)}; load average {os.getloadavg()[0]:.1f}"
    )
    print(f"{_DEVICES} devices send through Mosquitto to one ingest process; blocks have QoS 1")
    with TemporaryDirectory(prefix="ingest-", dir=args.folder.resolve()) as name:
        return {
            records: _measure(Path(name), records, blocks, args.rounds)
            for records, blocks in ((8, args.blocks8), (80, args.blocks80))
        }


if __name__ == "__main__":
    sys.exit(main())
