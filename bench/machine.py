"""What the kernel says about processes and about this machine. Reads /proc, changes nothing."""

import os
import platform
import sqlite3
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Memory", "cpu_s", "file_system_of", "machine", "memory", "threads_cpu_s"]

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a process, MB (10^6 bytes).

    Attributes:
        resident_mb: Now.
        peak_mb: The most so far.
    """

    resident_mb: float
    peak_mb: float


def cpu_s(pid: int) -> float:
    """Returns CPU seconds, user and system, of a process and its ended threads; steps of 10 ms."""
    fields = (_PROC / str(pid) / "stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def threads_cpu_s(pid: int) -> float:
    """Returns CPU seconds of a process's living threads, exact to the microsecond."""
    files = (_PROC / str(pid) / "task").glob("*/schedstat")
    return sum(int(f.read_text("ascii").split()[0]) for f in files) / 1e9


def memory(pid: int) -> Memory:
    """Returns the resident memory of a process."""
    lines = (_PROC / str(pid) / "status").read_text("ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return Memory(_mb(fields["VmRSS"]), _mb(fields["VmHWM"]))


def _mb(field: str) -> float:
    return int(field.split(maxsplit=1)[0]) * 1024 / 1e6  # the kernel's kB are 1024 bytes


def machine() -> str:
    """Returns cores, processor, Python and SQLite, on one line."""
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}"
    )


def file_system_of(folder: Path) -> str:
    """Returns the kind of file system that a folder is on, such as ext4; tmpfs is no disk."""
    mounts = [line.split()[1:3] for line in (_PROC / "mounts").read_text("utf-8").splitlines()]
    resolved = folder.resolve()
    fitting = [(point, kind) for point, kind in mounts if resolved.is_relative_to(point)]
    return max(fitting, key=lambda found: len(found[0]))[1]
