"""Shows how far an import is: a bar on a terminal, a line now and then otherwise."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from cloud.instants import shown_span

__all__ = ["Meter", "meter"]

_EVERY_S = 10.0


class Meter:
    """Shows the progress of a run over several files.

    Args:
        total_bytes: Size of all files.
        bar: A bar on a terminal; None for lines.
    """

    def __init__(self, total_bytes: int, bar: Progress | None) -> None:
        self._total_bytes = total_bytes
        self._bar = bar
        self._task: TaskID | None = bar.add_task("", total=total_bytes, rate="") if bar else None
        self._done_bytes = 0
        self._done_readings = 0
        self._began_s = self._shown_s = time.monotonic()

    def show(self, path: Path, read_bytes: int, readings: int) -> None:
        """Shows the state within a file."""
        now_s = time.monotonic()
        spent_s = max(now_s - self._began_s, 0.001)
        rate = (self._done_readings + readings) / spent_s
        done = self._done_bytes + read_bytes
        if self._bar is not None and self._task is not None:
            shown = f"{rate:,.0f} readings/s"
            self._bar.update(self._task, completed=done, description=path.name, rate=shown)
        elif now_s - self._shown_s >= _EVERY_S and done:
            self._shown_s = now_s
            left = shown_span(round(1000 * spent_s * (self._total_bytes - done) / done))
            print(
                f"{path}: {100 * done // max(1, self._total_bytes)} % of all files, "
                f"{rate:,.0f} readings/s, about {left} left",
                file=sys.stderr,
                flush=True,
            )

    def next_file(self, size_bytes: int, readings: int) -> None:
        """Ends a file."""
        self._done_bytes += size_bytes
        self._done_readings += readings


@contextmanager
def meter(total_bytes: int) -> Generator[Meter]:
    """Returns a meter on standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Meter(total_bytes, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield Meter(total_bytes, bar)
