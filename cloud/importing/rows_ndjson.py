"""Reads files with one JSON document per line."""

import json
from collections.abc import Iterator
from collections.abc import Mapping as Table
from typing import Any

import numpy as np
import pyarrow as pa

from cloud.importing.columns import Fault, Rows
from cloud.importing.mapping import Mapping
from cloud.importing.rows_csv import ROWS
from cloud.importing.source import Source

__all__ = ["TextRows", "ndjson_rows"]


class TextRows:
    """Collects rows of texts that may lack columns."""

    def __init__(self, mapping: Mapping) -> None:
        self._names = tuple(dict.fromkeys((*mapping.columns(), *mapping.optional_columns())))
        self._columns: dict[str, list[str | None]] = {name: [] for name in self._names}
        self._lines: list[int] = []
        self._faults: list[Fault] = []

    def __len__(self) -> int:
        return len(self._lines) + len(self._faults)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the wanted columns."""
        return self._names

    def add(self, line: int, row: Table[str, str | None]) -> None:
        """Adds a row; columns that it lacks have no value."""
        self._lines.append(line)
        for name, column in self._columns.items():
            column.append(row.get(name))

    def fault(self, line: int, text: str) -> None:
        """Adds a row that cannot be read."""
        self._faults.append(Fault(line, "bad_row", text))

    def taken(self, read_bytes: int) -> Rows:
        """Returns the rows so far, and forgets them."""
        made = Rows(
            lines=np.array(self._lines, np.int64),
            columns={n: pa.array(c, pa.string()) for n, c in self._columns.items()},
            faults=tuple(self._faults),
            read_bytes=read_bytes,
        )
        self._columns = {name: [] for name in self._names}
        self._lines, self._faults = [], []
        return made


def ndjson_rows(source: Source, mapping: Mapping) -> Iterator[Rows]:
    """Yields the rows of a file; a column `a.b` is field `b` of the table in field `a`.

    Raises:
        HistoryError: The file cannot be read.
    """
    decoder = json.JSONDecoder(parse_float=str, parse_int=str)  # keeps the digits as written
    with source.opened(mapping.csv.encoding) as file:
        rows = TextRows(mapping)
        for number, line in enumerate(file.text(), 1):
            if line.isspace():
                continue
            try:
                document = decoder.decode(line.strip())
            except (ValueError, RecursionError):
                document = None
            if isinstance(document, dict):
                rows.add(number, {name: _text(document, name) for name in rows.names})
            else:
                rows.fault(number, line)
            if len(rows) >= ROWS:
                yield rows.taken(file.read_bytes)
        yield rows.taken(file.read_bytes)


def _text(document: dict[str, Any], name: str) -> str | None:
    found: Any = document.get(name)
    if found is None and "." in name:
        found = document
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    if isinstance(found, bool):
        return "true" if found else "false"
    return found if isinstance(found, str) else None
