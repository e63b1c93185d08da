"""Checks the broker and Elasticsearch, without changing anything on them."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from cloud.health.finding import Finding, State
from cloud.mqtt import BrokerSettings, Connection
from cloud.search.names import IndexNames
from cloud.search.templates import outdated

__all__ = ["SearchServer", "look_at_broker", "look_at_search"]

_TEMPLATES = "templates"
_WARN_SHARE, _FAIL_SHARE = 0.7, 0.95  # of the cluster's limit of shards


class SearchServer(Protocol):
    """The calls to Elasticsearch that the check needs."""

    def health(self) -> str:
        """Returns the colour of the cluster's health."""
        ...

    def index_template(self, name: str) -> Mapping[str, Any] | None:
        """Returns an installed index template; None if it is not installed."""
        ...

    def shards(self) -> tuple[int, int]:
        """Returns the number of shards of open indices, and the cluster's limit."""
        ...


def look_at_broker(settings: BrokerSettings) -> Iterator[Finding]:
    """Connects with an account and disconnects; subscribes to no topic, so it takes no block.

    Raises:
        BrokerError: The broker cannot be reached, or refuses.
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
        found=f"{settings.host}:{settings.port} accepts {who}",
        expected="accepts ingest",
    )


def look_at_search(server: SearchServer, names: IndexNames) -> Iterator[Finding]:
    """Checks the cluster's health, its shards, and whether its templates are this program's.

    Raises:
        ProjectionError: Elasticsearch does not answer.
        ConfigError: Elasticsearch refuses the account.
    """
    yield _cluster(server.health())
    yield _shards(*server.shards())
    old = outdated(server, names)
    yield Finding(
        check=_TEMPLATES,
        state=State.FAILED if old else State.OK,
        found=f"missing or outdated: {', '.join(old)}" if old else "all have this version",
        expected="all have this version",
        remedy="run `dewline-cloud search setup`" if old else "",
    )


def _cluster(colour: str) -> Finding:
    states = {"green": State.OK, "yellow": State.WARNING}
    remedies = {
        "green": "",
        "yellow": "an index's replica has no node: add a node, or run `search setup --replicas 0`",
    }
    return Finding(
        check="search",
        state=states.get(colour, State.FAILED),
        found=f"the cluster's health is {colour}",
        expected="green",
        remedy=remedies.get(colour, "read Elasticsearch's log: a primary shard is not available"),
    )


def _shards(shards_open: int, limit: int) -> Finding:
    share = shards_open / limit if limit else 1.0
    bad = State.FAILED if share >= _FAIL_SHARE else State.WARNING
    return Finding(
        check="shards",
        state=State.OK if share < _WARN_SHARE else bad,
        found=f"{shards_open} of at most {limit} shards are open",
        expected=f"less than {_WARN_SHARE:.0%} of the limit",
        remedy=""
        if share < _WARN_SHARE
        else "delete old indices, add a node, or raise cluster.max_shards_per_node",
    )
