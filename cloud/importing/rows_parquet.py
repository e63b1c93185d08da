"""Reads Parquet files; columns keep their types."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cloud.errors import HistoryError
from cloud.importing.columns import Rows
from cloud.importing.header import placed
from cloud.importing.mapping import Mapping
from cloud.importing.rows_csv import ROWS
from cloud.importing.source import Source

__all__ = ["parquet_rows"]


def parquet_rows(source: Source, mapping: Mapping) -> Iterator[Rows]:
    """Yields the rows of a file; a line is the number of a row, from 1.

    Raises:
        HistoryError: The file is not Parquet, or has not the mapping's columns.
    """
    try:
        with pq.ParquetFile(source.path) as file:
            yield from _rows(file, source, mapping)
    except (pa.ArrowException, OSError) as error:
        raise HistoryError(f"{source.path} cannot be read as Parquet: {error}") from error


def _rows(file: pq.ParquetFile, source: Source, mapping: Mapping) -> Iterator[Rows]:
    at = placed(file.schema_arrow.names, mapping, source.path)
    total, done = max(1, file.metadata.num_rows), 0
    wanted = sorted(set(at.names.values()))
    for batch in file.iter_batches(batch_size=ROWS, columns=wanted, use_threads=False):
        lines = np.arange(done + 1, done + batch.num_rows + 1, dtype=np.int64)
        done += batch.num_rows
        columns = {name: _simple(batch.column(own)) for name, own in at.names.items()}
        yield Rows(
            lines=lines,
            columns=columns,
            read_bytes=source.size_bytes * done // total,
            names=at.names,
        )


def _simple(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.dictionary_decode()
    return column.cast(pa.float64()) if pa.types.is_decimal(kind) else column
