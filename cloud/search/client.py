"""Wraps the Elasticsearch client. The one file that imports elasticsearch.

The wrapper turns the client's exceptions into ours and its answers into values. It never repeats a
call: the caller decides on retries and sees every failure.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from elastic_transport import ApiError, TlsError, TransportError
from elasticsearch import Elasticsearch, UnsupportedProductError

from cloud.errors import ProjectionError
from cloud.search.bulk import Document, Outcome, OutcomeKind
from cloud.search.query import EVERYTHING, Filter, Hit, StreamCount
from contract.errors import ConfigError, DewlineError
from transport.tls import TlsFiles, client_context, tls_failure

__all__ = ["SearchClient", "converted"]

_DONE = Outcome(OutcomeKind.DONE)
_EXISTS = Outcome(OutcomeKind.EXISTS)
_BULK_ANSWER = "items.*._index,items.*.status,items.*.error.type,items.*.error.reason"
_BUCKETS = 1000  # streams in one page of an aggregation
_POLL_S = 0.2
_SHARD_LIMIT, _SHARDS_PER_NODE = "cluster.max_shards_per_node", 1000  # Elasticsearch's default
_CLOSED = "index_closed_exception"
_FULL = (
    "maximum normal shards open",  # the cluster has no shard left for a new index
    "number of documents in the index cannot exceed",  # 2,147,483,519 in one shard
)


class SearchClient:
    """A thin client of one Elasticsearch server or cluster.

    Raises in every method:
        ProjectionError: The server did not answer, is busy or blocked; call again later.
        ConfigError: The server refuses address, credentials or request; the operator must act.
    """

    def __init__(
        self,
        url: str,
        *,
        account: tuple[str, str] | None = None,
        ca_file: str | None = None,
        request_timeout_s: float = 30.0,
    ) -> None:
        """Checks the address, without connecting.

        Args:
            url: Address, such as `http://127.0.0.1:9200`.
            account: Name and password.
            ca_file: For https: CA certificates (PEM) to trust instead of the system's.
            request_timeout_s: Time limit of one call, seconds.
        """
        self._url = url
        self._known: set[str] = set()
        access: dict[str, Any] = {} if account is None else {"basic_auth": account}
        if ca_file is not None:
            access["ssl_context"] = client_context(TlsFiles(ca_file=ca_file), "[search]")
        try:
            self._client = Elasticsearch(
                url,
                request_timeout=request_timeout_s,
                max_retries=0,
                retry_on_timeout=False,
                **access,
            )
        except ValueError as error:
            raise ConfigError(
                f"[search] url: {url!r}: {error}; use an address such as http://127.0.0.1:9200"
            ) from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ping(self) -> None:
        """Check once that the server accepts writes."""
        # Not client.info(): `GET /` answers 405 on distributions without the main module.
        with _Converting(self._url):
            health = self._client.cluster.health(timeout="0s")
            if health["status"] == "red":
                raise ProjectionError(f"{self._url}: the cluster's health is red")

    def wait(self, limit_s: float) -> None:
        """Return when the server accepts writes; raise its last error after `limit_s` seconds."""
        give_up_at = time.monotonic() + limit_s
        while True:
            try:
                self.ping()
            except ProjectionError:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(_POLL_S)
            else:
                return

    def index_names(self, pattern: str) -> frozenset[str]:
        """Return the names of all indices that match a pattern, closed ones too."""
        with _Converting(self._url):
            found = self._client.indices.resolve_index(
                name=pattern, expand_wildcards=["open", "closed"]
            )
            return frozenset(index["name"] for index in found["indices"])

    def shards(self) -> tuple[int, int]:
        """Return the number of shards of open indices, and the cluster's limit."""
        with _Converting(self._url):
            health = self._client.cluster.health(timeout="0s")
            settings = self._client.cluster.get_settings(include_defaults=True, flat_settings=True)
            levels = ("transient", "persistent", "defaults")
            found = (settings.get(level, {}).get(_SHARD_LIMIT) for level in levels)
            per_node = next((int(value) for value in found if value is not None), _SHARDS_PER_NODE)
            states = ("active_shards", "initializing_shards", "unassigned_shards")
            return sum(health[s] for s in states), per_node * health["number_of_data_nodes"]

    def health(self) -> str:
        """Return the colour of the cluster's health: green, yellow (a replica is missing), red."""
        with _Converting(self._url):
            return str(self._client.cluster.health(timeout="0s")["status"])

    def index_template(self, name: str) -> Mapping[str, Any] | None:
        """Return an installed index template; None if none has that name."""
        with _Converting(self._url):
            answer = self._client.options(ignore_status=404).indices.get_index_template(name=name)
            found = answer.get("index_templates", [])
            return found[0]["index_template"] if found else None

    def ensure_template(self, name: str, template: Mapping[str, Any]) -> None:
        """Create or update the index template."""
        with _Converting(self._url):
            self._client.indices.put_index_template(name=name, **template)

    def extend_mapping(self, alias: str, properties: Mapping[str, Any]) -> None:
        """Add fields to the indices that exist under `alias`; no index yet is fine."""
        with _Converting(self._url):
            if self._client.indices.exists_alias(name=alias):
                self._client.indices.put_mapping(index=alias, properties=dict(properties))

    def ensure_index(self, name: str) -> None:
        """Create the index unless it exists; the server is called once per name."""
        if name in self._known:
            return
        with _Converting(self._url):
            answer = self._client.options(ignore_status=400).indices.create(index=name)
            error = answer.get("error")
            if error and _is_of_cluster(error):
                raise ProjectionError(
                    f"{self._url}: index {name} cannot be created: {error['reason']} Delete old "
                    "indices, or raise cluster.max_shards_per_node"
                )
            if error and error["type"] != "resource_already_exists_exception":
                raise ConfigError(f"{self._url}: index {name}: {error['reason']}")
        self._known.add(name)

    def delete_index(self, name: str) -> None:
        """Delete the index; a missing one is not a failure."""
        with _Converting(self._url):
            self._client.options(ignore_status=404).indices.delete(index=name)
        self._known.discard(name)

    def bulk_create(self, documents: Sequence[Document]) -> list[Outcome]:
        """Create the documents; one outcome each, in order."""
        return self._bulk(f'{{"create":{_address(d)}}}\n{d.body}' for d in documents)

    def bulk_index(self, documents: Sequence[Document]) -> list[Outcome]:
        """Create the documents or replace them; one outcome each, in order."""
        return self._bulk(f'{{"index":{_address(d)}}}\n{d.body}' for d in documents)

    def bulk_delete(self, documents: Sequence[Document]) -> list[Outcome]:
        """Delete by index and id; a missing document counts as deleted."""
        return self._bulk(f'{{"delete":{_address(d)}}}' for d in documents)

    def refresh(self, indices: Sequence[str]) -> None:
        """Make written documents of the indices searchable; absent indices are skipped."""
        with _Converting(self._url):
            self._client.indices.refresh(index=",".join(indices), ignore_unavailable=True)

    def count(self, alias: str, matching: Filter = EVERYTHING) -> int:
        """Return the number of documents under the alias; 0 if the alias does not exist."""
        with _Converting(self._url):
            answer = self._client.count(
                index=alias, query=matching.query(), ignore_unavailable=True
            )
            return int(answer["count"])

    def find(
        self, indices: Sequence[str], matching: Filter, *, after_seq: int = 0, limit: int = 1000
    ) -> list[Hit]:
        """Return the first documents with a `seq` above `after_seq`, ascending; at most `limit`."""
        with _Converting(self._url):
            answer = self._client.search(
                index=",".join(indices),
                ignore_unavailable=True,
                query=matching.query(),
                sort=[{"seq": {"order": "asc", "unmapped_type": "long"}}],
                search_after=[after_seq],
                size=limit,
                track_total_hits=False,
            )
            return [Hit(h["_index"], h["_id"], h["_source"]) for h in answer["hits"]["hits"]]

    def newest(self, alias: str) -> int | None:
        """Return the largest `received_at` of documents with a time; None if there is none."""
        with _Converting(self._url):
            answer = self._client.search(
                index=alias,
                ignore_unavailable=True,
                query={"exists": {"field": "observed_at"}},
                sort=[{"received_at": {"order": "desc", "unmapped_type": "date"}}],
                size=1,
                source_includes=["received_at"],
                track_total_hits=False,
            )
            hits = answer["hits"]["hits"]
            return int(hits[0]["_source"]["received_at"]) if hits else None

    def count_streams(self, alias: str, matching: Filter = EVERYTHING) -> Iterator[StreamCount]:
        """Return the number of matching documents under the alias per device and stream."""
        sources = [{n: {"terms": {"field": n}}} for n in ("device_id", "stream_id")]
        composite: dict[str, Any] = {"size": _BUCKETS, "sources": sources}
        while True:
            with _Converting(self._url):
                answer = self._client.search(
                    index=alias,
                    ignore_unavailable=True,
                    query=matching.query(),
                    size=0,
                    aggs={
                        "streams": {
                            "composite": composite,
                            "aggs": {"seq_total": {"sum": {"field": "seq"}}},
                        }
                    },
                )
                page = answer.get("aggregations", {}).get("streams", {"buckets": []})
            yield from (_stream_count(bucket) for bucket in page["buckets"])
            if "after_key" not in page:
                return
            composite["after"] = page["after_key"]

    def _bulk(self, operations: Iterable[str]) -> list[Outcome]:
        with _Converting(self._url):
            answer = self._client.bulk(
                # One text for the whole call is faster: the client encodes each item by itself.
                operations=["\n".join(operations)],  # type: ignore[list-item]  # sent unchanged
                filter_path=_BULK_ANSWER,
            )
        return [self._outcome(item) for item in answer.get("items", [])]

    def _outcome(self, item: Mapping[str, Any]) -> Outcome:
        ((action, result),) = item.items()
        status, error = result["status"], result.get("error", {})
        if status < 300 or (status == 404 and action == "delete"):
            return _DONE
        if status == 409:
            return _EXISTS
        reason = f"{status} {error.get('type', '')}: {error.get('reason', '')}"
        if error.get("type") == "security_exception":
            raise ConfigError(f"{self._url}: index {result['_index']}: {reason}")
        if status == 404:
            # The index was deleted: it must be created again before the next attempt.
            self._known.discard(result["_index"])
        if status != 400:
            return Outcome(OutcomeKind.RETRY, reason)
        if _is_of_cluster(error):  # the document may be good: the index cannot take it now
            name = result["_index"]
            if error["type"] == _CLOSED:
                reason += f"; open index {name} (POST /{name}/_open), or delete it"
            return Outcome(OutcomeKind.RETRY, reason)
        return Outcome(OutcomeKind.REFUSED, reason)


def _is_of_cluster(error: Mapping[str, Any]) -> bool:
    """Return whether a 400 comes from the state of index or cluster, and not from the document."""
    kind, reason = error.get("type", ""), str(error.get("reason", ""))
    return kind == _CLOSED or any(text in reason for text in _FULL)


class _Converting:
    """Context manager that turns the client's exceptions into ours."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ApiError | TransportError):
            raise converted(error, self._url) from error


def converted(error: ApiError | TransportError, url: str) -> DewlineError:
    """Turns the client's error into one of ours, by what the caller should do."""
    if isinstance(error, TlsError):
        return _tls_error(error.message, url)
    if isinstance(error, TransportError):
        return ProjectionError(
            f"{url}: no answer: {error.message}; check that Elasticsearch runs there"
        )
    if isinstance(error, UnsupportedProductError):
        return ConfigError(
            f"[search] url: {url}: the server is not Elasticsearch 8: {error.message}"
        )
    status = error.meta.status
    text = f"{url}: {status} {error.message}: {_reason(error.body)}"
    if status in (429, 404) or status >= 500 or error.message == "cluster_block_exception":
        return ProjectionError(text)
    return ConfigError(f"[search] {text}")


def _tls_error(message: str, url: str) -> DewlineError:
    failure = tls_failure(message)
    if failure is None or failure.lasting:
        text = f"TLS: {message}" if failure is None else failure.text
        return ConfigError(f"[search] url: {url}: {text}")
    return ProjectionError(f"{url}: {failure.text}")


def _reason(body: Any) -> str:
    error = body.get("error") if isinstance(body, Mapping) else body
    reason = error.get("reason", error) if isinstance(error, Mapping) else error
    return str(reason)[:300]


def _address(document: Document) -> str:
    return f'{{"_index":{json.dumps(document.index_name)},"_id":{json.dumps(document.id)}}}'


def _stream_count(bucket: Mapping[str, Any]) -> StreamCount:
    key = bucket["key"]
    return StreamCount(
        key["device_id"], key["stream_id"], bucket["doc_count"], int(bucket["seq_total"]["value"])
    )
