"""Runs the set-up's programs; what they printed is shown only when they fail."""

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
    """Run a command with additions to the environment, in a folder; what it printed.

    Raises:
        SetupError: it cannot be run or failed; names `what`, ends with the tail of its output.
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
        raise SetupError(f"{what}: cannot run {command[0]}: {error}") from error
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-_TAIL_LINES:])
        raise SetupError(f"{what}: {command[0]} ended with code {done.returncode}:\n{tail}")
    return done.stdout
