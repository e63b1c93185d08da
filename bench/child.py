"""A dewline process for a while: ended in order, and with this one should this one die."""

import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.errors import BenchError
from deploy.local import guard

__all__ = ["child"]


@contextmanager
def child(command: Sequence[str], log: Path) -> Generator[int]:
    """Runs a command under the guard of the local servers; gives its pid.

    Args:
        command: Program and arguments; SIGTERM must end it in order.
        log: Where all that it prints goes.

    Raises:
        BenchError: It could not be run, or ended with another code than 0.
    """
    guarded = [sys.executable, "-I", "-S", guard.__file__, "--limit", "20", "--", *command]
    pipe = subprocess.PIPE
    with (
        log.open("wb") as printed,
        subprocess.Popen(
            guarded, stdin=pipe, stdout=pipe, stderr=printed, start_new_session=True
        ) as process,
    ):
        if process.stdin is None or process.stdout is None:
            raise BenchError("no pipes to the guard")
        try:
            pid = process.stdout.readline()
            if pid:
                yield int(pid)
        finally:
            process.stdin.close()
            process.wait(timeout=30)
    if process.returncode:
        text = log.read_text("utf-8", errors="replace")
        raise BenchError(f"{command[0]} ended with code {process.returncode}:\n{text}")
