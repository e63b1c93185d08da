"""Reads InfluxDB's line protocol: `measurement,tag=a field=1.5,other=2i 1356998400000000000`.

The columns of a row are `measurement`, `time`, and the tags and fields by their names. The form is
that of InfluxDB's documentation, "Line protocol" (v2 reference): a backslash escapes comma, equals
sign and space; a text field has double quotes, in which a backslash escapes quote and backslash.
"""

import re
from collections.abc import Iterator

from cloud.importing.columns import Rows
from cloud.importing.mapping import Mapping
from cloud.importing.rows_csv import ROWS
from cloud.importing.rows_ndjson import TextRows
from cloud.importing.source import Source

__all__ = ["line_protocol_rows", "parsed_line"]

_LINE = re.compile(
    r"(?P<measurement>(?:[^\\, ]|\\.)+)"
    r"(?P<tags>(?:,(?:[^\\,= ]|\\.)+=(?:[^\\,= ]|\\.)+)*)"
    r" +(?P<fields>(?:[^\\,= ]|\\.)+=(?:\"(?:[^\"\\]|\\.)*\"|[^\", ]+)"
    r"(?:,(?:[^\\,= ]|\\.)+=(?:\"(?:[^\"\\]|\\.)*\"|[^\", ]+))*)"
    r"(?: +(?P<time>-?\d+))?"
)
_TAG = re.compile(r",((?:[^\\,= ]|\\.)+)=((?:[^\\,= ]|\\.)+)")
_FIELD = re.compile(r",?((?:[^\\,= ]|\\.)+)=(\"(?:[^\"\\]|\\.)*\"|[^\", ]+)")
_ESCAPED = re.compile(r"\\([,= \"\\])")
_NUMBER = re.compile(r"(-?[\d.]+(?:[eE][+-]?\d+)?)[iu]?")


def line_protocol_rows(source: Source, mapping: Mapping) -> Iterator[Rows]:
    """Yields the rows of a file; a line without a time is refused.

    Raises:
        HistoryError: The file cannot be read.
    """
    with source.opened(mapping.csv.encoding) as file:
        rows = TextRows(mapping)
        for number, line in enumerate(file.text(), 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            row = parsed_line(text)
            if row is None:
                rows.fault(number, text)
            else:
                rows.add(number, row)
            if len(rows) >= ROWS:
                yield rows.taken(file.read_bytes)
        yield rows.taken(file.read_bytes)


def parsed_line(text: str) -> dict[str, str | None] | None:
    """Returns the columns of a line; None if it is not line protocol."""
    match = _LINE.fullmatch(text)
    if match is None:
        return None
    row: dict[str, str | None] = {
        "measurement": _unescaped(match["measurement"]),
        "time": match["time"],
    }
    for name, value in _TAG.findall(match["tags"]):
        row[_unescaped(name)] = _unescaped(value)
    for name, value in _FIELD.findall(match["fields"]):
        row[_unescaped(name)] = _field(value)
    return row


def _field(value: str) -> str:
    if value.startswith('"'):
        return _unescaped(value[1:-1])
    number = _NUMBER.fullmatch(value)
    return value if number is None else number[1]


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text
