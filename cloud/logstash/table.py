"""The table of plug-ins, their options and Logstash's settings, read from `plugins.toml`.

What a plug-in does is not here; the table is made by hand from the documentation that it names.
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
    """What the documentation says of one plug-in.

    Attributes:
        source: The page.
        options: Of its own, and those that every plug-in of its kind takes.
        removed: Refused at start by the newer line.
        newer: Unknown to the older line.
        required: Options that must be there.
        fields: Options that name fields of the event; of a hash its names do.
        moves: Options whose hash has fields on both sides.
        first: Options whose list begins with a field.
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
    """Everything that may stand in a pipeline.

    Attributes:
        plugins: By kind (`input`, `filter`, `output`, `codec`) and name.
        bundled: Kind and name of what Logstash brings along.
        settings: Keys of logstash.yml.
        pipeline_settings: Keys of one entry of pipelines.yml.
    """

    plugins: dict[tuple[str, str], KnownPlugin]
    bundled: frozenset[tuple[str, str]]
    settings: frozenset[str]
    pipeline_settings: frozenset[str]


def load_table() -> Table:
    """The table that comes with the pipelines."""
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
