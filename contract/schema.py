"""Derives the JSON Schema (2020-12) of a block's document and of the ack from the dataclasses.

    python -m contract.schema           writes contract/schemas/*.schema.json
    python -m contract.schema --check   exits with 1 if a file is stale

Only `contract.document` checks the rules that a schema cannot express: complete columns, a reason
for each null, sums beyond a limit. Fields that a schema does not name are allowed and ignored.
"""

import argparse
import json
import sys
import types
import typing
from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from contract.acks import Ack
from contract.blocks import ClockState
from contract.document import SCHEMA
from contract.limits import NEW
from contract.quantities import Flag, Quality, Quantity
from contract.records import RECORD_TYPES, Kind, Reading
from contract.typed import LARGEST, Between, Id, Pattern, Seq, StreamId, UtcMs, plain

__all__ = ["ack_schema", "attribute_texts", "block_schema", "schema_files", "schema_of"]

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FOLDER = Path(__file__).parent / "schemas"
_SCALARS: dict[object, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
}


def schema_of(hint: Any) -> Schema:
    """Returns the schema of a type that `contract.typed` supports.

    Raises:
        TypeError: The type cannot be part of a message.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return schema_of(arguments[0]) | _constraints(arguments[1:])
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [schema_of(a) for a in arguments if a is not types.NoneType] + [_NULL]}
    if origin is tuple:
        return {"type": "array", "items": schema_of(arguments[0])}
    if hint in _SCALARS:
        return dict(_SCALARS[hint])
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [m.value for m in hint]}
    if isinstance(hint, type) and is_dataclass(hint):
        return _table(hint)
    raise TypeError(f"{hint!r} cannot be part of a message")


_NULL: Schema = {"type": "null"}


def _constraints(constraints: tuple[Any, ...]) -> Schema:
    found: Schema = {}
    for constraint in constraints:
        if isinstance(constraint, Between):
            found |= {"minimum": _bound(constraint.low), "maximum": _bound(constraint.high)}
        if isinstance(constraint, Pattern):
            found |= {"pattern": f"^(?:{constraint.regex})$"}
    return found


def _bound(value: float) -> float:
    """Returns the bound, as an int if it is a whole number.

    `typing` caches equal annotations as one object: 1e9 here may be another module's 10**9.
    """
    return int(value) if float(value).is_integer() else value


def _table(cls: type) -> Schema:
    hints = typing.get_type_hints(cls, include_extras=True)
    texts = attribute_texts(cls)
    properties: Schema = {}
    required = []
    for field in fields(cls):
        properties[field.name] = schema_of(hints[field.name])
        if field.name in texts:
            properties[field.name]["description"] = texts[field.name]
        if field.default is MISSING:
            required.append(field.name)
        elif field.default not in (None, ()):
            properties[field.name]["default"] = plain(field.default)
    return {
        "description": _first_line(cls),
        "type": "object",
        "required": required,
        "properties": properties,
    }


def attribute_texts(cls: type) -> dict[str, str]:
    """Returns, by name, the descriptions under `Attributes:` in a class's docstring."""
    _, _, section = (cls.__doc__ or "").partition("Attributes:\n")
    texts: dict[str, str] = {}
    name = ""
    for line in section.split("\n\n")[0].splitlines():
        head, colon, text = line.strip().partition(": ")
        if colon and head.isidentifier() and line.startswith(" " * 8) and line[8] != " ":
            name, texts[head] = head, text
        elif name:
            texts[name] += " " + line.strip()
    return {name: text.strip() for name, text in texts.items()}


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


def block_schema() -> Schema:
    """Returns the schema of the JSON document inside a payload."""
    return {
        "$schema": _DIALECT,
        "$id": "urn:dewline:contract:block:1",
        "title": "Block",
        "description": f"Consecutive records of one stream, 1 to {NEW.records} of them.",
        "type": "object",
        "required": ["schema", "clock", "stream", "first", "at"],
        "properties": {
            "schema": {"const": SCHEMA},
            "clock": schema_of(ClockState),
            "stream": schema_of(StreamId),
            "first": schema_of(Seq),
            "at": {"type": "array", "items": {"type": "integer"}},
            "sensors": _list_of("sensor", NEW.sensors),
            "events": _list_of("event", NEW.events),
        },
        "oneOf": [_clock(ClockState.SYNCED, _OFFSET, UtcMs), _clock(ClockState.UNSYNCED, _OFFSET)],
        "anyOf": [
            {"required": [key], "properties": {key: {"minItems": 1}}}
            for key in ("sensors", "events")
        ],
        "$defs": _definitions(),
    }


def _list_of(name: str, most: int) -> Schema:
    return {"type": "array", "items": {"$ref": f"#/$defs/{name}"}, "maxItems": most}


def _definitions() -> Schema:
    flags = {"type": "array", "items": schema_of(Flag)}
    return {
        "sensor": _sensor(),
        "series": {"anyOf": [_series(q.value, q.facts.unit) for q in Quantity]},
        "mark": _items(schema_of(_OFFSET), schema_of(_OFFSET), schema_of(Quality), flags),
        "event": {"anyOf": [_event(kind) for kind in Kind if kind is not Kind.READING]},
        **{kind.value: schema_of(cls) for kind, cls in RECORD_TYPES.items()},
    }


_OFFSET = Annotated[int, Between(0, LARGEST)]


def _items(*items: Schema) -> Schema:
    return {"type": "array", "prefixItems": list(items), "minItems": len(items)}


def _clock(state: ClockState, *hints: Any) -> Schema:
    at = _items(*(schema_of(h) for h in hints)) | {"maxItems": len(hints)}
    return {"properties": {"clock": {"const": state.value}, "at": at}}


def _sensor() -> Schema:
    hints = typing.get_type_hints(Reading, include_extras=True)
    texts = attribute_texts(Reading)
    extras = {
        name: schema_of(hints[name]) | {"description": texts[name]}
        for name in ("calibration", "statistic", "span_s")
    }
    value = {"anyOf": [schema_of(Annotated[int, Between(-LARGEST, LARGEST)]), _NULL]}
    return {
        "description": "Columns: times as differences, then the values of each series.",
        "type": "object",
        "required": ["sensor", "series", "data"],
        "properties": {
            "sensor": schema_of(Id),
            "series": {"type": "array", "items": {"$ref": "#/$defs/series"}, "minItems": 1},
            "data": {"type": "array", "items": value, "minItems": 2},
            "marks": {"type": "array", "items": {"$ref": "#/$defs/mark"}},
            **extras,
            "counts": {"type": "array", "items": schema_of(_OFFSET)},
        },
    }


def _series(quantity: str, unit: str) -> Schema:
    decimals = {"type": "integer", "minimum": 0, "maximum": 9}
    return _items({"const": quantity}, {"const": unit}, decimals)


def _event(kind: Kind) -> Schema:
    return _items({"const": kind.value}, schema_of(_OFFSET), {"$ref": f"#/$defs/{kind.value}"})


def ack_schema() -> Schema:
    """Returns the schema of the message on `down/ack`."""
    head = {"$schema": _DIALECT, "$id": "urn:dewline:contract:ack:1", "title": "Ack"}
    return head | schema_of(Ack)


def schema_files() -> dict[Path, str]:
    """Returns the generated text of each file."""
    schemas = {"block": block_schema(), "ack": ack_schema()}
    return {
        _FOLDER / f"{name}.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in schemas.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the schemas, or check that they are current."""
    parser = argparse.ArgumentParser(prog="python -m contract.schema", description=main.__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if a file is stale"
    )
    check = parser.parse_args(arguments).check
    stale = False
    for path, text in schema_files().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale = True
        print(f"{path.name}: {'is stale: run python -m contract.schema' if check else 'written'}")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if stale and check else 0


if __name__ == "__main__":
    sys.exit(main())
