"""Measures the processor time of this process and its descendants, including servers.

It is read from /proc, because the kernel adds a child's time to its parent only when the child
ends.
"""

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["cpu_s"]

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    ticks: int  # including children that have ended


def cpu_s() -> float:
    """Returns user and system seconds of this process and its descendants until now."""
    found = _processes()
    own, total = [os.getpid()], 0
    while own:
        pid = own.pop()
        total += found[pid].ticks if pid in found else 0
        own += [child for child, process in found.items() if process.parent == pid]
    return round(total / _TICKS_PER_S, 1)


def _processes() -> dict[int, _Process]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (process := _read(entry)) is not None:
            found[int(entry.name)] = process
    return found


def _read(entry: Path) -> _Process | None:
    try:
        text = (entry / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:  # the process has ended, and its time is counted with its parent
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may contain any character
    return _Process(parent=int(fields[1]), ticks=sum(map(int, fields[11:15])))
