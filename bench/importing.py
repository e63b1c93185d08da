"""Measures the import of history: readings per second into the lake, and memory.

    make bench-import

A process of its own (`dewline-cloud import`) reads a year of 10-minute values of temperature and
humidity from 50 sensors, one CSV file. Then the bench counts the readings in the landing files, and
fails if any is missing or doubled. In the same run pyarrow's own CSV reader only parses the file,
which is the least that any import must do. The last line is JSON.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.csv as pc

from bench.errors import BenchError
from bench.machine import file_system_of, machine
from cloud.lake.landing import landed_paths, read_file
from cloud.lake.store import FolderStore
from contract.errors import DewlineError
from contract.wire import decode

__all__ = ["main"]

_BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
_STEP = timedelta(minutes=10)
_MAPPING = """\
[time]
columns = ["time"]
zone = "Europe/Berlin"
ambiguous = "earlier"
[device]
id = "site"
[sensor]
column = "sensor"
[[value]]
column = "temperature"
quantity = "temperature"
[[value]]
column = "humidity"
quantity = "humidity"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Holds the cost of one import.

    Attributes:
        readings: Readings in the lake.
        wall_s: Time of the whole process, with its start, seconds.
        cpu_s: User and system CPU of the process, seconds.
        rss_mb: Largest resident memory of the process, MB (10^6 bytes).
    """

    readings: int
    wall_s: float
    cpu_s: float
    rss_mb: float


def write_history(path: Path, sensors: int, rows: int) -> int:
    """Writes rows of slowly moving air, seeded; returns the number of values."""
    dice = random.Random(1)
    air = [(20 * dice.random(), 40 + 20 * dice.random()) for _ in range(sensors)]
    at, written = _BEGIN, 0
    with path.open("w", encoding="ascii") as file:
        file.write("time,sensor,temperature,humidity\n")
        while written < rows:
            text = at.strftime("%Y-%m-%d %H:%M:%S")
            for n, (temperature, humidity) in enumerate(air):
                air[n] = temperature + dice.gauss(0, 0.05), humidity + dice.gauss(0, 0.2)
                file.write(f"{text},s-{n:02d},{air[n][0]:.2f},{air[n][1]:.1f}\n")
            written += sensors
            at += _STEP
    return 2 * written


def run_import(folder: Path, source: Path) -> Result:
    """Imports the file into a new lake in a process of its own.

    Raises:
        BenchError: The command failed.
    """
    (folder / "mapping.toml").write_text(_MAPPING, encoding="ascii")
    (folder / "cloud.toml").write_text(f'[lake]\nroot = "{folder / "lake"}"\n', encoding="utf-8")
    words = ["-m", "cloud.cli", "--config", str(folder / "cloud.toml"), "import", str(source)]
    words += ["--mapping", str(folder / "mapping.toml"), "--json"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    wall_s, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise BenchError(f"import exited with code {done.returncode}:\n{done.stderr}")
    return Result(
        readings=int(json.loads(done.stdout)["readings"]),
        wall_s=wall_s,
        cpu_s=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        rss_mb=after.ru_maxrss * 1024 / 1e6,  # the kernel's kB is 1024 bytes
    )


def stored(lake: Path) -> int:
    """Returns the number of readings in the lake.

    Raises:
        BenchError: A number is there twice, or one is missing.
    """
    store, total = FolderStore(lake), 0
    last: dict[tuple[str, str], int] = {}
    for numbered in landed_paths(store).values():
        for _, path in sorted(numbered.items()):
            for landed in read_file(store, path).blocks:
                block = decode(landed.payload)
                key = (landed.device_id, block.stream_id)
                if block.first != last.get(key, 0) + 1:
                    raise BenchError(f"{path}: number {block.first} follows {last.get(key, 0)}")
                last[key] = block.last
                total += sum(sensor.readings_total for sensor in block.sensors)
    return total


def parse_only(source: Path) -> float:
    """Returns the CPU seconds in which pyarrow's CSV reader parses the file with one thread."""
    began = time.process_time()
    pc.read_csv(source, read_options=pc.ReadOptions(use_threads=False))
    return time.process_time() - began


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sensors", type=int, default=50, help="number of sensors (50)")
    parser.add_argument("--rows", type=int, default=2_628_000, help="rows of the file (2628000)")
    parser.add_argument("--folder", type=Path, default=Path("var/bench"), help="on a real disk")
    args = parser.parse_args(arguments)
    try:
        figures = _measure(args)
    except DewlineError as error:
        print(f"bench-import: {error}", file=sys.stderr)
        return 1
    print(json.dumps(figures))
    return 0


def _measure(args: argparse.Namespace) -> dict[str, float]:
    args.folder.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    print(f"{machine()}; lake on {file_system_of(args.folder)}; load average {load:.1f}")
    with TemporaryDirectory(prefix="import-", dir=args.folder.resolve()) as name:
        folder = Path(name)
        small = _imported(folder / "small", args.sensors, args.rows // 10)
        whole = _imported(folder / "whole", args.sensors, args.rows)
        parsed_s = parse_only(folder / "whole" / "history.csv")
        print(f"  pyarrow only parses the file in {parsed_s:.1f} CPU seconds")
    return {
        "readings_per_s": round(whole.readings / whole.wall_s),
        "readings_per_cpu_s": round(whole.readings / whole.cpu_s),
        "rss_mb": round(whole.rss_mb),
        "rss_mb_tenth": round(small.rss_mb),
        "cpu_vs_parse_only": round(whole.cpu_s / parsed_s, 1),
    }


def _imported(folder: Path, sensors: int, rows: int) -> Result:
    folder.mkdir()
    source = folder / "history.csv"
    written = write_history(source, sensors, rows)
    result = run_import(folder, source)
    found = stored(folder / "lake")
    skipped = 2 * sensors * 6  # an hour in March does not exist, if the file reaches it
    if result.readings != found or found not in (written, written - skipped):
        raise BenchError(f"{written} values, {result.readings} imported, {found} in the lake")
    size_mb = source.stat().st_size / 1e6
    print(
        f"  {result.readings} readings of {size_mb:.0f} MB in {result.wall_s:.1f} s, "
        f"CPU {result.cpu_s:.1f} s: {result.readings / result.wall_s:,.0f} per second; "
        f"largest memory {result.rss_mb:.0f} MB",
        flush=True,
    )
    return result


if __name__ == "__main__":
    sys.exit(main())
