"""Builds frozen dataclasses from parsed JSON or TOML, and JSON-ready values from dataclasses.

All input becomes typed values here: this module checks every type, range and pattern, and no other
code handles unchecked dicts. The constraints are in the annotations (`Annotated[int,
Between(...)]`), where the JSON Schema generator finds them too.
"""

import re
import sys
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, ClassVar, Self, TypeVar

from contract.errors import ContractError

__all__ = [
    "Between",
    "Id",
    "Pattern",
    "Seq",
    "StreamId",
    "TextValue",
    "UtcMs",
    "build",
    "pattern_of",
    "plain",
]

T = TypeVar("T")

LARGEST = 2**53 - 1  # larger integers are not exact in every language's JSON
LARGEST_FLOAT = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Between:
    """Limits a number to a range that includes both bounds."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Pattern:
    """Requires that the whole text matches `regex`; `says` describes it in error messages."""

    regex: str
    says: str


class TextValue(ABC):
    """Base of values with parts that are one text in JSON and TOML; `str` returns that text.

    Attributes:
        says: Description of the expected text, for error messages.
    """

    __slots__ = ()

    says: ClassVar[str]

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """Returns the value of a text; raises ValueError if the text is not valid."""


Id = Annotated[
    str, Pattern(r"[a-z0-9][a-z0-9-]{0,62}", "1 to 63 of a-z, 0-9 and -, not beginning with -")
]
StreamId = Annotated[str, Pattern(r"[a-z2-7]{13}", "13 characters of a-z and 2-7")]
Seq = Annotated[int, Between(1, LARGEST)]
LATEST_UTC_MS = 253_402_300_799_999  # end of the year 9999
UtcMs = Annotated[int, Between(-62_135_596_800_000, LATEST_UTC_MS)]  # from the year 1


def pattern_of(annotated: object) -> Pattern:
    """Returns the pattern in an annotation such as `Id`."""
    _, constraint = typing.get_args(annotated)
    if not isinstance(constraint, Pattern):
        raise TypeError(f"{annotated} has no pattern")
    return constraint


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


def plain(value: Any) -> Any:
    """Returns the JSON-ready form of a value, without fields that are None or an empty tuple."""
    if isinstance(value, TextValue):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((f.name, getattr(value, f.name)) for f in fields(value))
        return {name: plain(item) for name, item in pairs if item is not None and item != ()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


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
