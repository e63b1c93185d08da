"""Builds the search projection; the other projections need no Elasticsearch client."""

import random
import time

from cloud.composition.projections import open_quarantine
from cloud.composition.servers import (
    index_names,
    open_http_input,
    open_search,
    search_retention,
)
from cloud.config import CloudConfig, Writer, need
from cloud.logstash.sender import BatchSender, SenderLimits
from cloud.logstash.writer import LogstashWriter
from cloud.projections.quarantine import Quarantine
from cloud.projections.search import DocumentWriter, SearchProjection
from cloud.search.bulk import BulkLimits, BulkWriter
from cloud.search.client import SearchClient
from cloud.search.retention import DailyRetirement

__all__ = ["open_bulk_writer", "open_retirement", "open_search_projection"]


def open_bulk_writer(client: SearchClient, refused: Quarantine) -> BulkWriter:
    """Builds the writer of documents; refused documents go to the quarantine."""
    source = random.Random()  # noqa: S311  # spreads load, not for security
    return BulkWriter(client, refused, BulkLimits(), time.sleep, source)


def open_search_projection(config: CloudConfig, *, direct: bool = False) -> SearchProjection:
    """Builds the search projection of sections `[search]` and `[lake]`.

    Args:
        config: The configuration.
        direct: Whether to write by bulk calls even if the section's writer is Logstash.

    Raises:
        ConfigError: A section is missing, or an address or file in it cannot be used.
    """
    client, names = open_search(config), index_names(config)
    # Only refused documents need the warehouse, so search continues while MySQL is down.
    writer: DocumentWriter = open_bulk_writer(client, open_quarantine(config, current=False))
    if need(config.search, "search", config).writer is Writer.LOGSTASH and not direct:
        source = random.Random()  # noqa: S311  # spreads load, not for security
        sender = BatchSender(open_http_input(config), SenderLimits(), time.sleep, source)
        writer = LogstashWriter(sender, writer, client, names)
    return SearchProjection(client, writer, names, search_retention(config))


def open_retirement(config: CloudConfig) -> DailyRetirement | None:
    """Builds the deletion of old indices; None if section `[search]` has no `keep_days`.

    Raises:
        ConfigError: The section is missing, or an address or file in it cannot be used.
    """
    retention = search_retention(config)
    if retention is None:
        return None
    return DailyRetirement(open_search(config), index_names(config), retention)
