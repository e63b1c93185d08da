"""The checks of `contract.typed`, interpreted at each call: slow, and easy to read.

This was the program's own code before it compiled the checks. Tests compare the two.
"""

import re
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, TypeVar

from contract.errors import ContractError
from contract.typed import LARGEST_FLOAT, Between, Pattern, TextValue

T = TypeVar("T")


def build(cls: type[T], table: object, where: str, *, ignore_unknown: bool = False) -> T:
    """Returns a `cls` made from a parsed table.

    Args:
        cls: A dataclass. Its fields are annotated with types that this module supports.
        table: The result of a JSON or TOML parser.
        where: File and table for error messages, such as `gateway.toml: [clock]`.
        ignore_unknown: True for messages of newer peers, False for files that people write.

    Raises:
        ContractError: `bad_field` with the path and the expected value or, for an unknown key, the
            known keys.
    """
    if not isinstance(table, Mapping):
        raise ContractError("bad_field", f"{where}: expected a table, found {_shown(table)}")
    plan = _plan(cls)  # type: ignore[arg-type]  # a class is hashable
    if not ignore_unknown:
        _refuse_unknown(table, [field.name for field in plan], where)
    values: dict[str, Any] = {}
    for field in plan:
        if field.name in table:
            place = f"{where}: {field.name}"
            values[field.name] = _value(field.hint, table[field.name], place, ignore_unknown)
        elif field.required:
            raise ContractError("bad_field", f"{where}: key {field.name!r} is missing")
    return cls(**values)


def _refuse_unknown(table: Mapping[Any, Any], known: list[str], where: str) -> None:
    unknown = sorted(str(key) for key in table if key not in known)
    if unknown:
        raise ContractError(
            "bad_field", f"{where}: unknown key {unknown[0]!r}; known keys: {', '.join(known)}"
        )


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    hint: Any
    required: bool


@cache
def _plan(cls: type) -> tuple[_Field, ...]:  # cached: resolving annotations costs 20 us a table
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(
        _Field(f.name, hints[f.name], f.default is MISSING and f.default_factory is MISSING)
        for f in fields(cls)
    )


@cache
def _parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    return typing.get_origin(hint), typing.get_args(hint)


def _value(hint: Any, value: object, where: str, ignore_unknown: bool) -> Any:
    origin, arguments = _parts(hint)
    if origin is Annotated:
        built = _value(arguments[0], value, where, ignore_unknown)
        _check(arguments[1:], built, where)
        return built
    if origin in (types.UnionType, typing.Union):
        inner = next(a for a in arguments if a is not type(None))
        return None if value is None else _value(inner, value, where, ignore_unknown)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ContractError("bad_field", f"{where}: expected a list, found {_shown(value)}")
        items = enumerate(value)
        return tuple(_value(arguments[0], v, f"{where}[{i}]", ignore_unknown) for i, v in items)
    if isinstance(hint, type) and issubclass(hint, TextValue):
        return _parsed(hint, value, where)
    if is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, where, ignore_unknown=ignore_unknown)
    return _scalar(hint, value, where)


def _parsed(hint: type[TextValue], value: object, where: str) -> TextValue:
    try:
        return hint.parse(value if isinstance(value, str) else "")
    except ValueError:
        raise ContractError(
            "bad_field", f"{where}: expected {hint.says}, found {_shown(value)}"
        ) from None


def _scalar(hint: Any, value: object, where: str) -> Any:
    if isinstance(hint, type) and issubclass(hint, Enum):
        members = [str(m.value) for m in hint]
        if value not in members:
            raise ContractError(
                "bad_field", f"{where}: expected one of {', '.join(members)}, found {_shown(value)}"
            )
        return hint(value)
    if hint is float and type(value) in (int, float):
        number = typing.cast("float", value)
        if -LARGEST_FLOAT <= number <= LARGEST_FLOAT:  # false for NaN; an int may have 400 digits
            return float(number)
    if hint in (str, int, bool) and type(value) is hint:
        return value
    if hint is dict or typing.get_origin(hint) is dict:
        if isinstance(value, dict):
            return value
        raise ContractError("bad_field", f"{where}: expected a table, found {_shown(value)}")
    names = {str: "a text", int: "a whole number", float: "a finite number", bool: "true or false"}
    raise ContractError(
        "bad_field", f"{where}: expected {names.get(hint, hint)}, found {_shown(value)}"
    )


def _check(constraints: tuple[Any, ...], value: Any, where: str) -> None:
    for constraint in constraints:
        if isinstance(constraint, Between) and not constraint.low <= value <= constraint.high:
            span = f"{constraint.low:g} to {constraint.high:g}"
            raise ContractError("bad_field", f"{where}: expected {span}, found {_shown(value)}")
        if isinstance(constraint, Pattern) and not re.fullmatch(constraint.regex, value):
            raise ContractError(
                "bad_field", f"{where}: expected {constraint.says}, found {_shown(value)}"
            )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
