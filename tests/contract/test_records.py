import dataclasses
import typing
from enum import Enum
from typing import Annotated, Any

import pytest

from contract.errors import ContractError
from contract.records import RECORD_TYPES, Kind, Span
from contract.schema import attribute_texts


def unbounded(hint: Any) -> bool:
    if typing.get_origin(hint) is Annotated:
        return False
    return hint in (int, float, str) or any(map(unbounded, typing.get_args(hint)))


@pytest.mark.parametrize("kind", list(Kind))
def test_every_field_is_explained(kind: Kind) -> None:
    cls = RECORD_TYPES[kind]
    names = {field.name for field in dataclasses.fields(cls)}
    assert names
    assert set(attribute_texts(cls)) == names


@pytest.mark.parametrize("kind", list(Kind))
def test_a_record_is_a_frozen_value_named_by_its_fields(kind: Kind) -> None:
    cls = RECORD_TYPES[kind]
    assert cls.__dataclass_params__.frozen  # type: ignore[union-attr]
    assert all(field.kw_only for field in dataclasses.fields(cls))
    assert "__dict__" not in dir(cls)


@pytest.mark.parametrize("kind", list(Kind))
def test_every_number_and_text_has_its_bounds(kind: Kind) -> None:
    hints = typing.get_type_hints(RECORD_TYPES[kind], include_extras=True)
    free = {name for name, hint in hints.items() if unbounded(hint)}
    assert free <= {"value"}  # a signal's value has no bounds but those of a double


def test_a_span_does_not_run_backwards() -> None:
    assert Span(stream_id="ynoicv4oqjyxi", first=7, last=7).last == 7
    with pytest.raises(ContractError, match="last 6 is less than first 7"):
        Span(stream_id="ynoicv4oqjyxi", first=7, last=6)


def test_names_of_kinds_are_safe_in_topics_tables_and_indices() -> None:
    assert issubclass(Kind, Enum)
    assert all(kind.value.replace("_", "").isalpha() and kind.value.islower() for kind in Kind)
