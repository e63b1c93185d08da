"""Measures what a forecast costs on the gateway, in time and in memory.

    make bench-predict

Time: from window to features to probability, per step, in a process with only the edge's packages,
for a logistic regression and for a blend. Memory: a real gateway process that has loaded three
blends and forecasts during the whole run. The last line is JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.broker import Line, line
from bench.errors import BenchError, NoEnvironment
from bench.machine import machine
from bench.model import Models, blend, lay_models, logistic
from bench.resident import RESIDENT_DB, edge_python, run_gateway
from contract.errors import DewlineError
from contract.quantities import Quantity
from contract.signals import Signal
from edge.forecasting.window import SLOT_MS, SPAN_MS, Window
from edge.storage.outbox import Outbox
from edge.storage.stream_end import StreamEnd
from models.conditions import load_conditions
from models.evaluation import Sample

__all__ = ["main"]

_GOAL_RSS_MB, _GOAL_P99_US = 90.0, 2000.0
_ASKING_LIMIT_S = 300.0
_PAIR = {"temperature": "room-1/temperature", "humidity": "room-1/humidity"}
_TIMES = {"step_s": 2, "max_age_s": 600}  # short steps, for many forecasts per minute
_CONDITIONS = [
    {"id": "dew", "derived": "dew_point_margin", "comparison": "below", "limit": 1.0, **_PAIR},
    {"id": "damp", "signal": "room-1/humidity", "comparison": "above", "limit": 99.0, **_PAIR},
    {"id": "frost", "signal": "room-1/temperature", "comparison": "below", "limit": -9.0, **_PAIR},
]


@dataclass(frozen=True, slots=True)
class _Figures:
    rss_onnx_mb: float | None
    predict_p50_us: float
    predict_p99_us: float
    predict_blend_p50_us: float
    predict_blend_p99_us: float

    def line(self) -> str:
        rounded = {name: _rounded(getattr(self, name)) for name in self.__dataclass_fields__}
        return json.dumps(rounded)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Holds the output of `bench.inference`; times of the steps are sorted, microseconds."""

    wall_us: list[float]
    cpu_us: list[float]
    before_mb: float
    after_mb: float


@dataclass(frozen=True, slots=True)
class _Model:
    """Holds a model's name for the output, and its ONNX file."""

    name: str
    data: bytes


def _print_time(python: Path, folder: Path, steps: int, model: _Model) -> tuple[float, float]:
    """Prints how long a forecast takes; returns p50 and p99 of wall time, microseconds."""
    found = _asked(python, folder, steps, model.data)
    print(
        f"\nfeatures and inference, {model.name} of {len(model.data) / 1000:.0f} kB, "
        f"window of 3 signals and 37 h, {steps} steps, in microseconds"
    )
    for name, spent_us in (("wall", found.wall_us), ("CPU", found.cpu_us)):
        print(
            f"  {name:5}p50 {_quantile(spent_us, 0.5):6.0f}, p99 {_quantile(spent_us, 0.99):6.0f}, "
            f"slowest {spent_us[-1]:6.0f}"
        )
    print(f"  goal: p99 below {_GOAL_P99_US:g}")
    print(
        f"  memory of the process: {found.before_mb:.1f} MB before importing numpy and "
        f"onnxruntime, {found.after_mb:.1f} MB with them, the model and the window",
        flush=True,
    )
    return _quantile(found.wall_us, 0.5), _quantile(found.wall_us, 0.99)


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, round(len(ordered) * share))]


def _asked(python: Path, folder: Path, steps: int, data: bytes) -> _Asked:
    model = folder / "model.onnx"
    model.write_bytes(data)
    command = [str(python), "-m", "bench.inference", "--model", str(model), "--steps", str(steps)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_ASKING_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(
            f"bench.inference: not finished after {_ASKING_LIMIT_S:g} s; use fewer --steps"
        ) from error
    if done.returncode:
        raise BenchError(f"bench.inference exited with code {done.returncode}:\n{done.stderr}")
    return _Asked(**json.loads(done.stdout.splitlines()[-1]))


def _print_memory(python: Path, folder: Path, to: Line, seconds: float, model: _Model) -> float:
    """Prints a gateway's memory with three such models; returns the resident MB at the end."""
    conditions = load_conditions([{**_TIMES, **table} for table in _CONDITIONS], "bench")
    models = lay_models(folder, conditions, model.data)
    _store_window(folder)
    run = run_gateway(python, folder, to, seconds, _more(models))
    if not run.predictions_total:
        raise BenchError("gateway: no forecast was committed during the run")
    print(
        f"\nmemory of a gateway, 8 signals at 1 Hz and a DHT22, {len(conditions)} models "
        f"({model.name}), {run.predictions_total} forecasts in {seconds:g} s"
    )
    print(
        f"  after 10 s {run.settled.resident_mb:.1f} MB, at the end {run.end.resident_mb:.1f} "
        f"(goal at most {_GOAL_RSS_MB:g}), peak {run.end.peak_mb:.1f}",
        flush=True,
    )
    return run.end.resident_mb


def _store_window(folder: Path) -> None:
    """Writes an outbox with a window of the last 37 hours, so that models can forecast at once."""
    window, now_ms = Window(), time.time_ns() // 1_000_000
    for at_ms in range(now_ms - SPAN_MS, now_ms, SLOT_MS):
        window.take(
            Signal("room-1", Quantity.TEMPERATURE), Sample(at_ms, 12.0 + at_ms // SLOT_MS % 7)
        )
        window.take(Signal("room-1", Quantity.HUMIDITY), Sample(at_ms, 60.0 + at_ms // SLOT_MS % 9))
    outbox = Outbox(folder / RESIDENT_DB, durable=True)
    end = StreamEnd("abcdefghij234", 0, now_ms, 1000, clean=True)
    outbox.commit([], end, window.memory())
    outbox.close()


def _more(models: Models) -> str:
    tables = "".join(
        "[[condition]]\n" + "".join(f"{key} = {json.dumps(v)}\n" for key, v in table.items())
        for table in ({**_TIMES, **c} for c in _CONDITIONS)
    )
    return (
        f'{tables}[models]\nurl = "http://127.0.0.1:1"\nfolder = "{models.folder}"\n'
        f'trusted_keys = ["{models.trusted_key}"]\n'
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5000, help="number of forecasts (5000)")
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="time of the memory run (30); 0 leaves it out"
    )
    parser.add_argument("--folder", type=Path, default=Path("var/bench"), help="on a real disk")
    parser.add_argument(
        "--python", type=Path, help="Python to use instead of one in a new edge-only environment"
    )
    args = parser.parse_args(arguments)
    try:
        figures = _measure(args)
    except DewlineError as error:
        print(f"bench-predict: {error}", file=sys.stderr)
        return 1
    print(figures.line())
    return 0


def _measure(args: argparse.Namespace) -> _Figures:
    args.folder.mkdir(parents=True, exist_ok=True)
    print(f"{machine()}; load average {os.getloadavg()[0]:.1f}")
    python = args.python or _edge_python()
    with TemporaryDirectory(prefix="predict-", dir=args.folder.resolve()) as name:
        folder = Path(name)
        plain, blended = _Model("logistic", logistic()), _Model("blend", blend())
        times_us = [_print_time(python, folder, args.steps, m) for m in (plain, blended)]
        rss_mb = None
        if args.seconds:
            with line(folder) as to:
                rss_mb = _print_memory(python, folder, to, args.seconds, blended)
    return _Figures(rss_mb, *times_us[0], *times_us[1])


def _edge_python() -> Path:
    root = Path.cwd()
    try:
        return edge_python(root, root / "var" / "bench" / "edge-venv")
    except NoEnvironment as reason:
        print(f"edge-only environment not available; measuring in the present one: {reason}")
        return Path(sys.executable)


if __name__ == "__main__":
    sys.exit(main())
