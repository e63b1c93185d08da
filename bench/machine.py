"""Reads CPU time, memory and the machine's properties from /proc."""

import os
import platform
import sqlite3
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Memory", "cpu_s", "file_system_of", "machine", "memory", "threads_cpu_s"]

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Memory:
    """Holds the resident memory of a process, MB (10^6 bytes).

    Attributes:
        resident_mb: Present value.
        peak_mb: Largest value so far.
    """

    resident_mb: float
    peak_mb: float


def cpu_s(pid: int) -> float:
    """Returns user and system CPU seconds of a process and its ended threads, in 10 ms steps."""
    fields = (_PROC / str(pid) / "stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def threads_cpu_s(pid: int) -> float:
    """Returns CPU seconds of a process's living threads, with microsecond precision."""
    files = (_PROC / str(pid) / "task").glob("*/schedstat")
    return sum(int(f.read_text("ascii").split()[0]) for f in files) / 1e9


def memory(pid: int) -> Memory:
    """Returns the resident memory of a process."""
    lines = (_PROC / str(pid) / "status").read_text("ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return Memory(_mb(fields["VmRSS"]), _mb(fields["VmHWM"]))


def _mb(field: str) -> float:
    return int(field.split(maxsplit=1)[0]) * 1024 / 1e6  # the kernel's kB is 1024 bytes


def machine() -> str:
    """Returns cores, processor, Python and SQLite, on one line."""
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}"
    )


def file_system_of(folder: Path) -> str:
    """Returns the type of a folder's file system, such as ext4 or tmpfs."""
    mounts = [line.split()[1:3] for line in (_PROC / "mounts").read_text("utf-8").splitlines()]
    resolved = folder.resolve()
    fitting = [(point, kind) for point, kind in mounts if resolved.is_relative_to(point)]
    return max(fitting, key=lambda found: len(found[0]))[1]
