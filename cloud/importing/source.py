"""Opens the files to import: finds them in folders, reads them as bytes or text, hashes them."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cloud.errors import HistoryError

__all__ = ["Opened", "Source", "source_at", "sources_of"]

_SUFFIXES = (".csv", ".tsv", ".txt", ".ndjson", ".jsonl", ".parquet", ".lp", ".line")
_GZIP = ".gz"
_PART_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """One file to import.

    Attributes:
        path: The file.
        size_bytes: Its size.
        sha256: Digest of its bytes.
    """

    path: Path
    size_bytes: int
    sha256: str

    @contextmanager
    def opened(self, encoding: str = "utf-8") -> "Generator[Opened]":
        """Opens the file, uncompressed if its name ends with `.gz`.

        Raises:
            HistoryError: The file cannot be read.
        """
        try:
            with self.path.open("rb") as raw:
                if self.path.suffix != _GZIP:
                    yield Opened(raw, raw, encoding)
                    return
                with gzip.GzipFile(fileobj=raw) as plain:
                    yield Opened(raw, plain, encoding)
        except (OSError, EOFError, zlib.error, UnicodeError) as error:
            raise HistoryError(f"{self.path} cannot be read: {error}") from error


class Opened:
    """A file that is being read.

    Attributes:
        raw: The file's own bytes.
        plain: The bytes without compression.
    """

    def __init__(self, raw: IO[bytes], plain: IO[bytes] | gzip.GzipFile, encoding: str) -> None:
        self.raw = raw
        self.plain = plain
        self._encoding = encoding
        self._text: io.TextIOWrapper | None = None

    @property
    def read_bytes(self) -> int:
        """How many of the file's own bytes are read."""
        return self.raw.tell()

    def text(self) -> io.TextIOWrapper:
        """Returns the content as text; bytes that are not text become the character U+FFFD."""
        # Kept here, because a wrapper that nothing refers to closes the file.
        self._text = io.TextIOWrapper(self.plain, self._encoding, errors="replace", newline="")
        return self._text


def sources_of(paths: list[Path]) -> Iterator[Path]:
    """Yields the files to import: those named, and those in named folders, sorted by path.

    Raises:
        HistoryError: A path does not exist, or a folder has no file of a known kind.
    """
    for path in paths:
        if not path.is_dir():
            if not path.is_file():
                raise HistoryError(f"{path} does not exist")
            yield path
            continue
        found = sorted(p for p in path.rglob("*") if p.is_file() and _is_known(p))
        if not found:
            raise HistoryError(
                f"{path} has no file to import. Names must end with one of "
                f"{', '.join(_SUFFIXES)}, also followed by {_GZIP}"
            )
        yield from found


def _is_known(path: Path) -> bool:
    name = path.name.lower().removesuffix(_GZIP)
    return name.endswith(_SUFFIXES) and not path.name.startswith(".")


def source_at(path: Path) -> Source:
    """Reads a file once to know its digest.

    Raises:
        HistoryError: The file cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while part := file.read(_PART_BYTES):
                digest.update(part)
                size += len(part)
    except OSError as error:
        raise HistoryError(f"{path} cannot be read: {error.strerror or error}") from error
    return Source(path, size, digest.hexdigest())
