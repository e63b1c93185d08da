"""Converts a document to an event for the intake, Logstash's http input.

The event is the document without `@timestamp`: Logstash reserves this field and refuses numbers in
it. The pipeline makes the field again from `observed_at`. Two fields come first: the document's
index and id. Elasticsearch reserves their names, so no document has fields with these names.
"""

import json
import re
from collections.abc import Iterable

from cloud.search.bulk import Document
from cloud.search.templates import TIMESTAMP

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


def batch(documents: Iterable[Document]) -> bytes:
    """Return a JSON array of events; the intake makes one event of each element."""
    return f"[{','.join(map(event, documents))}]".encode()
