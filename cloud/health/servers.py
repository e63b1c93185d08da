"""Looks at the servers: broker, Elasticsearch, MySQL. Changes nothing on any of them."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from cloud.health.finding import Finding, State
from cloud.mqtt import BrokerSettings, Connection
from cloud.search.names import IndexNames
from cloud.search.templates import outdated

__all__ = ["SearchServer", "look_at_broker", "look_at_search"]

_TEMPLATES = "templates"


class SearchServer(Protocol):
    """What is asked of Elasticsearch."""

    def health(self) -> str:
        """Colour of the cluster."""
        ...

    def index_template(self, name: str) -> Mapping[str, Any] | None:
        """An index template as it is installed, None if it is not."""
        ...


def look_at_broker(settings: BrokerSettings) -> Iterator[Finding]:
    """Connects with an account and leaves again; subscribes to nothing, so it takes no block away.

    Raises:
        BrokerError: It is away, or refuses.
    """
    connection = Connection(settings)
    try:
        connection.open()
    finally:
        connection.close()
    who = settings.username or settings.client_id
    yield Finding(
        check="broker",
        state=State.OK,
        found=f"{settings.host}:{settings.port} lets {who} in",
        expected="lets ingest in",
    )


def look_at_search(server: SearchServer, names: IndexNames) -> Iterator[Finding]:
    """The cluster's health, and whether its templates are this program's.

    Raises:
        ProjectionError: It does not answer.
        ConfigError: It refuses us.
    """
    yield _cluster(server.health())
    old = outdated(server, names)
    yield Finding(
        check=_TEMPLATES,
        state=State.FAILED if old else State.OK,
        found=f"missing or outdated: {', '.join(old)}" if old else "all of this version",
        expected="all of this version",
        remedy="run `dewline-cloud search setup`" if old else "",
    )


def _cluster(colour: str) -> Finding:
    states = {"green": State.OK, "yellow": State.WARNING}
    remedies = {
        "green": "",
        "yellow": "a copy of an index has no node: add one, or `search setup --replicas 0`",
    }
    return Finding(
        check="search",
        state=states.get(colour, State.FAILED),
        found=f"the cluster's health is {colour}",
        expected="green",
        remedy=remedies.get(colour, "see Elasticsearch's log: an index has lost its data"),
    )
