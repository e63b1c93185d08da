"""Sample events with what must become of them: files that say what the pipelines' filters mean.

A file is one request to the intake. Indices in it begin with `PREFIX`, which stands for that of the
run. Reads files and judges nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.logstash.envelope import ID
from cloud.search.query import Hit
from contract.errors import ConfigError

__all__ = ["Case", "DeadLetter", "read_cases"]

_PREFIX = "PREFIX-"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A refusal: who said it, with a part of the reason and of the refused event's text."""

    refused_by: str
    reason: str
    contains: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request and what it must lead to.

    Attributes:
        name: Of the file.
        about: What it shows, in words.
        body: What is posted.
        documents: What stands in Elasticsearch afterwards, field by field.
        dead_letters: What stands among the dead letters.
        refused_ids: Keys of the body that must not be documents.
    """

    name: str
    about: str
    body: str
    documents: tuple[Hit, ...]
    dead_letters: tuple[DeadLetter, ...]
    refused_ids: tuple[str, ...]


def read_cases(folder: Path, prefix: str) -> tuple[Case, ...]:
    """The cases of a folder, by name.

    Raises:
        ConfigError: There are none, or a file is none.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise ConfigError(f"{folder} has no cases (*.json): name their folder with --cases")
    return tuple(_case(path, prefix) for path in paths)


def _case(path: Path, prefix: str) -> Case:
    try:
        raw = json.loads(path.read_text("utf-8").replace(_PREFIX, f"{prefix}-"))
        events = raw.get("events", ())
        documents = tuple(
            Hit(index=d["index"], id=d["id"], fields=d["fields"]) for d in raw["documents"]
        )
        return Case(
            name=path.stem,
            about=raw["about"],
            body=raw["body"] if "body" in raw else json.dumps(events),
            documents=documents,
            dead_letters=tuple(DeadLetter(**letter) for letter in raw["dead_letters"]),
            refused_ids=_refused(events, documents),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no case: {type(error).__name__}: {error}") from error


def _refused(events: list[Any], documents: tuple[Hit, ...]) -> tuple[str, ...]:
    taken = {document.id for document in documents}
    ids = (event.get(ID) for event in events if isinstance(event, Mapping))
    return tuple(i for i in ids if isinstance(i, str) and i not in taken)
