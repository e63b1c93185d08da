"""Finds the columns of a mapping in the header of a file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cloud.errors import HistoryError
from cloud.importing.mapping import Mapping

__all__ = ["Placed", "placed"]


@dataclass(frozen=True, slots=True)
class Placed:
    """Places of the wanted columns.

    Attributes:
        places: By the name in the mapping, the place of the column in a row.
        names: By the name in the mapping, the name in the header.
        needed: A row has at least so many columns.
        total: Number of columns in the header.
    """

    places: dict[str, int]
    names: dict[str, str]
    needed: int
    total: int


def placed(header: Sequence[str], mapping: Mapping, path: Path) -> Placed:
    """Finds the mapping's columns; a name with `*` is a pattern that must fit one column.

    Raises:
        HistoryError: A column is missing, or several fit a name.
    """
    own = [name.strip() for name in header]
    places = {name: _place(own, name, path) for name in mapping.columns()}
    for name in mapping.optional_columns():
        if _fitting(own, name):
            places[name] = _place(own, name, path)
    if not any(value.column in places for value in mapping.value):
        listed = ", ".join(repr(value.column) for value in mapping.value)
        raise HistoryError(
            f"{path}: none of the columns of values ({listed}) is in the header, which has: "
            f"{_shown(own)}. Correct the mapping"
        )
    names = {name: own[place] for name, place in places.items()}
    return Placed(places, names, max(places.values()) + 1, len(own))


def _place(header: list[str], name: str, path: Path) -> int:
    found = _fitting(header, name)
    if not found:
        raise HistoryError(
            f"{path}: column {name!r} is not in the header, which has: {_shown(header)}. Correct "
            "the mapping, or [csv] delimiter and header_begins"
        )
    if len(found) > 1:
        fitting = _shown([repr(header[n]) for n in found])
        raise HistoryError(
            f"{path}: several columns fit {name!r}: {fitting}. Name one in full in the mapping"
        )
    return found[0]


def _fitting(header: list[str], name: str) -> list[int]:
    pattern = re.compile(".*".join(map(re.escape, name.split("*"))))
    exact = [n for n, own in enumerate(header) if own == name]
    return exact or [n for n, own in enumerate(header) if pattern.fullmatch(own)]


def _shown(names: list[str]) -> str:
    return ", ".join(names)[:300]
