"""The tables of docs/edge.md, derived from the configuration's dataclasses and the drivers.

    python -m edge.configuration.reference docs/edge.md   rewrites between the markers
    python -m edge.configuration.reference docs/edge.md --check   exits with 1 if it would

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`; the prose around it is
written by people.
"""

import sys
import types
import typing
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Annotated, Any

from contract import page
from contract.schema import attribute_texts
from contract.typed import Between, Pattern, TextValue
from edge.configuration.config import (
    AlertOutputConfig,
    BoardConfig,
    ClockConfig,
    CommitConfig,
    GatewayConfig,
    ModelsConfig,
    OutboxConfig,
    SensorConfig,
    UplinkConfig,
)
from firmware_bridge import chips
from models.conditions import Condition

__all__ = ["CONFIG_TABLES", "main", "rewritten", "tables"]

CONFIG_TABLES: dict[str, Any] = {
    "top level": GatewayConfig,
    "outbox": OutboxConfig,
    "uplink": UplinkConfig,
    "board": BoardConfig,
    "clock": ClockConfig,
    "commit": CommitConfig,
    "alert_output": AlertOutputConfig,
    "models": ModelsConfig,
    "sensor": SensorConfig,
    "condition": Condition,
}
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def tables() -> dict[str, str]:
    """Every generated table by its name, as Markdown."""
    keys = {f"keys of {name}": _keys(cls) for name, cls in CONFIG_TABLES.items()}
    return keys | {f"driver {name}": _driver(name) for name in chips.driver_names()}


def rewritten(text: str) -> str:
    """A page with its parts as they are now; KeyError if it names one that does not exist."""
    return page.rewritten(text, tables())


def _keys(cls: Any) -> str:
    hints = typing.get_type_hints(cls, include_extras=True)
    texts = attribute_texts(cls)
    rows = [(f"`{f.name}`", _type(hints[f.name]), _missing(f), texts[f.name]) for f in fields(cls)]
    return page.table(("key", "value", "if missing", "meaning"), rows)


def _driver(name: str) -> str:
    driver = chips.load(name)
    hints = typing.get_type_hints(driver.Config, include_extras=True)
    shown = {f.name: _type(hints[f.name]) for f in fields(driver.Config)}
    shown["quantities"] = "list of " + ", ".join(f'`"{q.value}"`' for q in driver.QUANTITIES)
    rows = [(f"`{f.name}`", shown[f.name], _missing(f)) for f in fields(driver.Config)]
    manual = (sys.modules[driver.Config.__module__].__doc__ or "").partition("Quirks")[0]
    return f"{manual.strip()}\n\n" + page.table(("key", "value", "if missing"), rows)


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
        return f"list of {_type(arguments[0])}"
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
    raise TypeError(f"{constraint!r} has no words")


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrites the generated parts of a page, or checks that they are current."""
    return page.maintain("edge.configuration.reference", tables(), arguments)


if __name__ == "__main__":
    sys.exit(main())
