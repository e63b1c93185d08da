"""Converts a document to an event for the intake, Logstash's http input.

The event is the document without `@timestamp`: Logstash reserves this field and refuses numbers in
it. The pipeline makes the field again from `observed_at`. Two fields come first: the document's
index and id. Elasticsearch reserves their names, so no document has fields with these names.
"""

import json
import re
from collections.abc import Sequence

from cloud.search.bulk import Document
from cloud.search.templates import TIMESTAMP
from contract.errors import ConfigError

__all__ = ["ID", "INDEX", "batch", "event"]

INDEX, ID = "_index", "_id"
# A quote inside a text is escaped, so this pattern matches only at the begin of a field. The field
# always has a comma before it, because a document begins with the device's id.
_TIMESTAMP = re.compile(f',"{TIMESTAMP}":-?[0-9]+')


def event(document: Document) -> str:
    """Return the event's JSON for a document."""
    fields = _TIMESTAMP.sub("", document.body, count=1)
    place = f'{{"{INDEX}":{json.dumps(document.index_name)},"{ID}":{json.dumps(document.id)},'
    return place + fields[1:]


def batch(documents: Sequence[Document]) -> bytes:
    """Return a JSON array of events; the intake makes one event of each element.

    The text is read again, because Logstash takes only the first of two JSON values in a body,
    drops the rest, and answers 200.

    Raises:
        ConfigError: The text is not one array with one event for each document.
    """
    text = f"[{','.join(map(event, documents))}]"
    if _ids(text) != [document.id for document in documents]:
        raise ConfigError(
            f"documents {documents[0].id} to {documents[-1].id} are not one JSON array with one "
            "event for each, so Logstash would drop some: this is a bug of dewline, report it"
        )
    return text.encode()


def _ids(text: str) -> list[object] | None:
    """Return the ids of a JSON array's events; None if the text is not one JSON array."""
    try:
        return [event[ID] for event in json.loads(text, parse_constant=_refuse)]
    except (ValueError, KeyError, TypeError):
        return None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
