"""Checks the lake: whether it is writable, when a block landed last, how far cursors are behind."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloud.errors import LakeError
from cloud.health.finding import Finding, State
from cloud.instants import shown_span
from cloud.lake.cursor_lag import Lag, lags, last_landed_at
from cloud.lake.cursors import RAW_CURSOR, SCORING_CURSOR, TRANSFORM_CURSOR
from cloud.lake.raw import RawTable
from cloud.lake.store import Store

__all__ = ["CursorLimits", "look_at_cursors", "look_at_lake"]

_MOVERS = {  # by cursor, the command that moves it
    RAW_CURSOR: "lake fold",
    TRANSFORM_CURSOR: "transform run",
    SCORING_CURSOR: "scoring run",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorLimits:
    """Maximum age of the oldest file that a cursor has not passed.

    Attributes:
        follow_s: For projections that follow the lake, seconds.
        batch_s: For the transform, which a timer runs, seconds.
        expected: Cursors that should exist.
    """

    follow_s: float
    batch_s: float
    expected: frozenset[str]


def look_at_lake(folder: Path, store: Store, now_ms: int, quiet_s: float) -> Iterator[Finding]:
    """Writes and deletes a file that readers of the lake ignore; finds the newest landed block.

    Args:
        folder: The lake's folder.
        store: The lake.
        now_ms: Current time, ms since 1970 UTC.
        quiet_s: Time without a landed block after which to warn, seconds.

    Raises:
        LakeError: The lake cannot be written or read.
    """
    _write(folder if folder.exists() else folder.parent)
    yield Finding(
        check="lake", state=State.OK, found=f"{folder} can be written", expected="can be written"
    )
    yield _landed(last_landed_at(store), now_ms, quiet_s)


def _write(folder: Path) -> None:
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
            file.write(b"dewline-cloud doctor\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise LakeError(f"{folder} cannot be written: {error.strerror or error}") from error


def _landed(at: int | None, now_ms: int, quiet_s: float) -> Finding:
    found = "the landing is empty" if at is None else f"{shown_span(now_ms - at)} ago"
    quiet = at is None or now_ms - at > quiet_s * 1000
    return Finding(
        check="last landing",
        state=State.WARNING if quiet else State.OK,
        found=found,
        expected=f"within {shown_span(round(quiet_s * 1000))}",
        remedy="check that `dewline-cloud ingest run` runs and that gateways send" if quiet else "",
    )


def look_at_cursors(
    store: Store, raw: RawTable, now_ms: int, limits: CursorLimits
) -> Iterator[Finding]:
    """Returns one finding for each cursor that exists or should exist.

    Raises:
        LakeError: The lake cannot be read.
    """
    found: Mapping[str, Lag] = {lag.projection: lag for lag in lags(store, raw)}
    for name in sorted(found.keys() | limits.expected):
        if name in found:
            yield _cursor(found[name], now_ms, limits)
        else:
            yield Finding(
                check=f"cursor {name}",
                state=State.WARNING,
                found="no cursor yet",
                expected="a cursor",
                remedy=f"start {_mover(name)}",
            )


def _cursor(lag: Lag, now_ms: int, limits: CursorLimits) -> Finding:
    limit_s = limits.batch_s if lag.projection == TRANSFORM_CURSOR else limits.follow_s
    missing = lag.behind_files > 0 and lag.oldest_at is None
    age_ms = 0 if lag.oldest_at is None else now_ms - lag.oldest_at
    late = missing or age_ms > limit_s * 1000
    found = f"{lag.behind_files} file{'' if lag.behind_files == 1 else 's'} behind"
    if missing:
        found += ", the next file is missing from the lake: `lake verify` names it"
    elif lag.behind_files:
        found += f", the oldest was received {shown_span(age_ms)} ago"
    return Finding(
        check=f"cursor {lag.projection}",
        state=State.FAILED if late else State.OK,
        found=found,
        expected=f"no waiting file older than {shown_span(round(limit_s * 1000))}",
        remedy=f"check that {_mover(lag.projection)} runs, and read its log" if late else "",
    )


def _mover(name: str) -> str:
    return f"`dewline-cloud {_MOVERS.get(name, f'{name} follow')}`"
