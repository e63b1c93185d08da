"""Reads cases: files with sample events and the documents and dead letters expected from them.

A file describes one request to the intake, Logstash's http input. Index names in it begin with
`PREFIX`, which is replaced by the prefix of the run.
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
    """An expected refusal.

    Attributes:
        refused_by: Author of the refusal.
        reasons: Parts of the reason; one of them must be in it.
        contains: Part of the refused event's text.
    """

    refused_by: str
    reasons: tuple[str, ...]
    contains: str

    def has(self, reason: str, document: str) -> bool:
        """Return whether a dead letter with this reason and text is the expected one."""
        return self.contains in document and any(part in reason for part in self.reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request and its expected results.

    Attributes:
        name: Name of the file without `.json`.
        about: Purpose of the case.
        body: Text of the request.
        documents: Expected documents in Elasticsearch, with all fields.
        dead_letters: Expected dead letters.
        refused_ids: Ids of events that must not become documents.
        needs: Case that must hold before this one is posted; None if this one harms no
            installation.
    """

    name: str
    about: str
    body: str
    documents: tuple[Hit, ...]
    dead_letters: tuple[DeadLetter, ...]
    refused_ids: tuple[str, ...]
    needs: str | None = None


def read_cases(folder: Path, prefix: str) -> tuple[Case, ...]:
    """Return the cases of a folder, by name.

    Raises:
        ConfigError: The folder has no cases, or a file is not a valid case.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise ConfigError(f"{folder}: no cases (*.json) found: give their folder with --cases")
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
            dead_letters=tuple(_letter(**letter) for letter in raw["dead_letters"]),
            refused_ids=_refused(events, documents),
            needs=raw.get("needs"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not a valid case: {type(error).__name__}: {error}") from error


def _letter(*, refused_by: str, reason: str | list[str], contains: str) -> DeadLetter:
    reasons = (reason,) if isinstance(reason, str) else tuple(reason)
    return DeadLetter(refused_by=refused_by, reasons=reasons, contains=contains)


def _refused(events: list[Any], documents: tuple[Hit, ...]) -> tuple[str, ...]:
    taken = {document.id for document in documents}
    ids = (event.get(ID) for event in events if isinstance(event, Mapping))
    return tuple(i for i in ids if isinstance(i, str) and i not in taken)
