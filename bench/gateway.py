"""Measures what a reading costs on the gateway, from a decoded sample to the broker.

    make bench-gateway

The figures are CPU by stage and of the whole process, payload bytes and resident memory. This
module prints them; `stages`, `process_cpu`, `payload` and `resident` measure them. The last line is
JSON.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.air import NAME_SETS, Noise, layout_of
from bench.broker import Line, line
from bench.errors import NoEnvironment
from bench.machine import file_system_of, machine
from bench.payload import bytes_per_reading, require_strange_names
from bench.process_cpu import Cost, drain, run_whole
from bench.resident import edge_python, run_gateway
from bench.stages import STAGES, Rhythm, Watch, run_stages
from contract.errors import DewlineError

__all__ = ["main"]

_LIVE, _SAVER = 8, 240
_DAY_S = 86_400
_AGES = (("first minutes", 0), ("after 1 day", _DAY_S), ("after 30 days", 30 * _DAY_S))


@dataclass(frozen=True, slots=True)
class _Figures:
    cpu_us_per_reading: float
    bytes_per_reading_live: float
    bytes_per_reading_saver: float
    rss_mb: float | None

    def line(self) -> str:
        rounded = {name: _rounded(getattr(self, name)) for name in self.__dataclass_fields__}
        return json.dumps(rounded)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _print_bytes(blocks: int) -> tuple[float, float]:
    """Prints the table of bytes; returns the main figures of live and of saver."""
    require_strange_names(name for names in NAME_SETS.values() for name in names)
    noise = Noise()
    print(
        f"\npayload bytes per reading, 8 signals at 1 Hz, {blocks} blocks, seeds 1 to 10, "
        f"noise {noise.temperature_c:g} Cel and {noise.humidity_pct:g} %RH"
    )
    print(f"  {'':22}{'':16}{'live, 8':>9}{'saver, 240':>12}")
    headlines: list[tuple[float, float]] = []
    for paired in (True, False):
        for names in NAME_SETS:
            layout = layout_of(names, paired=paired)
            for age, age_s in _AGES:
                live, saver = (bytes_per_reading(layout, r, age_s, blocks) for r in (_LIVE, _SAVER))
                print(f"  {layout.name:22}{age:16}{live:9.2f}{saver:12.2f}", flush=True)
                if paired and age_s == _DAY_S:
                    headlines.append((live, saver))
    live, saver = (statistics.mean(column) for column in zip(*headlines, strict=True))
    print(f"  4 sensors, after 1 day, mean of the name sets: live {live:.2f}, saver {saver:.2f}")
    return live, saver


def _print_stages(folder: Path, rhythm: Rhythm, rounds: int) -> None:
    readings = rhythm.records * rhythm.blocks
    watches = [run_stages(folder, rhythm, seed) for seed in range(1, rounds + 1)]
    print(f"  {rhythm.name}, {rhythm.records} readings per block: stages of the sense loop")
    total_us = 0.0
    for stage in STAGES:
        cpu_us = statistics.median(w.cpu_ns[stage] for w in watches) / 1000 / readings
        wall_us = statistics.median(w.wall_ns[stage] for w in watches) / 1000 / readings
        total_us += cpu_us
        print(f"    {stage:12}{cpu_us:9.2f}{wall_us:10.2f}")
    print(f"    {'sum':12}{total_us:9.2f}", flush=True)


def _print_whole(folder: Path, to: Line, rhythm: Rhythm, rounds: int) -> float:
    """Prints the cost of the whole process; returns its CPU per reading, microseconds."""
    costs = [run_whole(folder, to, rhythm, seed) for seed in range(1, rounds + 1)]
    print(f"  {rhythm.name}, {rhythm.records} readings per block: the whole process")
    for name, pick in (("sense loop", _sense), ("send loop", _send), ("together", _cpu)):
        spread = sorted(pick(c) for c in costs)
        print(
            f"    {name:12}{statistics.median(spread):9.2f}"
            f"          rounds {spread[0]:.2f} to {spread[-1]:.2f}"
        )
    wall_us = statistics.median(c.wall_us for c in costs)
    print(
        f"    {'wall':12}{'':9}{wall_us:10.2f}   each block is acked before the next is sent",
        flush=True,
    )
    return statistics.median(map(_cpu, costs))


def _sense(cost: Cost) -> float:
    return cost.sense_us


def _send(cost: Cost) -> float:
    return cost.send_us


def _cpu(cost: Cost) -> float:
    return cost.cpu_us


def _print_lap() -> None:
    watch = Watch()
    watch.start()
    for _ in range(10_000):
        watch.lap("nothing")
    print(f"  one timer lap takes {watch.wall_ns['nothing'] / 10_000 / 1000:.2f} us of wall time")


def _print_cpu(folder: Path, to: Line, rhythms: Sequence[Rhythm], rounds: int) -> float:
    print(f"\nmicroseconds per reading, median of {rounds} rounds")
    print(f"    {'':12}{'CPU':>9}{'wall':>10}")
    _print_lap()
    wholes = []
    for rhythm in rhythms:
        _print_stages(folder, rhythm, rounds)
        wholes.append(_print_whole(folder, to, rhythm, rounds))
    live = rhythms[0]
    drains = [drain(folder, to, live, seed) for seed in range(1, rounds + 1)]
    print("  sending a backlog of live blocks")
    print(f"    {'send loop':12}{statistics.median(map(_cpu, drains)):9.2f}", end="")
    print(f"{statistics.median(d.wall_us for d in drains):10.2f}", flush=True)
    return wholes[0]


def _print_resident(root: Path, folder: Path, to: Line, seconds: float) -> float | None:
    """Prints memory; returns the resident MB at the end of a first run."""
    print(f"\nmemory, edge-only environment, 8 signals at 1 Hz and a DHT22, live, {seconds:g} s")
    try:
        python = edge_python(root, root / "var" / "bench" / "edge-venv")
    except NoEnvironment as reason:
        print(f"  left out: {reason}")
        return None
    first = run_gateway(python, folder, to, seconds)
    again = run_gateway(python, folder, to, min(seconds, 12.0))
    for name, run in (("new outbox", first), ("old outbox", again)):
        print(
            f"  {name:14}after 10 s {run.settled.resident_mb:.1f} MB, at the end "
            f"{run.end.resident_mb:.1f}, peak {run.end.peak_mb:.1f}; "
            f"{run.readings_a_block:.1f} readings per block"
        )
    if first.cpu_us is not None:
        print(
            f"  CPU per reading at 1 Hz, including simulated chips and idle time: "
            f"{first.cpu_us:.0f} us"
        )
    return first.end.resident_mb


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds for the median (default 5)")
    parser.add_argument(
        "--live-blocks", type=int, default=400, help="blocks of 8 readings per round (default 400)"
    )
    parser.add_argument(
        "--saver-blocks", type=int, default=40, help="blocks of 240 readings per round (default 40)"
    )
    parser.add_argument(
        "--size-blocks", type=int, default=200, help="blocks per row of the table of bytes (200)"
    )
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="time of the memory run (30); 0 leaves it out"
    )
    parser.add_argument("--folder", type=Path, default=Path("var/bench"), help="on a real disk")
    args = parser.parse_args(arguments)
    try:
        figures = _measure(args)
    except DewlineError as error:
        print(f"bench-gateway: {error}", file=sys.stderr)
        return 1
    print(figures.line())
    return 0


def _measure(args: argparse.Namespace) -> _Figures:
    args.folder.mkdir(parents=True, exist_ok=True)
    print(f"{machine()}; outbox on {file_system_of(args.folder)}, synchronous FULL; ", end="")
    print(f"load average {os.getloadavg()[0]:.1f}")
    live, saver = _print_bytes(args.size_blocks)
    rhythms = [Rhythm("live", _LIVE, args.live_blocks), Rhythm("saver", _SAVER, args.saver_blocks)]
    with TemporaryDirectory(prefix="gateway-", dir=args.folder.resolve()) as name:
        folder = Path(name)
        with line(folder) as to:
            cpu_us = _print_cpu(folder, to, rhythms, args.rounds)
            rss_mb = None
            if args.seconds:
                rss_mb = _print_resident(Path.cwd(), folder, to, args.seconds)
    return _Figures(cpu_us, live, saver, rss_mb)


if __name__ == "__main__":
    sys.exit(main())
