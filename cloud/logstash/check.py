"""Checks a pipeline's text without Logstash; finds most faults of `--config.test_and_exit`.

The module does not read files. Each fault has a stable name. The effects of the filters are checked
by `cloud.logstash.pipeline_trial` with sample events.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cloud.logstash.envelope import ID, INDEX
from cloud.logstash.table import KnownPlugin, Table
from cloud.logstash.tree import Branch, Pairs, Plugin, Section, read, walk
from contract.errors import ConfigError

__all__ = ["Fault", "check", "check_addresses", "check_settings"]

# Fields of events only, not of documents: metadata, tags of parsers, the projection's two fields.
_OF_EVENTS = frozenset({"@metadata", "tags", INDEX, ID})
_REFERENCE = re.compile(r"%\{(?!\+)([^}]+)\}")
_IN_RUBY = re.compile(r"""event\.(?:set|get|remove)\(["']([^"']+)["']""")
_QUOTED = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[=!]~\s*/(?:\\.|[^/\\])*/|\#[^\n]*""")


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that Logstash, or Elasticsearch behind it, would refuse.

    Attributes:
        name: Kind of fault.
        text: Place of the fault, and what is wrong.
    """

    name: str
    text: str


def check(text: str, table: Table, fields: frozenset[str]) -> list[Fault]:
    """Return the faults of one pipeline.

    Args:
        text: Text of the .conf file.
        table: Known plug-ins and options.
        fields: Names of the fields in the templates of the pipeline's indices.
    """
    if fault := _braces(text):
        return [fault]
    try:
        sections = read(text)
    except ConfigError as error:
        return [Fault("syntax", str(error))]
    faults = [fault for plugin in _plugins(sections) for fault in _plugin_faults(plugin, table)]
    return faults + _field_faults(sections, table, fields)


def check_addresses(texts: Mapping[str, str]) -> list[Fault]:
    """Return a fault for each address that does not have one input and at least one sender."""
    sent: set[str] = set()
    heard: list[str] = []
    for text in texts.values():
        for plugin in _plugins(read(text)):
            if (plugin.kind, plugin.name) == ("output", "pipeline"):
                sent.update(_texts(plugin.get("send_to")))
            if (plugin.kind, plugin.name) == ("input", "pipeline"):
                heard.extend(_texts(plugin.get("address")))
    faults = [
        f"{a}: no pipeline has an input with this address; its senders would block"
        for a in sent - set(heard)
    ]
    faults += [f"{a}: no pipeline sends to this address" for a in set(heard) - sent]
    faults += [
        f"{a}: more than one pipeline has an input with this address"
        for a in set(heard)
        if heard.count(a) > 1
    ]
    return [Fault("address", text) for text in sorted(faults)]


def check_settings(keys: Iterable[str], known: frozenset[str], file: str) -> list[Fault]:
    """Return a fault for each setting that Logstash does not know."""
    return [
        Fault("unknown setting", f"{file}: {key}: unknown setting; not in Logstash's documentation")
        for key in keys
        if key not in known
    ]


def _braces(text: str) -> Fault | None:
    """Return the first unbalanced brace; strings, patterns and comments do not count."""
    bare = _QUOTED.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    opened: list[int] = []
    for number, line in enumerate(bare.splitlines(), 1):
        for sign in line:
            if sign == "{":
                opened.append(number)
            elif sign == "}":
                if not opened:
                    return Fault("unbalanced brace", f"line {number}: }} has no matching {{")
                opened.pop()
    if opened:
        return Fault("unbalanced brace", f"line {opened[-1]}: {{ has no matching }}")
    return None


def _plugins(sections: Iterable[Section]) -> Iterator[Plugin]:
    for section in sections:
        yield from (step for step in walk(section.steps) if isinstance(step, Plugin))


def _plugin_faults(plugin: Plugin, table: Table) -> list[Fault]:
    where = f"{plugin.kind} {plugin.name}"
    if (plugin.kind, plugin.name) not in table.bundled:
        return [Fault("not bundled", f"{where}: Logstash does not include this plug-in")]
    known = table.plugins.get((plugin.kind, plugin.name))
    if known is None:
        return [Fault("no table", f"{where}: add this plug-in's options to plugins.toml")]
    faults = [fault for name, _ in plugin.options if (fault := _option(where, name, known))]
    given = {name for name, _ in plugin.options}
    faults += [
        Fault("missing option", f"{where}: {name} is required")
        for name in sorted(known.required - given)
    ]
    if (plugin.kind, plugin.name) == ("output", "elasticsearch"):
        faults += _data_stream(where, plugin)
    codec = plugin.get("codec")
    if isinstance(codec, str):  # a codec with options is a Plugin and is checked as one
        faults += _plugin_faults(Plugin("codec", codec, ()), table)
    return faults


def _option(where: str, name: str, known: KnownPlugin) -> Fault | None:
    if name in known.options:
        return None
    if name in known.removed:
        return Fault(
            "removed option", f"{where}: {name} is refused by Logstash 9.x, see {known.source}"
        )
    if name in known.newer:
        return Fault(
            "newer option", f"{where}: {name} is unknown to Logstash 8.19, see {known.source}"
        )
    return Fault("unknown option", f"{where}: {name} is not an option, see {known.source}")


def _data_stream(where: str, plugin: Plugin) -> list[Fault]:
    wanted = str(plugin.get("data_stream")).lower()
    given = {name for name, _ in plugin.options}
    beside = sorted(name for name in given if name.startswith("data_stream_"))
    if wanted not in ("true", "false"):
        return [Fault("data stream", f"{where}: set data_stream to true or false explicitly")]
    if wanted == "false" and beside:
        return [
            Fault("data stream", f"{where}: {beside[0]} is not allowed with data_stream => false")
        ]
    plain = sorted(given & {"document_id", "ilm_enabled", "index"})
    if wanted == "true" and plain:
        return [
            Fault("data stream", f"{where}: {plain[0]} is not allowed with data_stream => true")
        ]
    return []


def _field_faults(sections: Iterable[Section], table: Table, fields: frozenset[str]) -> list[Fault]:
    used: dict[str, str] = {}
    for section in sections:
        for step in walk(section.steps):
            where = step.word if isinstance(step, Branch) else f"{step.kind} {step.name}"
            for name in _fields_of(step, table):
                used.setdefault(name, where)
    return [
        Fault("missing field", f"{where}: {name} is not in the index template")
        for name, where in used.items()
        if name not in fields | _OF_EVENTS
    ]


def _fields_of(step: Plugin | Branch, table: Table) -> Iterator[str]:
    """Yield the top-level fields that a step reads or writes, without those it only removes."""
    if isinstance(step, Branch):
        yield from (_top(word) for word in _texts(step.condition) if word.startswith("["))
        return
    known = table.plugins.get((step.kind, step.name))
    for name, value in step.options:
        for text in _texts(value):
            yield from (_top(found) for found in _REFERENCE.findall(text))
            if name == "code":
                yield from (_top(found) for found in _IN_RUBY.findall(text))
        if known is not None:
            yield from (_top(field) for field in _named(name, value, known))


def _named(option: str, value: Any, known: KnownPlugin) -> Iterator[str]:
    if option in known.first:
        yield from list(_texts(value))[:1]
    elif option in known.moves:
        yield from _texts(value)
    elif option in known.fields:
        pairs = value.items if isinstance(value, Pairs) else ()
        yield from (name for name, _ in pairs) if pairs else _texts(value)


def _top(reference: str) -> str:
    """Return the top-level field `a` of `[a][b]`, `a` or the pattern `^a$`."""
    return re.split(r"[\[\]]+", reference.strip("[]^$"))[0]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Pairs):
        for name, inner in value.items:
            yield name
            yield from _texts(inner)
    elif isinstance(value, tuple):
        for inner in value:
            yield from _texts(inner)
