"""Runs a command at each multiple of a period, because compose has no timers.

    python -m deploy.compose.timer --period 900 --mark /tmp/done -- COMMAND ...

After each successful run it touches the file MARK, for a health check. The command itself must
prevent two runs at the same time in several containers. Standard library only.
"""

import argparse
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Schedule", "follow", "main"]

_LOOK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Defines instants at a fixed period, counted from 1970 in UTC.

    Attributes:
        period_s: Time between two instants, seconds.
        offset_s: Offset of the first instant. Example: a period of 86,400 s with an offset of
            12,600 s means 03:30 UTC each day.
    """

    period_s: float
    offset_s: float = 0.0

    def until_next_s(self, now_s: float) -> float:
        """Returns the seconds from `now_s` to the next instant: more than 0, at most a period."""
        return self.period_s - (now_s - self.offset_s) % self.period_s


def follow(schedule: Schedule, command: Sequence[str], mark: Path, stop: threading.Event) -> None:
    """Runs the command at each instant until `stop`, which also stops a running command.

    An instant during a run is skipped. A failed run is logged, and the next run is at the next
    instant.

    Args:
        schedule: The instants.
        command: A program and its arguments.
        mark: File that is touched at the begin and after each run with exit code 0.
        stop: Event that another thread or a signal handler sets.
    """
    mark.touch()
    while not stop.wait(schedule.until_next_s(time.time())):
        code = _run(command, stop)
        if code == 0:
            mark.touch()
        else:
            print(f"timer: {command[0]} exited with code {code}", file=sys.stderr, flush=True)


def _run(command: Sequence[str], stop: threading.Event) -> int:
    with subprocess.Popen(command) as child:
        while not stop.is_set():
            try:
                return child.wait(_LOOK_S)
            except subprocess.TimeoutExpired:
                continue
        child.terminate()
        return child.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until SIGTERM; returns 0."""
    args = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    follow(Schedule(period_s=args.period, offset_s=args.offset), args.command, args.mark, stop)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.compose.timer", description=__doc__)
    parser.add_argument("--period", type=_positive, required=True, metavar="SECONDS")
    parser.add_argument("--offset", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--mark", type=Path, required=True, metavar="FILE")
    parser.add_argument("command", nargs="+", metavar="COMMAND")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, found {text}")
    return value


if __name__ == "__main__":
    sys.exit(main())
