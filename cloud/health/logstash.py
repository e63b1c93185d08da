"""Checks Logstash: do its pipelines run, and do the documents that it accepts arrive?

The intake answers 200 although another pipeline did not start, because it only fills a queue.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from cloud.errors import LakeMissing
from cloud.health.finding import Finding, State
from cloud.instants import shown_span
from cloud.lake.landing import hour_at, landed_paths, read_file
from cloud.lake.positions import LandedBlock
from cloud.lake.store import Store
from cloud.logstash.node_api import PipelineHealth
from cloud.search.names import IndexNames
from cloud.search.query import Filter, Hit
from contract.errors import ContractError
from contract.keys import Key
from contract.records import Kind
from contract.wire import decode

__all__ = ["PIPELINES", "Documents", "Node", "look_at_delivery", "look_at_pipelines"]

PIPELINES = ("dewline-search", "dewline-elasticsearch", "dewline-dead-letter")
_FILES = 10  # newest files of each sequence that are searched for readings
_WELL = ("RUNNING", "green")
_READ_LOG = (
    "read Logstash's log: often a variable is not set or a file is missing; restart Logstash"
)
_LOOK = (
    "see `dewline-cloud logstash check` and Logstash's log: a pipeline may not run, or "
    "Elasticsearch does not take documents; afterwards run `search repair`"
)


class Node(Protocol):
    """The call to Logstash's API that the check needs."""

    def pipelines(self) -> Mapping[str, PipelineHealth]:
        """Return the health of each pipeline, by id."""
        ...


class Documents(Protocol):
    """The calls to Elasticsearch that the check needs."""

    def find(
        self, indices: Sequence[str], matching: Filter, *, after_seq: int, limit: int
    ) -> list[Hit]:
        """Return the first documents with a `seq` above `after_seq`."""
        ...

    def newest(self, alias: str) -> int | None:
        """Return the largest `received_at` of documents with a time; None if there is none."""
        ...


def look_at_pipelines(node: Node) -> Iterator[Finding]:
    """Checks that the three pipelines run.

    Raises:
        ProjectionError: Logstash does not answer.
        ConfigError: The answer is not a health report.
    """
    found = node.pipelines()
    down = [_described(name, found.get(name)) for name in PIPELINES if not _runs(found.get(name))]
    ill = [
        _described(name, found[name])
        for name in PIPELINES
        if _runs(found.get(name)) and (found[name].state, found[name].status) != _WELL
    ]
    state = State.FAILED if down else State.WARNING if ill else State.OK
    yield Finding(
        check="logstash",
        state=state,
        found="; ".join(down + ill) or f"{len(PIPELINES)} pipelines run",
        expected=f"{len(PIPELINES)} pipelines run",
        remedy="" if state is State.OK else _READ_LOG if down else _LOOK,
    )


def _runs(health: PipelineHealth | None) -> bool:
    return health is not None and health.state in ("RUNNING", "LOADING")


def _described(name: str, health: PipelineHealth | None) -> str:
    if health is None:
        return f"{name} did not start"
    return f"{name} is {health.state}, {health.status}: {health.symptom}"


def look_at_delivery(
    store: Store, server: Documents, names: IndexNames, now_ms: int, limit_s: float
) -> Iterator[Finding]:
    """Checks that the newest readings of the landing are in Elasticsearch, or soon will be.

    Args:
        store: The lake.
        server: Elasticsearch.
        names: Names of the indices.
        now_ms: Current time, ms since 1970 UTC.
        limit_s: Maximum time on the way, seconds.

    Raises:
        LakeError: The lake cannot be read.
        ProjectionError: Elasticsearch does not answer.
        ConfigError: Elasticsearch refuses.
    """
    waiting_ms = _waiting_ms(store, server, names, now_ms)
    late = waiting_ms is not None and waiting_ms > limit_s * 1000
    found = "no reading with a time in the newest landed files"
    if waiting_ms is not None:
        found = f"readings of the last {shown_span(waiting_ms)} are missing"
    if waiting_ms == 0:
        found = "the newest landed reading is there"
    yield Finding(
        check="delivery",
        state=State.FAILED if late else State.OK,
        found=found,
        expected=f"in Elasticsearch within {shown_span(round(limit_s * 1000))}",
        remedy=_LOOK if late else "",
    )


def _waiting_ms(store: Store, server: Documents, names: IndexNames, now_ms: int) -> int | None:
    """Returns for how long readings have waited; 0: they do not, None: there are none."""
    last = _newest_reading(store)
    if last is None:
        return None
    alias = names.alias(Kind.READING)
    key = Key(last.device_id, last.stream_id or "", last.first or 0)
    if server.find([alias], Filter((("_id", str(key)),)), after_seq=-1, limit=1):
        return 0
    there_at = server.newest(alias)
    behind_ms = 0 if there_at is None else last.received_at - there_at
    return max(now_ms - last.received_at, behind_ms, 1)


def _newest_reading(store: Store) -> LandedBlock | None:
    """Returns the newest block with dated readings in the newest files of the landing."""
    last = [files[n] for files in landed_paths(store).values() for n in sorted(files)[-_FILES:]]
    hour = max((hour_at(path) for path in last), default=None)
    blocks = [
        block
        for path in last
        if hour_at(path) == hour
        for block in _blocks(store, path)
        if _has_dated_readings(block)
    ]
    return max(blocks, key=lambda block: block.received_at, default=None)


def _blocks(store: Store, path: str) -> tuple[LandedBlock, ...]:
    try:
        return read_file(store, path).blocks
    except LakeMissing:  # the fold has just deleted it
        return ()


def _has_dated_readings(landed: LandedBlock) -> bool:
    try:
        block = decode(landed.payload, landed.limits)
    except ContractError:
        return False
    return block.utc_at is not None and block.records_total > len(block.events)
