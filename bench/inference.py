"""Runs a model repeatedly in a process that has only the edge's packages.

    python -m bench.inference --model FILE --steps N

Window, features and session are the gateway's own, called as the gateway calls them. The last line
is JSON: wall and CPU time of each step, sorted, in microseconds, and resident memory before and
after numpy and onnxruntime are imported.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.machine import memory
from contract.quantities import Quantity
from contract.signals import Signal
from edge.forecasting.window import SPAN_MS, Window
from models.conditions import Condition, load_conditions
from models.evaluation import Sample

__all__ = ["dew_condition", "main"]

_BEGIN_MS = 1_356_998_400_000  # 2013-01-01T00:00:00Z
_STEP_MS = 60_000
_WARM_UP = 50
_INPUTS = {
    Signal("room-1", Quantity.TEMPERATURE): (12.0, 20),
    Signal("room-1", Quantity.HUMIDITY): (65.0, 70),
    Signal("room-1", Quantity.PRESSURE): (101_300.0, 90),
}


def dew_condition() -> Condition:
    """Returns a condition (less than 3 K above the dew point) with all inputs of a model."""
    names = {signal.quantity.value: str(signal) for signal in _INPUTS}
    table = {"id": "dew", "derived": "dew_point_margin", "comparison": "below", "limit": 3.0}
    return load_conditions([{**table, **names, "step_s": 60, "max_age_s": 600}], "bench")[0]


def _take(window: Window, minute: int) -> None:
    """Adds one reading of each input to the window."""
    for signal, (centre, swing) in _INPUTS.items():
        value = centre + swing * ((minute * 7919) % 1000 - 500) / 5000
        window.take(signal, Sample(_BEGIN_MS + minute * _STEP_MS, value))
    window.settle()


def _full_window() -> tuple[Window, int]:
    window, minutes = Window(exact=True), SPAN_MS // _STEP_MS
    for minute in range(minutes):
        _take(window, minute)
    return window, minutes


def _ask(model: bytes, steps: int) -> tuple[list[float], list[float]]:
    from edge.forecasting.forecaster import Forecaster  # noqa: PLC0415 - its imports are measured
    from models.inference import Inference  # noqa: PLC0415 - as above

    forecaster = Forecaster(dew_condition(), "dew-bench", "1", Inference(model))
    window, begin = _full_window()
    wall_us, cpu_us = [], []
    for minute in range(begin, begin + _WARM_UP + steps):
        _take(window, minute)
        began_ns, began_cpu_ns = time.perf_counter_ns(), time.thread_time_ns()
        probability = forecaster.probability(window, _BEGIN_MS + minute * _STEP_MS)
        cpu_us.append((time.thread_time_ns() - began_cpu_ns) / 1000)
        wall_us.append((time.perf_counter_ns() - began_ns) / 1000)
        if probability is None:
            raise SystemExit("bench.inference: no forecast, although the window is complete")
    return sorted(wall_us[_WARM_UP:]), sorted(cpu_us[_WARM_UP:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the model and prints times and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    args = parser.parse_args(arguments)
    before = memory(os.getpid())
    wall_us, cpu_us = _ask(args.model.read_bytes(), args.steps)
    after = memory(os.getpid())
    resident = {"before_mb": before.resident_mb, "after_mb": after.resident_mb}
    print(json.dumps({"wall_us": wall_us, "cpu_us": cpu_us, **resident}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
