"""Stores the cursors of projections: how far each has read the lake.

Cursors are numbered files that are created once: `cursors/<projection>/<n>.json`. A cursor is
written after the target's write, so a lost cursor only causes repeated work. If two processes run
one projection, the second fails because the number is taken.
"""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from cloud.errors import LakeError, LakeExists, LakeMissing, ProjectionError
from cloud.lake.positions import Cursor, FileSequence
from cloud.lake.store import Store
from contract.errors import ContractError
from contract.topics import Lane
from contract.typed import Between, Id, Pattern, build, plain

__all__ = ["RAW_CURSOR", "SCORING_CURSOR", "TRANSFORM_CURSOR", "CursorStore", "all_cursors"]

RAW_CURSOR = "raw"  # cursor of the fold, which appends the landing to table `raw`
# An older name, kept because existing lakes have their cursor under it.
TRANSFORM_CURSOR = "derive"
SCORING_CURSOR = "scoring"

_PREFIX = "cursors/"
_KEPT = 3
_ATTEMPTS = 5
_PATH = re.compile(r"cursors/([a-z0-9][a-z0-9-]{0,62})/(\d{9,})\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Passed:
    node: Id
    start: Annotated[str, Pattern(r"\d{13}-[0-9a-f]{8}", "a start id")]
    lane: Lane
    n: Annotated[int, Between(0, 2**53 - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _CursorFile:
    writer: str
    passed: tuple[_Passed, ...] = ()


class CursorStore:
    """The cursor of one projection, for the one process that writes it."""

    def __init__(self, store: Store, projection: str) -> None:
        self._store = store
        self._folder = f"{_PREFIX}{projection}/"
        self._writer = secrets.token_hex(4)  # makes our file differ from another writer's
        self._last: int | None = None
        if _PATH.fullmatch(self._path(1)) is None:
            raise ValueError(f"{projection!r} is not a projection's name: use a-z, 0-9 and -")

    def register(self) -> None:
        """Saves an empty cursor unless one exists; from then on the fold waits for this cursor."""
        if not self._numbers():
            self.save(Cursor())

    def load(self) -> Cursor:
        """Returns the latest readable cursor; an empty one if no file exists.

        Raises:
            LakeError: The store failed.
        """
        for _ in range(_ATTEMPTS):
            numbers = self._numbers()
            self._last = numbers[-1] if numbers else 0
            cursor = self._newest(numbers)
            if cursor is not None:
                return cursor
        raise LakeError(
            f"{self._folder}: no cursor file can be read; delete the folder to start again"
        )

    def save(self, cursor: Cursor) -> None:
        """Writes the next cursor file.

        Raises:
            ProjectionError: Another process writes this projection's cursor too.
            LakeError: The store failed; call again.
        """
        if self._last is None:
            self.load()
        n = (self._last or 0) + 1
        data = _encode(cursor, self._writer)
        try:
            self._store.create(self._path(n), data)
        except LakeExists as error:
            if self._store.read(self._path(n)) != data:
                self._last = None
                raise ProjectionError(
                    f"{self._path(n)} was written by another process: a projection has one writer, "
                    "so stop one of them"
                ) from error
        self._last = n
        if n > _KEPT:
            self._store.delete(self._path(n - _KEPT))

    def _path(self, n: int) -> str:
        return f"{self._folder}{n:09d}.json"

    def _numbers(self) -> list[int]:
        matches = (_PATH.fullmatch(path) for path in self._store.list(self._folder))
        return sorted(int(match[2]) for match in matches if match)

    def _newest(self, numbers: list[int]) -> Cursor | None:
        """Returns None if no file can be read, or all were replaced meanwhile."""
        if not numbers:
            return Cursor()
        for n in reversed(numbers):
            try:
                return _decode(self._store.read(self._path(n)), self._path(n))
            except (LakeMissing, ContractError):
                continue  # an older cursor is safe: it repeats work and skips nothing
        return None


def all_cursors(store: Store) -> Mapping[str, Cursor]:
    """Returns the cursor of every projection that has ever saved one, by the projection's name."""
    matches = (_PATH.fullmatch(path) for path in store.list(_PREFIX))
    names = sorted({match[1] for match in matches if match})
    return {name: CursorStore(store, name).load() for name in names}


def _encode(cursor: Cursor, writer: str) -> bytes:
    passed = tuple(
        _Passed(node=s.node, start=s.start_id, lane=s.lane, n=n)
        for s, n in sorted(cursor.passed.items())
    )
    return json.dumps(plain(_CursorFile(writer=writer, passed=passed)), indent=0).encode()


def _decode(data: bytes, path: str) -> Cursor:
    try:
        table = json.loads(data)
    except ValueError as error:
        raise ContractError("bad_cursor", f"{path}: {error}") from error
    file = build(_CursorFile, table, path, ignore_unknown=True)
    return Cursor({FileSequence(p.node, p.start, p.lane): p.n for p in file.passed})
