"""What `push` makes of each of Kibana's answers, from a server that answers as Kibana does."""

import email
import email.policy
import json
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cloud.config import Period
from cloud.errors import KibanaError, KibanaRefused
from cloud.search.kibana.objects import bundle
from cloud.search.kibana.push import Access, push
from cloud.search.names import IndexNames
from contract.errors import ConfigError

BUNDLE = bundle(IndexNames("dewline", Period.DAY))
TOTAL = BUNDLE.count("\n")


class Door:
    """Kibana's door: takes an import and answers as told; without being told it takes everything.

    Attributes:
        asked: Of each request: path, headers, the parts of its form by name.
        answers: What is said next, the first first: status and body, or None to hang up.
    """

    def __init__(self):
        self.asked = []
        self.answers = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def _handler(self):
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                kind = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
                form = email.message_from_bytes(kind + body, policy=email.policy.default)
                parts = {p.get_param("name", header="content-disposition"): p for p in form.walk()}
                door.asked.append((self.path, dict(self.headers.items()), parts))
                told = door.answers.pop(0) if door.answers else door.taken(parts)
                if told is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, said = told
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_args):
                pass

        return Handler

    @staticmethod
    def taken(parts):
        """As Kibana takes a form: 400 without the header or the file's right name."""
        if not (parts["file"].get_filename() or "").endswith(".ndjson"):
            return 400, {"statusCode": 400, "message": "Invalid file extension"}
        lines = parts["file"].get_content().decode().splitlines()
        found = [json.loads(line) for line in lines]
        results = [{"type": o["type"], "id": o["id"], "overwrite": True} for o in found]
        return 200, {"success": True, "successCount": len(found), "successResults": results}

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@pytest.fixture
def door():
    made = Door()
    yield made
    made.close()


def refused(status, message):
    return status, {"statusCode": status, "error": "x", "message": message}


def test_everything_is_taken(door):
    assert push(Access(url=door.url), BUNDLE) == TOTAL
    ((path, headers, parts),) = door.asked
    assert path == "/api/saved_objects/_import?overwrite=true"
    assert headers["kbn-xsrf"] == "true"
    assert "authorization" not in {name.lower() for name in headers}
    assert parts["file"].get_content().decode() == BUNDLE
    assert parts["file"].get_filename().endswith(".ndjson")


def test_a_space_and_a_base_path(door):
    push(Access(url=f"{door.url}/kibana/", space="farm_1"), BUNDLE)
    assert door.asked[0][0].startswith("/kibana/s/farm_1/api/saved_objects/_import?")


@pytest.mark.parametrize(
    ("identity", "header"),
    [
        ({"account": ("elastic", "pä:ss")}, "Basic ZWxhc3RpYzpww6Q6c3M="),
        ({"api_key": "a2V5"}, "ApiKey a2V5"),
    ],
)
def test_who_asks(door, identity, header):
    push(Access(url=door.url, **identity), BUNDLE)
    assert door.asked[0][1]["authorization"] == header


def test_a_200_without_success_is_a_failure_that_names_each_object(door):
    errors = [
        {
            "type": "lens",
            "id": "dewline-panel-fleet-on",
            "meta": {"title": "Alerts on now"},
            "error": {
                "type": "missing_references",
                "references": [{"type": "index-pattern", "id": "dewline-view-alerts"}],
            },
        },
        {
            "type": "dashboard",
            "id": "dewline-dashboard-fleet",
            "error": {"type": "unknown", "message": "belongs to a more recent version"},
        },
        {"type": "search", "id": "x", "error": {"type": "unsupported_type"}},
    ]
    door.answers = [(200, {"success": False, "successCount": 27, "errors": errors})]
    with pytest.raises(KibanaRefused) as raised:
        push(Access(url=door.url), BUNDLE)
    assert not raised.value.retryable
    text = str(raised.value)
    assert f"imported 27 of {TOTAL} objects" in text
    assert "lens dewline-panel-fleet-on: missing_references index-pattern dewline-view-" in text
    assert "dashboard dewline-dashboard-fleet: unknown belongs to a more recent version" in text
    assert "search x: unsupported_type" in text


def test_of_many_failures_the_first_are_named(door):
    errors = [{"type": "lens", "id": str(n), "error": {"type": "conflict"}} for n in range(25)]
    door.answers = [(200, {"success": False, "successCount": 0, "errors": errors})]
    with pytest.raises(KibanaRefused, match=r"lens 9: conflict; and 15 more"):
        push(Access(url=door.url), BUNDLE)


@pytest.mark.parametrize(
    "said",
    [
        {"success": True, "successCount": TOTAL - 1},
        {"success": True},
        {},
        b"<html>some other server</html>",
        [],
    ],
)
def test_a_200_that_does_not_say_that_all_was_taken(door, said):
    door.answers = [(200, said)]
    with pytest.raises(KibanaRefused, match=rf"of {TOTAL} objects"):
        push(Access(url=door.url), BUNDLE)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "wrong credentials"),
        (403, "may not import"),
        (404, "the space exists"),
        (413, "maxImportPayloadBytes"),
        (302, "base path"),
    ],
)
def test_what_a_person_must_set_right(door, status, words):
    door.answers = [refused(status, "Unauthorised")]
    with pytest.raises(ConfigError, match=rf"{status}: Unauthorised: .*{words}"):
        push(Access(url=door.url), BUNDLE)


def test_what_kibana_calls_a_bad_request(door):
    door.answers = [refused(400, "Request must contain a kbn-xsrf header.")]
    with pytest.raises(KibanaRefused, match="400: Request must contain a kbn-xsrf header"):
        push(Access(url=door.url), BUNDLE)


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_what_may_pass(door, status):
    door.answers = [refused(status, "Kibana server is not ready yet")]
    with pytest.raises(KibanaError, match="not ready yet") as raised:
        push(Access(url=door.url), BUNDLE)
    assert raised.value.retryable
    assert push(Access(url=door.url), BUNDLE) == TOTAL


def test_a_door_that_closes_in_the_middle(door):
    door.answers = [None]
    with pytest.raises(KibanaError, match="no answer") as raised:
        push(Access(url=door.url), BUNDLE)
    assert raised.value.retryable
    assert len(door.asked) == 1  # nothing is sent twice without being told to


def test_nobody_at_home(door):
    url = door.url
    door.close()
    with pytest.raises(KibanaError, match=r"no answer: .*; check that Kibana runs there"):
        push(Access(url=url), BUNDLE)


def test_http_where_https_is_wanted(door, tmp_path):
    paths = ssl.get_default_verify_paths()
    url = door.url.replace("http:", "https:")
    ca_file = paths.cafile or paths.openssl_cafile
    with pytest.raises(ConfigError, match="does not use TLS"):
        push(Access(url=url, ca_file=ca_file), BUNDLE)
    with pytest.raises(ConfigError, match="ca_file: needs a url with https"):
        push(Access(url=door.url, ca_file=ca_file), BUNDLE)
    assert door.asked == []  # nothing went over the line in the clear
    with pytest.raises(ConfigError, match=r"\[kibana\] ca_file: .*nowhere cannot be read"):
        push(Access(url=url, ca_file=str(tmp_path / "nowhere")), BUNDLE)


@pytest.mark.parametrize("url", ["kibana:5601", "ftp://kibana", "http://u:p@kibana", "http://k/?a"])
def test_an_address_that_is_none(url):
    with pytest.raises(ConfigError, match="is not an address"):
        push(Access(url=url), BUNDLE)


def test_a_key_that_is_none():
    with pytest.raises(ConfigError, match="api_key_file: expected the key's"):
        push(Access(url="http://127.0.0.1:1", api_key="id:ключ"), BUNDLE)


def test_a_space_that_is_none():
    with pytest.raises(ConfigError, match="space"):
        push(Access(url="http://127.0.0.1:1", space="../x"), BUNDLE)
