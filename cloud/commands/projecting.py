"""Adds the two verbs of every projection: `run` to the end of the lake, and `follow` the lake."""

import logging
from collections.abc import Callable

from cloud.commands.arguments import Run, Verbs, add_verb, stop_on_signal
from cloud.composition.projections import open_runner
from cloud.config import CloudConfig
from cloud.projections.runner import Projection
from contract.errors import DewlineError

__all__ = ["add_projecting", "follow", "run_once"]

_log = logging.getLogger(__name__)
_POLL_S = 0.5

Opener = Callable[[CloudConfig], Projection]
BeforePass = Callable[[], object]


def add_projecting(
    verbs: Verbs,
    opener: Opener,
    before_pass: Callable[[CloudConfig], BeforePass | None] = lambda _config: None,
) -> None:
    """Adds `run` and `follow` for a projection.

    Args:
        verbs: The noun's verbs.
        opener: Makes the projection from a configuration.
        before_pass: Makes what `follow` calls before each pass; None for nothing.
    """
    _add(
        verbs,
        "run",
        "Apply all files that are in the lake now, then exit.",
        lambda _args, config: run_once(config, opener(config)),
    )
    _add(
        verbs,
        "follow",
        "Apply new files until SIGTERM or Ctrl-C.",
        lambda _args, config: follow(config, opener(config), before_pass(config)),
    )


def _add(verbs: Verbs, name: str, about: str, run: Run) -> None:
    parser = add_verb(verbs, name, about, name, run)
    noun = parser.prog.split()[-2]  # `dewline-cloud ledger run`: each projection has its own noun
    parser.epilog = f"example: dewline-cloud --config cloud.toml {noun} {name}"


def run_once(config: CloudConfig, projection: Projection) -> int:
    """Applies every file beyond the projection's cursor, prints how many; returns exit code 0.

    Raises:
        DewlineError: The lake or the target failed; files applied before stay applied.
    """
    files_total = open_runner(config, projection).run_once()
    print(f"{projection.name}: {files_total} files applied")
    return 0


def follow(
    config: CloudConfig, projection: Projection, before_pass: BeforePass | None = None
) -> int:
    """Applies new files until SIGTERM or SIGINT; returns exit code 0.

    Raises:
        DewlineError: A failure that a retry does not solve.
    """
    failures = _FailureLog(projection.name)
    open_runner(config, projection).follow(stop_on_signal(), _POLL_S, failures, before_pass)
    return 0


class _FailureLog:
    """Logs a failure, but not again while its text stays the same."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last = ""

    def __call__(self, error: DewlineError) -> None:
        if str(error) != self._last:
            self._last = str(error)
            _log.warning("%s waits at its cursor: %s", self._name, error)
