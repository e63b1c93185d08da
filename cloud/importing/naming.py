"""Looks up the texts of a column: devices, sensors, signals, qualities and rows of one kind."""

from collections.abc import Callable
from collections.abc import Mapping as Table
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from cloud.importing.columns import Flags, Ints, Rows, coded, slug, texts_of
from cloud.importing.mapping import DeviceKeys, QualityKeys, SensorKeys, SignalKeys
from cloud.importing.mapping_file import MappedSignal, mapped_signal
from contract.quantities import Flag, Quality

__all__ = ["GOOD", "Grade", "Looked", "grades_of", "names_of", "rows_when", "signals_of"]

T = TypeVar("T")

Grade = tuple[Quality, tuple[Flag, ...]]
GOOD: Grade = (Quality.GOOD, ())


@dataclass(frozen=True, slots=True)
class Looked(Generic[T]):
    """The value of each row.

    Attributes:
        values: The distinct values.
        codes: Index of each row's value; -1 if the row has none.
        reason: Why rows have none.
    """

    values: tuple[T, ...]
    codes: Ints
    reason: str = ""


def _same(value: T, rows: Rows) -> Looked[T]:
    return Looked((value,), np.zeros(len(rows.lines), np.int64))


def _looked(rows: Rows, column: str, find: Callable[[str], T | None], reason: str) -> Looked[T]:
    array = rows.columns.get(column)
    if array is None:
        return Looked((), np.full(len(rows.lines), -1, np.int64), reason)
    texts, codes = coded(texts_of(array))
    found = [find(text) for text in texts]
    values = tuple(dict.fromkeys(value for value in found if value is not None))
    places = {value: n for n, value in enumerate(values)}
    table = np.array([-1 if v is None else places[v] for v in found] + [-1], np.int64)
    return Looked(values, table[codes], reason)


def names_of(rows: Rows, keys: DeviceKeys | SensorKeys, empty: str) -> Looked[str]:
    """Returns the device or sensor of each row; `empty` is the reason for rows without a text."""
    if keys.id is not None:
        return _same(keys.id, rows)
    if keys.values:
        return _looked(rows, str(keys.column), keys.values.get, "not_mapped")
    return _looked(rows, str(keys.column), lambda text: slug(text) or None, empty)


def signals_of(rows: Rows, keys: SignalKeys) -> Looked[MappedSignal]:
    """Returns the signal of each row."""
    known = {text: mapped_signal(name, text) for text, name in keys.values.items()}
    return _looked(rows, keys.column, known.get, "not_mapped")


def grades_of(rows: Rows, keys: QualityKeys | None) -> Looked[Grade]:
    """Returns the quality of each row."""
    if keys is None:
        return _same(GOOD, rows)
    known = {text: _grade(str(words).split()) for text, words in keys.values.items()}
    return _looked(rows, keys.column, known.get, "bad_quality")


def _grade(words: list[str]) -> Grade:
    return Quality(words[0]), tuple(Flag(word) for word in words[1:])


def rows_when(rows: Rows, wanted: Table[str, str]) -> Flags:
    """Returns which rows have these texts in these columns."""
    chosen = np.ones(len(rows.lines), np.bool_)
    for column, text in wanted.items():
        find: Callable[[str], bool | None] = lambda found, text=text: found == text or None  # type: ignore[misc]  # noqa: E731
        chosen &= _looked(rows, column, find, "").codes >= 0
    return chosen
