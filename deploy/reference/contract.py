"""Generates the tables of docs/contract.md from the dataclasses.

`python -m deploy.reference.contract docs/contract.md` rewrites the text between the markers `<!--
table: NAME -->` and `<!-- end of table -->`. With `--check` it writes nothing and exits with 1 if
the page is stale. The rest of the page is written by hand.
"""

import base64
import hashlib
import json
import sys
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import contract
from contract.acks import MAX_ACK_BYTES, Ack
from contract.desired import (
    MAX_BUNDLE_BYTES,
    MAX_BUNDLES,
    MAX_DESIRED_BYTES,
    Desired,
    DesiredBundle,
)
from contract.limits import NEW
from contract.quantities import Quantity
from contract.records import RECORD_TYPES, Receipt, Span
from contract.schema import attribute_texts
from contract.typed import LARGEST, Between, Pattern
from contract.wire import DICTIONARY_VERSION, MAX_PAYLOAD_BYTES, dictionary
from deploy.reference import page

__all__ = ["main", "rewritten", "tables"]

_WORKED = Path(contract.__file__).parent / "examples" / "valid" / "worked.json"
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def tables() -> dict[str, str]:
    """Returns every generated table by its name, as Markdown."""
    classes = {"span": Span, "receipt": Receipt, "ack": Ack}
    classes |= {"desired": Desired, "desiredbundle": DesiredBundle}
    classes |= {kind.value: cls for kind, cls in RECORD_TYPES.items()}
    return {f"fields of {name}": _fields(cls) for name, cls in classes.items()} | {
        "quantities": _quantities(),
        "limits": _limits(),
        "dictionaries": _dictionaries(),
        "worked document": _worked(_worked_document),
        "worked entries": _worked(_worked_entries),
    }


def rewritten(text: str) -> str:
    """Returns a page with current tables; raises KeyError if it names an unknown table."""
    return page.rewritten(text, tables())


def _fields(cls: Any) -> str:
    hints = typing.get_type_hints(cls, include_extras=True)
    texts = attribute_texts(cls)
    rows = [
        (f"`{f.name}`", _type(hints[f.name]), _missing(f), texts[f.name].replace("None", "null"))
        for f in fields(cls)
    ]
    return page.table(("field", "type", "if missing", "meaning"), rows)


def _missing(field: "Field[Any]") -> str:
    if field.default is MISSING:
        return "**refused**"
    if field.default is None:
        return "null"
    return "empty" if field.default == () else f"`{json.dumps(field.default)}`"


def _type(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _bounded(arguments[0], arguments[1])
    if origin in (types.UnionType, typing.Union):
        return " or ".join("null" if a is types.NoneType else _type(a) for a in arguments)
    if origin is tuple:
        return f"list of: {_type(arguments[0])}"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return ", ".join(f"`{m.value}`" for m in hint)
    if is_dataclass(hint) and isinstance(hint, type):
        return f"[{hint.__name__.lower()}](#{hint.__name__.lower()})"
    return _WORDS[hint]


def _bounded(hint: Any, constraint: Any) -> str:
    if isinstance(constraint, Pattern):
        return f"text `{constraint.regex}`"
    if isinstance(constraint, Between):
        return f"{_WORDS[hint]}, {_number(constraint.low)} to {_number(constraint.high)}"
    raise TypeError(f"no text for the constraint {constraint!r}")


def _number(value: float) -> str:
    return "2^53 - 1" if value == LARGEST else f"{int(value)}"


def _quantities() -> str:
    rows = [
        (
            f"`{q.value}`",
            f"`{q.facts.unit}`",
            q.facts.title,
            f"{q.facts.low:g} to {q.facts.high:g}",
            f"{q.facts.resolution:g}",
            str(q.facts.decimals),
        )
        for q in Quantity
    ]
    return page.table(
        ("quantity", "unit", "name", "plausible", "resolution", "usual decimals"), rows
    )


def _limits() -> str:
    rows = [
        ("payload", f"{MAX_PAYLOAD_BYTES} bytes"),
        (
            "inflated document",
            (
                f"{NEW.small_document_bytes} bytes + {NEW.inflation} for each byte of the payload, "
                f"at most {NEW.document_bytes}"
            ),
        ),
        ("tables and lists in a document", f"{NEW.lists}"),
        ("depth of tables and lists", f"{NEW.depth}"),
        ("records in a block", f"1 to {NEW.records}"),
        ("items of `sensors`", f"{NEW.sensors}"),
        ("series in a block", f"{NEW.series}"),
        ("items of `events`", f"{NEW.events}"),
        ("spans and receipts in the events of a block", f"{NEW.parts}"),
        ("ack", f"{MAX_ACK_BYTES} bytes"),
        ("desired state", f"{MAX_DESIRED_BYTES} bytes"),
        ("bundles in a desired state", f"{MAX_BUNDLES}"),
        ("a bundle's file", f"{MAX_BUNDLE_BYTES} bytes"),
        ("any whole number", f"2^53 - 1 = {LARGEST}"),
    ]
    return page.table(("limit of", "value"), rows)


def _dictionaries() -> str:
    rows = []
    for version in range(1, DICTIONARY_VERSION + 1):
        content = dictionary(version)
        digest = hashlib.sha256(content).hexdigest()
        rows.append((str(version), f"`{version}.txt`", str(len(content)), f"`{digest}`"))
    return page.table(("number", "file", "bytes", "SHA-256"), rows)


def _worked(show: Callable[[dict[str, Any]], str]) -> str:
    return show(json.loads(_WORKED.read_text(encoding="utf-8")))


def _worked_document(example: dict[str, Any]) -> str:
    payload = base64.b64decode(example["payload_base64"]).hex()
    lines = [payload[i : i + 96] for i in range(0, len(payload), 96)]
    document = [
        f'"{key}": {json.dumps(value, separators=(", ", ": "))}'
        for key, value in example["document"].items()
    ]
    shown = "{" + ",\n ".join(document).replace('}, {"sensor"', '},\n  {"sensor"') + "}"
    return "```text\n" + "\n".join(lines) + "\n```\n\n```json\n" + shown + "\n```\n"


def _worked_entries(example: dict[str, Any]) -> str:
    rows = []
    for entry in example["entries"]:
        record = {name: v for name, v in entry["record"].items() if v not in (None, [])}
        shown = json.dumps(record | ({"value": None} if _is_null(entry) else {}))
        times = (str(entry[name]) for name in ("seq", "offset_ms", "observed_at"))
        rows.append((*times, f"`{entry['kind']}`", f"`{shown}`"))
    return page.table(
        ("number", "offset, ms", "UTC, ms", "kind", "fields that are not empty"), rows
    )


def _is_null(entry: dict[str, Any]) -> bool:
    return entry["kind"] == "reading" and entry["record"]["value"] is None


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrites the generated parts of a page, or checks that they are current."""
    return page.maintain("deploy.reference.contract", tables(), arguments)


if __name__ == "__main__":
    sys.exit(main())
