"""Chooses the reader of a file's format."""

from collections.abc import Callable, Iterator

from cloud.importing.columns import Rows
from cloud.importing.mapping import Format, Mapping
from cloud.importing.rows_csv import annotated_rows, csv_rows
from cloud.importing.rows_line_protocol import line_protocol_rows
from cloud.importing.rows_ndjson import ndjson_rows
from cloud.importing.rows_parquet import parquet_rows
from cloud.importing.source import Source

__all__ = ["rows_of"]

_READERS: dict[Format, Callable[[Source, Mapping], Iterator[Rows]]] = {
    Format.CSV: csv_rows,
    Format.NDJSON: ndjson_rows,
    Format.PARQUET: parquet_rows,
    Format.LINE_PROTOCOL: line_protocol_rows,
    Format.ANNOTATED_CSV: annotated_rows,
}


def rows_of(source: Source, mapping: Mapping) -> Iterator[Rows]:
    """Yields the rows of a file in parts of limited size.

    Raises:
        HistoryError: The file cannot be read, or has not the mapping's columns.
    """
    return _READERS[mapping.format](source, mapping)
