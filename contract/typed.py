"""Builds frozen dataclasses from parsed JSON or TOML, and JSON-ready values from dataclasses.

All input becomes typed values here: this module checks every type, range and pattern, and no other
code handles unchecked dicts. The constraints are in the annotations (`Annotated[int,
Between(...)]`), where the JSON Schema generator finds them too. The annotations of a class are
compiled to functions when the class is built for the first time.
"""

import builtins
import re
import sys
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, ClassVar, Self, TypeAlias, TypeVar

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
    try:
        check = _table_check(cls, ignore_unknown)  # type: ignore[arg-type]  # classes are hashable
        made: T = check(table)
    except _FieldError as wrong:
        raise ContractError("bad_field", f"{where}{wrong.path}: {wrong.says}") from None
    return made


Check: TypeAlias = Callable[[Any], Any]  # returns the checked value, or raises `_FieldError`


class _FieldError(Exception):
    """Says what is wrong with a value; each table and list on the way out extends the path."""

    def __init__(self, says: str) -> None:
        super().__init__(says)
        self.says = says
        self.path = ""

    def inside(self, part: str) -> "_FieldError":
        self.path = part + self.path
        return self


@cache
def _table_check(cls: type, ignore_unknown: bool) -> Check:
    """Compiles the checks of a class, once: resolving its annotations takes 20 us or more."""
    hints = typing.get_type_hints(cls, include_extras=True)
    plan = tuple(
        (f.name, _compiled(hints[f.name], ignore_unknown), _is_required(f)) for f in fields(cls)
    )
    known = tuple(name for name, _, _ in plan)

    def check(table: Any) -> Any:
        if type(table) is not dict and not isinstance(table, Mapping):  # the first is faster
            raise _FieldError(f"expected a table, found {_shown(table)}")
        if not ignore_unknown:
            _refuse_unknown(table, known)
        values = {}
        get = table.get
        for name, checked, required in plan:
            value = get(name, MISSING)
            if value is not MISSING:
                try:
                    values[name] = checked(value)
                except _FieldError as wrong:
                    raise wrong.inside(f": {name}") from None
            elif required:
                raise _FieldError(f"key {name!r} is missing")
        return cls(**values)

    return check


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _refuse_unknown(table: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(str(key) for key in table if key not in known)
    if unknown:
        raise _FieldError(f"unknown key {unknown[0]!r}; known keys: {', '.join(known)}")


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


def _compiled(hint: Any, ignore_unknown: bool) -> Check:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        check = _constrained(_compiled(arguments[0], ignore_unknown), arguments[1:])
        return _quick(arguments[0], arguments[1:], check)
    if origin in (types.UnionType, typing.Union):
        inner = next(a for a in arguments if a is not type(None))
        return _or_none(inner, _compiled(inner, ignore_unknown))
    if origin is tuple:
        return _each(_compiled(arguments[0], ignore_unknown))
    if hint is dict or origin is dict:
        return _any_table
    return _compiled_class(hint, ignore_unknown)


def _compiled_class(hint: type, ignore_unknown: bool) -> Check:
    if issubclass(hint, TextValue):
        return _parsed(hint)
    if is_dataclass(hint):
        return _table_check(hint, ignore_unknown)
    if issubclass(hint, Enum):
        return _member(hint)
    return _finite if hint is float else _exactly(hint)


def _constrained(inner: Check, constraints: tuple[Any, ...]) -> Check:
    check = inner
    for constraint in constraints:
        if isinstance(constraint, Between):
            check = _between(check, constraint)
        elif isinstance(constraint, Pattern):
            check = _matching(check, constraint)
    return check


def _quick(hint: Any, constraints: tuple[Any, ...], check: Check) -> Check:
    """Returns a check in one function for the usual types; `check` gives the errors."""
    match hint, *constraints:
        case builtins.int, Between(low, high):
            return lambda v: v if type(v) is int and low <= v <= high else check(v)
        case builtins.float, Between(low, high):
            return lambda v: v if type(v) is float and low <= v <= high else check(v)
        case builtins.str, Pattern(regex):
            fullmatch = re.compile(regex).fullmatch
            return lambda v: v if type(v) is str and fullmatch(v) else check(v)
        case _:
            return check


def _between(inner: Check, limits: Between) -> Check:
    low, high = limits.low, limits.high

    def check(value: Any) -> Any:
        built = inner(value)
        if low <= built <= high:
            return built
        raise _FieldError(f"expected {low:g} to {high:g}, found {_shown(built)}")

    return check


def _matching(inner: Check, pattern: Pattern) -> Check:
    fullmatch = re.compile(pattern.regex).fullmatch

    def check(value: Any) -> Any:
        built = inner(value)
        if fullmatch(built):
            return built
        raise _FieldError(f"expected {pattern.says}, found {_shown(built)}")

    return check


def _or_none(hint: Any, inner: Check) -> Check:
    match typing.get_args(hint):
        case builtins.int, Between(low, high):  # in one function, as in `_quick`
            return lambda v: v if v is None or (type(v) is int and low <= v <= high) else inner(v)
        case builtins.float, Between(low, high):
            return lambda v: v if v is None or (type(v) is float and low <= v <= high) else inner(v)
        case _:
            return lambda v: None if v is None else inner(v)


def _each(inner: Check) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise _FieldError(f"expected a list, found {_shown(value)}")
        built: list[Any] = []
        try:
            for item in value:
                built.append(inner(item))  # noqa: PERF401  # its length is the place of an error
        except _FieldError as wrong:
            raise wrong.inside(f"[{len(built)}]") from None
        return tuple(built)

    return check


def _parsed(hint: type[TextValue]) -> Check:
    def check(value: Any) -> Any:
        try:
            return hint.parse(value if isinstance(value, str) else "")
        except ValueError:
            raise _FieldError(f"expected {hint.says}, found {_shown(value)}") from None

    return check


def _member(hint: type[Enum]) -> Check:
    members = {str(member.value): member for member in hint}

    def check(value: Any) -> Any:
        if type(value) is str and value in members:
            return members[value]
        raise _FieldError(f"expected one of {', '.join(members)}, found {_shown(value)}")

    return check


def _any_table(value: Any) -> Any:
    if isinstance(value, dict):
        return value
    raise _FieldError(f"expected a table, found {_shown(value)}")


def _finite(value: Any) -> Any:
    # The comparison is false for NaN; an int may have 400 digits.
    if type(value) in (int, float) and -LARGEST_FLOAT <= value <= LARGEST_FLOAT:
        return float(value)
    raise _FieldError(f"expected a finite number, found {_shown(value)}")


def _exactly(hint: Any) -> Check:
    names = {str: "a text", int: "a whole number", bool: "true or false"}
    allowed = hint if hint in names else None

    def check(value: Any) -> Any:
        if type(value) is allowed:
            return value
        raise _FieldError(f"expected {names.get(hint, hint)}, found {_shown(value)}")

    return check


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
