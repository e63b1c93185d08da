"""Holds rows of a file as columns, and the basic operations on a column."""

import re
from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Fault", "Floats", "Ints", "Rows", "coded", "numbers", "slug", "texts_of"]

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]

_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$"
_NOT_IN_IDS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that the reader of a format could not read: its line, the reason, and its text."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Consecutive rows of a file.

    Attributes:
        lines: Line of each row, from 1; for Parquet the number of the row.
        columns: Values of the wanted columns, by their names in the mapping; a column that the
            file lacks is absent. Each has as many items as `lines`.
        faults: Rows that could not be read; they are not in the columns.
        read_bytes: How far the file is read, for the progress.
    """

    lines: Ints
    columns: Table[str, pa.Array]
    faults: tuple[Fault, ...] = ()
    read_bytes: int = 0
    names: Table[str, str] = field(default_factory=dict)


def coded(column: pa.Array) -> tuple[list[str], Ints]:
    """Returns the distinct values of a column as texts, and each row's index of one; -1: none.

    Args:
        column: Values of any simple type.
    """
    encoded = column.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)
    return ["" if v is None else str(v) for v in encoded.dictionary.to_pylist()], codes


def texts_of(column: pa.Array) -> pa.Array:
    """Returns a column as texts without white space around them."""
    return pc.utf8_trim_whitespace(column.cast(pa.string()))


def numbers(column: pa.Array, missing: frozenset[str], mark: str) -> tuple[Floats, Flags, Flags]:
    """Returns the numbers of a column, which rows have no value, and which have no number.

    Args:
        column: Numbers, or texts of numbers.
        missing: Texts that mean that there is no value.
        mark: The decimal mark of texts.
    """
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        values = column.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        return values, np.isnan(values), np.isinf(values)
    texts = texts_of(column)
    known = pc.is_in(texts, value_set=pa.array(sorted(missing), pa.string()))
    empty = pc.or_(pc.is_null(texts), known)
    texts = pc.if_else(empty, pa.scalar(None, pa.string()), texts)
    if mark != ".":
        texts = pc.replace_substring(texts, mark, ".")
    try:
        values = texts.cast(pa.float64())
        wrong = pc.fill_null(pc.invert(pc.is_finite(values)), False)
    except pa.ArrowInvalid:
        right = pc.fill_null(pc.match_substring_regex(texts, _NUMBER), False)
        wrong = pc.and_(pc.invert(right), pc.invert(empty))
        values = pc.if_else(right, texts, pa.scalar(None, pa.string())).cast(pa.float64())
    return (
        values.fill_null(np.nan).to_numpy(zero_copy_only=False),
        empty.to_numpy(zero_copy_only=False),
        wrong.to_numpy(zero_copy_only=False),
    )


def slug(text: str) -> str:
    """Returns a text as an id: lower case, `-` for other characters; empty if nothing is left."""
    return _NOT_IN_IDS.sub("-", text.lower()).strip("-")[:63].rstrip("-")
