"""Remembers in the lake which files were imported, so that a second import changes nothing.

    imports/<content>/<mapping>/begin.json    created before the first block of a file
    imports/<content>/<mapping>/done.json     created after its last block

`<content>` and `<mapping>` are digests of the file's bytes and of the mapping. Both files are
created once. A begin without a done is an import that was interrupted: begin has everything that
decides the bytes of its landing files, so the next run continues where it ended.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from cloud.errors import HistoryError, LakeExists, LakeMissing
from cloud.lake.store import Store
from contract.errors import ContractError
from contract.typed import Between, Id, Pattern, UtcMs, build, plain

__all__ = ["Begin", "Done", "ImportKey", "ImportState", "Span", "imports_of", "overlapping"]

LAYOUT = 1  # grows when the same file would become other blocks

_PREFIX = "imports/"
_DIGITS = 32  # of a SHA-256 in a path
_PATH = re.compile(rf"imports/([0-9a-f]{{{_DIGITS}}})/([0-9a-f]{{{_DIGITS}}})/(begin|done)\.json")

T = TypeVar("T")

Count = Annotated[int, Between(0, 2**53 - 1)]
StartId = Annotated[str, Pattern(r"\d{13}-[0-9a-f]{8}", "a start id")]


@dataclass(frozen=True, slots=True)
class ImportKey:
    """Digests of a file's bytes and of the mapping, in hexadecimal."""

    content: str
    mapping: str

    @property
    def digest(self) -> bytes:
        """The bytes from which ids of streams are made."""
        return bytes.fromhex(self.content) + bytes.fromhex(self.mapping)

    def path(self, name: str) -> str:
        """Returns the path of a state file in the lake."""
        return f"{_PREFIX}{self.content[:_DIGITS]}/{self.mapping[:_DIGITS]}/{name}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Everything that decides the bytes of an import's landing files, besides file and mapping.

    Attributes:
        file: Name of the file, for people.
        received_at: Time of the import's first run, ms since 1970 UTC: that of all its blocks.
        start_id: Sequence of the landing files.
        first_n: Number of the import's first landing file in that sequence.
        layout: Version of the rule by which rows become blocks.
    """

    file: str
    received_at: UtcMs
    start_id: StartId
    first_n: Annotated[int, Between(1, 2**53 - 1)]
    layout: int = LAYOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """First and last instant of a signal in an import, ms since 1970 UTC."""

    device: Id
    signal: str
    first_at: UtcMs
    last_at: UtcMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a complete import has stored.

    Attributes:
        file: Name of the file.
        received_at: Time of the import, ms since 1970 UTC.
        readings: Number of readings.
        blocks: Number of blocks.
        files: Number of landing files.
        refused: Number of refused rows and values.
        spans: One for each signal.
    """

    file: str
    received_at: UtcMs
    readings: Count
    blocks: Count
    files: Count
    refused: Count
    spans: tuple[Span, ...] = ()


class ImportState:
    """State of one import."""

    def __init__(self, store: Store, key: ImportKey) -> None:
        self._store = store
        self._key = key

    def begun(self) -> Begin | None:
        """Returns the begin; None if the import has not begun.

        Raises:
            HistoryError: Another release began it, and would make other blocks.
            LakeError: The store failed.
        """
        begin = _read(self._store, self._key.path("begin"), Begin)
        if begin is not None and begin.layout != LAYOUT:
            raise HistoryError(
                f"{begin.file}: its import was begun by another release of dewline. Finish it with "
                "that release"
            )
        return begin

    def begin(self, begin: Begin) -> Begin:
        """Creates the begin; returns that of another process if there is one already."""
        try:
            self._store.create(self._key.path("begin"), _encoded(begin))
        except LakeExists:
            return self.begun() or begin
        return begin

    def done(self) -> Done | None:
        """Returns the end; None if the import is not complete."""
        return _read(self._store, self._key.path("done"), Done)

    def finish(self, done: Done) -> None:
        """Creates the end."""
        try:
            self._store.create(self._key.path("done"), _encoded(done))
        except LakeExists:
            return  # another process has imported the same file at the same time

    def other_mappings(self) -> tuple[str, ...]:
        """Returns the names of imports of the same content by another mapping."""
        folder = f"{_PREFIX}{self._key.content[:_DIGITS]}/"
        own = self._key.path("begin")
        paths = (path for path in self._store.list(folder) if path.endswith("/begin.json"))
        found = (_read(self._store, path, Begin) for path in paths if path != own)
        return tuple(begin.file for begin in found if begin is not None)


def imports_of(store: Store) -> tuple[Done, ...]:
    """Returns all complete imports, oldest first.

    Raises:
        LakeError: The store failed.
    """
    matches = [match for match in map(_PATH.fullmatch, store.list(_PREFIX)) if match]
    found = (_read(store, match[0], Done) for match in matches if match[3] == "done")
    return tuple(sorted((d for d in found if d is not None), key=lambda d: (d.received_at, d.file)))


def overlapping(spans: Sequence[Span], earlier: Iterable[Done]) -> tuple[str, ...]:
    """Returns the files of earlier imports with the same signals at the same time."""
    own = {(s.device, s.signal): s for s in spans}
    return tuple(
        done.file
        for done in earlier
        if any(_meet(own.get((s.device, s.signal)), s) for s in done.spans)
    )


def _meet(one: Span | None, other: Span) -> bool:
    return one is not None and one.first_at <= other.last_at and other.first_at <= one.last_at


def _encoded(value: Begin | Done) -> bytes:
    return json.dumps(plain(value), indent=0, ensure_ascii=False).encode()


def _read(store: Store, path: str, cls: type[T]) -> T | None:
    try:
        return build(cls, json.loads(store.read(path)), path, ignore_unknown=True)
    except LakeMissing:
        return None
    except (ValueError, ContractError) as error:
        raise HistoryError(
            f"{path} in the lake is damaged: {error}. Restore it from a backup"
        ) from error
