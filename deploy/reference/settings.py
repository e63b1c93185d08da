"""Makes tables of settings from the fields of a configuration's dataclass."""

import types
import typing
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Annotated, Any

from contract.schema import attribute_texts
from contract.typed import Between, Pattern, TextValue
from deploy.reference import page

__all__ = ["cells_of", "keys_table"]

_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def keys_table(cls: Any) -> str:
    """Returns the table of a section's keys, with the descriptions of its docstring."""
    texts = attribute_texts(cls)
    rows = [(*cells, texts[f.name]) for cells, f in zip(cells_of(cls), fields(cls), strict=True)]
    return page.table(("key", "value", "if missing", "meaning"), rows)


def cells_of(cls: Any) -> list[tuple[str, str, str]]:
    """Returns for each key its name, its possible values, and the value used if it is missing."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return [(f"`{f.name}`", _type(hints[f.name]), _missing(f)) for f in fields(cls)]


def _missing(field: "Field[Any]") -> str:
    if field.default_factory is not MISSING:
        return "empty" if field.default_factory is dict else "its defaults"
    if field.default is MISSING:
        return "**refused**"
    if field.default is None or field.default == ():
        return "none"
    shown = f"{field.default:#04x}" if field.name == "address" else _shown(field.default)
    return f"`{shown}`"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return f'"{value}"' if isinstance(value, str) else f"{value}"


def _type(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _bounded(arguments[0], arguments[1])
    if origin in (types.UnionType, typing.Union):
        return _type(next(a for a in arguments if a is not types.NoneType))
    if origin is tuple:
        each = _type(arguments[0])
        texts = typing.get_origin(arguments[0]) is Annotated
        return f"list of texts, {each} each" if texts else f"list of {each}"
    if origin is dict:
        return "table"
    return _named(hint) if isinstance(hint, type) else _WORDS[hint]


def _named(hint: type) -> str:
    if issubclass(hint, TextValue):
        return hint.says.replace("<", "&lt;")
    if issubclass(hint, Enum):
        return ", ".join(f'`"{m.value}"`' for m in hint)
    return "table" if is_dataclass(hint) else _WORDS[hint]


def _bounded(hint: Any, constraint: Any) -> str:
    if isinstance(constraint, Between):
        return f"{_WORDS[hint]}, {constraint.low:.10g} to {constraint.high:.10g}"
    if isinstance(constraint, Pattern):
        return constraint.says.replace("<", "&lt;")
    raise TypeError(f"no text for the constraint {constraint!r}")
