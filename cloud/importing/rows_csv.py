"""Reads CSV files, and the annotated CSV of InfluxDB, as rows of texts.

Python's own parser is used: it keeps the line of each row, reads any encoding and continues after a
row that it cannot read. It takes a few percent of an import's time.
"""

import csv
import itertools
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

import numpy as np
import pyarrow as pa

from cloud.errors import HistoryError
from cloud.importing.columns import Fault, Rows
from cloud.importing.header import Placed, placed
from cloud.importing.mapping import Mapping
from cloud.importing.source import Opened, Source

__all__ = ["annotated_rows", "csv_rows"]

ROWS = 20_000  # rows in one part, for all formats
_HEADER_LINES = 500  # lines that are searched for the header
_ANNOTATION = "#"
_DEFAULT = "#default"
_BOM = "\ufeff"


class _Part:
    """Collects rows of one header."""

    def __init__(self, columns: Placed) -> None:
        self._columns = columns
        self._rows: list[list[str]] = []
        self._lines: list[int] = []
        self._faults: list[Fault] = []

    def __len__(self) -> int:
        return len(self._rows) + len(self._faults)

    def add(self, rows: list[list[str]], lines: Sequence[int]) -> None:
        """Adds rows; one with another number of columns than the header is a fault."""
        if set(map(len, rows)) == {self._columns.total}:  # nearly always
            self._rows += rows
            self._lines += lines
            return
        before = 0
        for row, line in zip(rows, lines, strict=True):
            if self._fits(row):
                self._rows.append(row)
                self._lines.append(line)
            elif row:
                more = sum(cell.count("\n") for cell in row)  # lines that a quote without end took
                self.faults(range(max(before + 1, line - more), line + 1), ",".join(row))
            before = line

    def _fits(self, row: list[str]) -> bool:
        """Returns whether no wanted column is missing; surplus columns must be empty."""
        at = self._columns
        return len(row) >= at.needed and not any(row[at.total :])

    def faults(self, lines: Iterable[int], text: str) -> None:
        """Adds lines that cannot be read."""
        self._faults += [Fault(line, "bad_row", text) for line in lines]

    def taken(self, file: Opened) -> Rows:
        """Returns the rows so far, and forgets them."""
        rows = self._rows
        places = {name: itemgetter(at) for name, at in self._columns.places.items()}
        made = Rows(
            lines=np.array(self._lines, np.int64),
            columns={n: pa.array(list(map(at, rows)), pa.string()) for n, at in places.items()},
            faults=tuple(self._faults),
            read_bytes=file.read_bytes,
            names=self._columns.names,
        )
        self._rows, self._lines, self._faults = [], [], []
        return made


def csv_rows(source: Source, mapping: Mapping) -> Iterator[Rows]:
    """Yields the rows of a CSV file.

    Raises:
        HistoryError: The file cannot be read, or has not the mapping's columns.
    """
    with source.opened(mapping.csv.encoding) as file:
        text = file.text()
        skipped, header = _header(text, mapping, source)
        part = _Part(placed(header, mapping, source.path))
        for rows, lines in _parsed(text, mapping.csv.delimiter, skipped):
            if rows is None:
                part.faults(lines, "")
            else:
                part.add(rows, lines)
            if len(part) >= ROWS:
                yield part.taken(file)
        yield part.taken(file)


def _header(text: Iterator[str], mapping: Mapping, source: Source) -> tuple[int, list[str]]:
    """Returns the number of lines up to the header, and the header."""
    keys = mapping.csv
    if keys.columns:
        return 0, list(keys.columns)
    for number, line in enumerate(text, 1):
        begins = line.lstrip(_BOM)
        if keys.header_begins is None or begins.startswith(keys.header_begins):
            return number, next(csv.reader([begins], delimiter=keys.delimiter), [])
        if number == _HEADER_LINES:
            break
    if keys.header_begins is None:
        raise HistoryError(f"{source.path} is empty")
    raise HistoryError(
        f"{source.path}: none of the first {_HEADER_LINES} lines begins with "
        f"{keys.header_begins!r}, as [csv] header_begins of the mapping says"
    )


def _parsed(
    text: Iterator[str], delimiter: str, skipped: int
) -> Iterator[tuple[list[list[str]] | None, Sequence[int]]]:
    """Yields rows with their last lines; None with the lines of a row that cannot be read."""
    reader = csv.reader(text, delimiter=delimiter)
    while True:
        rows: list[list[str]] = []
        before = skipped + reader.line_num
        try:
            rows.extend(itertools.islice(reader, ROWS))
        except csv.Error:  # such as a field of more than 131,072 characters
            read = _lines(rows, before, None)
            yield rows, read
            yield None, range((read[-1] if read else before) + 1, skipped + reader.line_num + 1)
            continue
        if not rows:
            return
        yield rows, _lines(rows, before, skipped + reader.line_num)


def _lines(rows: list[list[str]], before: int, after: int | None) -> Sequence[int]:
    """Returns the last line of each row; a quoted cell may contain line ends.

    Args:
        rows: The rows.
        before: Line before the first row.
        after: Line of the last row, if it is known.
    """
    if after == before + len(rows):
        return range(before + 1, after + 1)
    extents = (1 + sum(cell.count("\n") for cell in row) for row in rows)
    lines = list(itertools.accumulate(extents, initial=before))[1:]
    # A quote without an end takes the last line's end too.
    return lines if after is None else [min(line, after) for line in lines]


def annotated_rows(source: Source, mapping: Mapping) -> Iterator[Rows]:
    """Yields the rows of an annotated CSV file, which may have several tables.

    Lines that begin with `#` are annotations. The header of a table is the first line of the file,
    or the line after annotations.

    Raises:
        HistoryError: The file cannot be read, or a table has not the mapping's columns.
    """
    with source.opened(mapping.csv.encoding) as file:
        part: _Part | None = None
        defaults: list[str] = []
        for row, line in _single(file.text(), mapping.csv.delimiter):
            if row and row[0].startswith(_ANNOTATION):
                if part is not None:
                    yield part.taken(file)
                    part, defaults = None, []
                defaults = row if row[0] == _DEFAULT else defaults
            elif row and part is None:
                part = _Part(placed(row, mapping, source.path))
            elif part is not None:
                _add(part, row, defaults, line)
                if len(part) >= ROWS:
                    yield part.taken(file)
        if part is not None:
            yield part.taken(file)


def _single(text: Iterator[str], delimiter: str) -> Iterator[tuple[list[str] | None, int]]:
    for rows, lines in _parsed(text, delimiter, 0):
        yield from zip([None] * len(lines) if rows is None else rows, lines, strict=True)


def _add(part: _Part, row: list[str] | None, defaults: list[str], line: int) -> None:
    if row is None:
        part.faults((line,), "")
    elif row:
        filled = [cell or default for cell, default in zip(row, defaults, strict=False)]
        part.add([filled + row[len(filled) :]], (line,))
