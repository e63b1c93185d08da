"""Runs the set-up's programs, and shows their output only if they fail."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.errors import SetupError

__all__ = ["run"]

_TAIL_LINES = 20


def run(
    command: Sequence[str],
    what: str,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Runs a command with more environment variables, in a folder, and returns its output.

    Raises:
        SetupError: The command cannot be started or failed. The text names `what` and ends with the
            last lines of the output.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={**os.environ, **(environment or {})},
            cwd=folder,
        )
    except OSError as error:
        raise SetupError(f"{what}: {command[0]} cannot be started: {error}") from error
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-_TAIL_LINES:])
        raise SetupError(f"{what}: {command[0]} exited with code {done.returncode}:\n{tail}")
    return done.stdout
