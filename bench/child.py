"""Runs a dewline process during a `with` block; the process also ends if this one dies."""

import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.errors import BenchError
from deploy.local import supervisor

__all__ = ["child"]


@contextmanager
def child(command: Sequence[str], log: Path) -> Generator[int]:
    """Runs a command under the supervisor of the local servers, and yields its pid.

    Args:
        command: Program and arguments; SIGTERM must stop the program cleanly.
        log: File for the program's output.

    Raises:
        BenchError: The command could not be run, or its exit code is not 0.
    """
    guarded = [sys.executable, "-I", "-S", supervisor.__file__, "--limit", "20", "--", *command]
    pipe = subprocess.PIPE
    with (
        log.open("wb") as printed,
        subprocess.Popen(
            guarded, stdin=pipe, stdout=pipe, stderr=printed, start_new_session=True
        ) as process,
    ):
        if process.stdin is None or process.stdout is None:
            raise BenchError("deploy.local.supervisor: the process has no pipes")
        try:
            pid = process.stdout.readline()
            if pid:
                yield int(pid)
        finally:
            process.stdin.close()
            process.wait(timeout=30)
    if process.returncode:
        text = log.read_text("utf-8", errors="replace")
        raise BenchError(f"{command[0]} exited with code {process.returncode}:\n{text}")
