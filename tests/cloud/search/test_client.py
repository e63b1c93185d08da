import base64
import json
import secrets
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import elastic_transport
import elasticsearch
import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig

from cloud.config import Period
from cloud.errors import ProjectionError
from cloud.search.bulk import Document, OutcomeKind
from cloud.search.client import SearchClient, converted
from cloud.search.names import IndexNames
from cloud.search.query import Filter, StreamCount
from cloud.search.templates import install, template_of
from contract.errors import ConfigError, DewlineError
from contract.records import Kind

STREAM = "aaaaaaaaaaaaa"
NODE = NodeConfig(scheme="http", host="127.0.0.1", port=1)


def api_error(cls, status, message="m"):
    meta = ApiResponseMeta(
        status=status, http_version="1.1", headers=HttpHeaders(), duration=0.0, node=NODE
    )
    return cls(message, meta, {"error": {"type": message, "reason": "because"}})


def classes(module, root):
    found = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, root)]
    return sorted(set(found), key=lambda c: c.__name__)


def test_every_exception_of_the_library_becomes_one_of_ours():
    errors = [api_error(c, 500) for c in classes(elasticsearch, elasticsearch.ApiError)]
    errors += [c("m") for c in classes(elastic_transport, elastic_transport.TransportError)]
    assert len(errors) >= 10
    for error in errors:
        ours = converted(error, "http://x")
        assert isinstance(ours, DewlineError)
        assert "http://x" in str(ours)


@pytest.mark.parametrize(
    ("status", "message", "retryable"),
    [
        (429, "es_rejected_execution_exception", True),
        (503, "unavailable_shards_exception", True),
        (403, "cluster_block_exception", True),
        (404, "index_not_found_exception", True),
        (400, "illegal_argument_exception", False),
        (401, "security_exception", False),
        (403, "security_exception", False),
        (413, "content_too_long", False),
    ],
)
def test_what_may_succeed_later_is_retryable(status, message, retryable):
    ours = converted(api_error(elasticsearch.ApiError, status, message), "http://x")
    assert ours.retryable is retryable
    assert "because" in str(ours)


def test_an_address_that_is_none_is_a_fault_of_the_configuration():
    with pytest.raises(ConfigError, match=r"\[search\] url"):
        SearchClient("nonsense")


def test_nobody_there_is_retryable_and_waiting_has_a_limit():
    with socket.socket() as taken:  # bound and not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        client = SearchClient(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ProjectionError, match="check that Elasticsearch runs there"):
            client.wait(0.3)


class Cluster:
    """Answers `GET /_cluster/health` as Elasticsearch does, by https; keeps who asked."""

    def __init__(self, context):
        self.asked = asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.headers.get("Authorization"))
                body = json.dumps({"status": "green"}).encode()
                self.send_response(200)
                self.send_header("X-Elastic-Product", "Elasticsearch")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None  # a handshake that failed: the client tells
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@pytest.fixture
def cluster(certificates, tmp_path):
    certificates.install(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    cluster = Cluster(context)
    yield cluster
    cluster.close()


def test_over_tls_with_an_account(cluster, tmp_path):
    client = SearchClient(
        cluster.url, account=("dewline", "hush"), ca_file=str(tmp_path / "ca.pem")
    )
    client.ping()
    client.close()
    assert cluster.asked == ["Basic " + base64.b64encode(b"dewline:hush").decode()]


def test_a_cluster_of_another_authority_is_told_nothing(cluster, tls_door):
    _, foreign = tls_door("good")
    client = SearchClient(cluster.url, account=("dewline", "hush"), ca_file=foreign)
    with pytest.raises(ConfigError, match="no authority in ca_file issued"):
        client.ping()
    assert cluster.asked == []


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("expired", ConfigError, "has expired"),
        ("for another name", ConfigError, "for another name"),
        ("not yet valid", ProjectionError, "check the clock"),
    ],
)
def test_a_cluster_with_a_wrong_certificate_is_told_in_words(tls_door, kind, error, words):
    port, ca_file = tls_door(kind)
    client = SearchClient(f"https://127.0.0.1:{port}", ca_file=ca_file)
    with pytest.raises(error, match=words):
        client.ping()


def test_an_authority_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"\[search\] ca_file: /nowhere/ca.pem cannot be read"):
        SearchClient("https://127.0.0.1:1", ca_file="/nowhere/ca.pem")


@pytest.fixture
def client(elasticsearch):
    client = SearchClient(elasticsearch.url)
    client.wait(30)
    yield client
    client.close()


@pytest.fixture
def names(client):
    names = IndexNames(f"t{secrets.token_hex(4)}", Period.DAY)
    client.ensure_template(names.alias(Kind.ALERT), template_of(Kind.ALERT, names))
    return names


def alert(names, seq, device="gw-1", **more):
    fields = {"device_id": device, "stream_id": STREAM, "seq": seq, "event_day": "2013-01-01"}
    index = f"{names.alias(Kind.ALERT)}-2013.01.01"
    return Document(index, f"{device}:{STREAM}:{seq}", json.dumps(fields | more))


@pytest.mark.services
def test_templates_install_twice_and_reach_older_indices(client, names):
    index = f"{names.alias(Kind.ALERT)}-2013.01.01"
    client.ensure_index(index)
    assert install(client, names) == tuple(names.alias(k) for k in Kind)
    assert install(client, names) == tuple(names.alias(k) for k in Kind)
    client.extend_mapping(names.alias(Kind.ALERT), {"severity": {"type": "keyword"}})
    assert client.bulk_create([alert(names, 1, severity="high")])[0].kind is OutcomeKind.DONE


@pytest.mark.services
def test_an_index_is_made_once_and_again_after_it_was_dropped(client, names, elasticsearch):
    document = alert(names, 1)
    client.ensure_index(document.index_name)
    SearchClient(elasticsearch.url).ensure_index(document.index_name)  # somebody else's: fine
    client.bulk_create([document])
    drop(elasticsearch.url, document.index_name)
    client.ensure_index(document.index_name)  # remembered, so nothing is asked
    (outcome,) = client.bulk_create([document])
    assert outcome.kind is OutcomeKind.RETRY
    assert "index_not_found_exception" in outcome.reason
    client.ensure_index(document.index_name)
    assert client.bulk_create([document])[0].kind is OutcomeKind.DONE


def elasticsearch_client(url):
    return elasticsearch.Elasticsearch(url)


def drop(url, index):
    raw = elasticsearch_client(url)
    raw.indices.delete(index=index)
    raw.close()


@pytest.mark.services
def test_a_closed_index_is_no_fault_of_the_document(client, names, elasticsearch):
    document = alert(names, 1)
    client.ensure_index(document.index_name)
    raw = elasticsearch_client(elasticsearch.url)
    raw.indices.close(index=document.index_name)
    for call in (client.bulk_create, client.bulk_index, client.bulk_delete):
        (outcome,) = call([document])
        assert outcome.kind is OutcomeKind.RETRY
        assert f"open index {document.index_name} (POST" in outcome.reason
    assert document.index_name in client.index_names(names.every)
    raw.indices.open(index=document.index_name, wait_for_active_shards=1)
    raw.close()
    assert client.bulk_create([document])[0].kind is OutcomeKind.DONE


@pytest.fixture
def full(client, elasticsearch):
    """The server has no shard left for a new index."""
    raw = elasticsearch_client(elasticsearch.url)
    shards_open, _ = client.shards()
    limit = {"cluster.max_shards_per_node": max(1, shards_open)}
    raw.cluster.put_settings(persistent=limit)
    yield limit["cluster.max_shards_per_node"]
    raw.cluster.put_settings(persistent={"cluster.max_shards_per_node": None})
    raw.close()


@pytest.mark.services
def test_a_cluster_without_shards_is_tried_again(client, names, full):
    made = f"{names.alias(Kind.ALERT)}-2013.01.01"
    assert client.shards()[1] == full
    while client.shards()[0] < full:  # a server with no index yet
        client.ensure_index(f"{names.alias(Kind.ALERT)}-2012.01.01")
    with pytest.raises(ProjectionError, match=r"cannot be created.*max_shards_per_node") as caught:
        client.ensure_index(made)
    assert caught.value.retryable
    assert made not in client.index_names(names.every)
    for existing in client.index_names("*"):
        client.ensure_index(existing)  # a new process asks for it again
        break


@pytest.mark.services
def test_the_limit_of_shards_is_elasticsearchs_own(client):
    shards_open, limit = client.shards()
    assert 0 <= shards_open < limit == 1000


@pytest.mark.services
def test_outcomes_in_order(client, names):
    good, wrong = alert(names, 1), alert(names, 2, no_such_field=1)
    client.ensure_index(good.index_name)
    outcomes = client.bulk_create([good, wrong, good])
    assert [o.kind for o in outcomes] == [
        OutcomeKind.DONE,
        OutcomeKind.REFUSED,
        OutcomeKind.EXISTS,
    ]
    assert "strict_dynamic_mapping_exception" in outcomes[1].reason
    gone = [good, wrong, alert(names, 3)._replace(index_name="t-no-such-index")]
    assert {o.kind for o in client.bulk_delete(gone)} == {OutcomeKind.DONE}
    client.refresh([names.alias(Kind.ALERT)])
    assert client.count(names.alias(Kind.ALERT)) == 0


@pytest.mark.services
def test_an_index_closed_for_writing_is_retryable(client, names, elasticsearch):
    document = alert(names, 1)
    client.ensure_index(document.index_name)
    raw = elasticsearch_client(elasticsearch.url)
    raw.indices.put_settings(index=document.index_name, settings={"index.blocks.write": True})
    (outcome,) = client.bulk_create([document])
    assert outcome.kind is OutcomeKind.RETRY
    assert "cluster_block_exception" in outcome.reason
    raw.indices.put_settings(index=document.index_name, settings={"index.blocks.write": False})
    raw.close()
    assert client.bulk_create([document])[0].kind is OutcomeKind.DONE


@pytest.mark.services
def test_counts_and_pages(client, names):
    alias = names.alias(Kind.ALERT)
    documents = [alert(names, n) for n in range(1, 8)] + [alert(names, 9, device="gw-2")]
    client.ensure_index(documents[0].index_name)
    client.bulk_create(documents)
    client.refresh([alias])
    assert client.count(alias) == 8
    assert client.count(alias, Filter((("device_id", "gw-1"), ("seq", 3)))) == 1
    assert client.count(alias, Filter(missing="seq")) == 0
    hits = client.find([alias], Filter((("device_id", "gw-1"),)), after_seq=2, limit=3)
    assert [h.fields["seq"] for h in hits] == [3, 4, 5]
    assert list(client.count_streams(alias)) == [
        StreamCount("gw-1", STREAM, 7, 28),
        StreamCount("gw-2", STREAM, 1, 9),
    ]


@pytest.mark.services
def test_absent_indices_count_as_empty(client):
    assert client.count("t-no-such-alias") == 0
    assert client.find(["t-no-such-alias"], Filter()) == []
    assert list(client.count_streams("t-no-such-alias")) == []
    client.refresh(["t-no-such-alias"])
