"""Opens the search projection; apart from the others, which do without Elasticsearch's client."""

import random
import time

from cloud.composition.projections import open_quarantine
from cloud.composition.servers import index_names, open_door, open_search
from cloud.config import CloudConfig, Writer, need
from cloud.logstash.sender import BatchSender, SenderLimits
from cloud.logstash.writer import LogstashWriter
from cloud.projections.quarantine import Quarantine
from cloud.projections.search import DocumentWriter, SearchProjection
from cloud.search.bulk import BulkLimits, BulkWriter
from cloud.search.client import SearchClient

__all__ = ["open_bulk_writer", "open_search_projection"]


def open_bulk_writer(client: SearchClient, refused: Quarantine) -> BulkWriter:
    """What writes documents into Elasticsearch, and those that it refuses into the quarantine."""
    source = random.Random()  # noqa: S311  # spreads load, guards nothing
    return BulkWriter(client, refused, BulkLimits(), time.sleep, source)


def open_search_projection(config: CloudConfig) -> SearchProjection:
    """The documents of sections `[search]` and `[lake]`, written by the writer they name.

    Raises:
        ConfigError: A section is missing, or an address or a file that it names cannot be used.
    """
    client, names = open_search(config), index_names(config)
    # The warehouse takes the refused documents only: search goes on while MySQL is away.
    writer: DocumentWriter = open_bulk_writer(client, open_quarantine(config, current=False))
    if need(config.search, "search", config).writer is Writer.LOGSTASH:
        source = random.Random()  # noqa: S311  # spreads load, guards nothing
        sender = BatchSender(open_door(config), SenderLimits(), time.sleep, source)
        writer = LogstashWriter(sender, writer, client, names)
    return SearchProjection(client, writer, names)
