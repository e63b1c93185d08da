"""Reads the table of Logstash's plug-ins, their options and settings from `plugins.toml`.

The table is made by hand from the documentation that it names.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["PIPELINES", "KnownPlugin", "Table", "load_table"]

PIPELINES = Path(__file__).with_name("pipelines")
_FILE = Path(__file__).with_name("plugins.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPlugin:
    """The options of one plug-in, from its documentation.

    Attributes:
        source: Address of the documentation.
        options: The plug-in's own options, and the common options of its kind.
        removed: Options that the newer version (9.x) refuses at start.
        newer: Options that the older version (8.19) does not know.
        required: Options that must be set.
        fields: Options with names of event fields as values, or as names of a hash.
        moves: Options with a hash that has event fields as names and as values.
        first: Options with a list that begins with an event field.
    """

    source: str
    options: frozenset[str]
    removed: frozenset[str] = frozenset()
    newer: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    moves: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """All plug-ins and settings that a pipeline may use.

    Attributes:
        plugins: Known plug-ins by kind (`input`, `filter`, `output`, `codec`) and name.
        bundled: Kind and name of the plug-ins that Logstash includes.
        settings: Keys of logstash.yml.
        pipeline_settings: Keys of one entry of pipelines.yml.
    """

    plugins: dict[tuple[str, str], KnownPlugin]
    bundled: frozenset[tuple[str, str]]
    settings: frozenset[str]
    pipeline_settings: frozenset[str]


def load_table() -> Table:
    """Return the table of the package's `plugins.toml`."""
    raw = tomllib.loads(_FILE.read_text("utf-8"))
    common = raw["common"]
    own = frozenset(raw["settings"]["pipeline"])
    return Table(
        plugins={(p["kind"], p["name"]): _plugin(p, common[p["kind"]]) for p in raw["plugin"]},
        bundled=frozenset((kind, name) for kind in common for name in raw["bundled"][kind]),
        settings=own | frozenset(raw["settings"]["global"]),
        pipeline_settings=own,
    )


def _plugin(raw: dict[str, Any], common: list[str]) -> KnownPlugin:
    lists = {
        name: frozenset(raw.get(name, ()))
        for name in ("removed", "newer", "required", "fields", "moves", "first")
    }
    if "add_field" in common:
        lists["fields"] |= {"add_field"}
    return KnownPlugin(
        source=raw["source"], options=frozenset(raw["options"]) | frozenset(common), **lists
    )
