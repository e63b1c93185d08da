"""A document as an event of the intake: pure text.

The event is the document without `@timestamp`, which Logstash keeps for itself and takes only as a
time in text; the pipeline makes it anew from `observed_at`. In front are two fields that say where
the document belongs, under names that Elasticsearch reserves, so that no document has them.
"""

import json
import re
from collections.abc import Iterable

from cloud.search.bulk import Document
from cloud.search.templates import TIMESTAMP

__all__ = ["ID", "INDEX", "batch", "event"]

INDEX, ID = "_index", "_id"
# A quote inside a text is escaped, so this stands only where a field begins. It never is the first:
# documents begin with whose they are.
_TIMESTAMP = re.compile(f',"{TIMESTAMP}":-?[0-9]+')


def event(document: Document) -> str:
    """The document as JSON of an event."""
    fields = _TIMESTAMP.sub("", document.body, count=1)
    place = f'{{"{INDEX}":{json.dumps(document.index_name)},"{ID}":{json.dumps(document.id)},'
    return place + fields[1:]


def batch(documents: Iterable[Document]) -> bytes:
    """The documents as a JSON array, which the intake takes as one event each."""
    return f"[{','.join(map(event, documents))}]".encode()
