"""`api serve` as a process: what gateways get from it, and how it ends."""

import hashlib
import http.client
import json
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from cloud.cli import main
from cloud.lake.store import FolderStore
from edge.bundles.fetch import Attempt, fetch
from transport.tls import TlsFiles, client_context

BUNDLE = bytes(range(256)) * 800  # longer than one chunk of the server
SHA256 = hashlib.sha256(BUNDLE).hexdigest()
PATH = f"/bundles/{SHA256}.dwb"
LIMIT_S = 20
TOKEN = "t" * 32


class Api:
    def __init__(self, child, context=None):
        self.child = child
        self.context = context
        word, port = child.stdout.readline().split()
        assert word == b"port"
        self.port = int(port)
        scheme = "http" if context is None else "https"
        said = child.stdout.readline().decode()
        assert said == f"address {scheme}://127.0.0.1:{self.port}\n"

    def ask(self, path, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        if self.context is not None:
            connection = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=LIMIT_S, context=self.context
            )
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("authorization", f"Bearer {TOKEN}")
        connection.request(method, path, headers=named)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body


@contextmanager
def serving(folder, config, context=None, **keys):
    lines = "".join(f'{key} = "{value}"\n' for key, value in keys.items())
    (config.parent / "token").write_text(f"{TOKEN}\n")
    lines += f'token_file = "{config.parent}/token"\n'
    config.write_text(f'[registry]\nfolder = "{folder}"\n[api]\nport = 0\n{lines}')
    words = [sys.executable, "-m", "cloud.cli", "--config", str(config), "api", "serve"]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield Api(child, context)
    finally:
        child.kill()
        child.communicate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registry") / "registry"
    FolderStore(folder).create(f"bundles/{SHA256}.dwb", BUNDLE)
    return folder


@pytest.fixture(scope="module")
def api(folder):
    with serving(folder, folder.parent / "cloud.toml") as api:
        yield api


def test_a_bundle_comes_whole_with_its_name_as_etag(api):
    answer, body = api.ask(PATH)
    assert (answer.status, body) == (200, BUNDLE)
    assert answer.headers["ETag"] == f'"{SHA256}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Length"] == str(len(BUNDLE))
    assert "immutable" in answer.headers["Cache-Control"]
    assert api.ask(PATH, if_none_match=f'"{SHA256}"')[0].status == 304


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=70000-", 70_000, len(BUNDLE) - 1),
        ("bytes=10-99", 10, 99),
        ("bytes=-7", len(BUNDLE) - 7, len(BUNDLE) - 1),
        ("bytes=100-99999999", 100, len(BUNDLE) - 1),
    ],
)
def test_a_range_is_that_range(api, asked, first, last):
    answer, body = api.ask(PATH, range=asked)
    assert (answer.status, body) == (206, BUNDLE[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(BUNDLE)}"
    assert answer.headers["ETag"] == f'"{SHA256}"'


def test_a_range_of_another_version_is_answered_whole(api):
    assert api.ask(PATH, range="bytes=5-", if_range=f'"{SHA256}"')[0].status == 206
    answer, body = api.ask(PATH, range="bytes=5-", if_range=f'"{"0" * 64}"')
    assert (answer.status, body) == (200, BUNDLE)


@pytest.mark.parametrize("asked", [f"bytes={len(BUNDLE)}-", "bytes=999999999-"])
def test_a_range_beyond_the_end_is_416_and_tells_the_length(api, asked):
    answer, _ = api.ask(PATH, range=asked)
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(BUNDLE)}"


def test_head_tells_without_a_body(api):
    answer, body = api.ask(PATH, "HEAD")
    assert (answer.status, body) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(BUNDLE))


def test_only_bundles_of_the_folder_are_handed_out(api, folder):
    (folder / "bundles" / "notes.txt").write_text("secret")
    (folder / "secret").write_text("secret")
    (folder / "bundles" / f"{'b' * 64}.dwb").symlink_to(folder / "secret")
    (folder / "bundles" / f"{'d' * 64}.dwb").mkdir()
    for path in (
        "/",
        "/bundles",
        "/bundles/",
        "/bundles/notes.txt",
        "/bundles/../secret",
        "/bundles/..%2fsecret",
        "/bundles/%2e%2e%2fsecret",
        f"/bundles/{SHA256}",
        f"/bundles/{SHA256.upper()}.dwb",
        f"/bundles/{SHA256}.dwb%0a",
        f"/bundles/{SHA256}.dwb/",
        f"/bundles/{'a' * 64}.dwb",
        f"/bundles/{'b' * 64}.dwb",
        f"/bundles/{'d' * 64}.dwb",
        f"/bundles/x/{SHA256}.dwb",
    ):
        answer, body = api.ask(path)
        assert answer.status in (404, 307), path
        assert b"secret" not in body, path
        assert SHA256.encode() not in body, path


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_nothing_can_be_changed(api, method, folder):
    assert api.ask(PATH, method)[0].status == 405
    assert (folder / "bundles" / f"{SHA256}.dwb").read_bytes() == BUNDLE


def test_health_follows_the_folder(api, tmp_path):
    answer, body = api.ask("/health")
    assert (answer.status, json.loads(body)) == (200, {"status": "ok"})
    nowhere = tmp_path / "not" / "there"
    with serving(nowhere, tmp_path / "cloud.toml") as other:
        answer, body = other.ask("/health")
        assert (answer.status, json.loads(body)["status"]) == (503, "failed")
        nowhere.parent.mkdir()
        assert other.ask("/health")[0].status == 200
        assert other.ask(PATH)[0].status == 404


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_and_what_is_under_way_is_finished(tmp_path, number):
    large = BUNDLE * 200  # 40 MB: more than the sockets between us hold
    name = f"bundles/{hashlib.sha256(large).hexdigest()}.dwb"
    FolderStore(tmp_path).create(name, large)
    with serving(tmp_path, tmp_path / "cloud.toml") as api:
        connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=LIMIT_S)
        headers = {"Connection": "close", "Authorization": f"Bearer {TOKEN}"}
        connection.request("GET", f"/{name}", headers=headers)
        answer = connection.getresponse()
        begun = answer.read(1000)
        api.child.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            api.child.wait(0.5)  # it is still there: the rest has not been fetched
        assert begun + answer.read() == large
        _, errors = api.child.communicate(timeout=LIMIT_S)
    assert api.child.returncode == 0
    assert b"Traceback" not in errors
    assert b"graceful" not in errors


def test_a_taken_port_is_told_with_2(folder, tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = tmp_path / "cloud.toml"
        config.write_text(
            f'[registry]\nfolder = "{folder}"\n[api]\nport = {port}\nanonymous_bundles = true\n'
        )
        handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
        try:
            assert main(["--config", str(config), "api", "serve"]) == 2
        finally:
            for n, handler in zip((signal.SIGTERM, signal.SIGINT), handlers, strict=True):
                signal.signal(n, handler)
    assert f"cannot listen on 127.0.0.1 port {port}" in capsys.readouterr().err
    config.write_text("")
    assert main(["--config", str(config), "api", "serve"]) == 2
    assert "section [registry] is missing" in capsys.readouterr().err


# --- https ---------------------------------------------------------------------------------------


@pytest.fixture
def pair(certificates, tmp_path):
    certificates.install(tmp_path)
    return {
        "certificate_file": tmp_path / "server.pem",
        "key_file": tmp_path / "server.key",
    }


def believing(tmp_path):
    return client_context(TlsFiles(ca_file=str(tmp_path / "ca.pem")), "test")


def test_with_a_certificate_it_speaks_https(folder, tmp_path, pair):
    with serving(folder, tmp_path / "cloud.toml", believing(tmp_path), **pair) as api:
        assert api.ask(PATH)[1] == BUNDLE
        answer, body = api.ask(PATH, range="bytes=10-99")
        assert (answer.status, body) == (206, BUNDLE[10:100])
        plain = http.client.HTTPConnection("127.0.0.1", api.port, timeout=LIMIT_S)
        plain.request("GET", PATH)
        with pytest.raises(http.client.HTTPException):
            plain.getresponse()
        plain.close()
        assert api.ask("/health")[0].status == 200  # that has done no harm


def test_a_gateway_fetches_from_it(folder, tmp_path, pair):
    with serving(folder, tmp_path / "cloud.toml", believing(tmp_path), **pair) as api:
        wanted = Attempt(
            url=f"https://localhost:{api.port}{PATH}",
            part=tmp_path / "x.part",
            size_bytes=len(BUNDLE),
            timeout_s=LIMIT_S,
            tls=TlsFiles(ca_file=str(tmp_path / "ca.pem")),
            token_file=str(tmp_path / "token"),
        )
        assert not fetch(wanted)
    assert wanted.part.read_bytes() == BUNDLE


@pytest.mark.parametrize(
    ("key", "content", "words"),
    [
        ("certificate_file", None, "[api] certificate_file: "),
        ("key_file", None, "[api] key_file: "),
        ("key_file", "no key", "expected a certificate and its key, not encrypted, in PEM format"),
    ],
)
def test_a_certificate_that_is_of_no_use_is_told_with_2(
    tmp_path, pair, capsys, key, content, words
):
    pair[key] = tmp_path / "other"
    if content is not None:
        pair[key].write_text(content)
    lines = "".join(f'{name} = "{value}"\n' for name, value in pair.items())
    config = tmp_path / "cloud.toml"
    lines += "anonymous_bundles = true\n"
    config.write_text(f'[registry]\nfolder = "{tmp_path}"\n[api]\nport = 0\n{lines}')
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    try:
        assert main(["--config", str(config), "api", "serve"]) == 2
    finally:
        for n, handler in zip((signal.SIGTERM, signal.SIGINT), handlers, strict=True):
            signal.signal(n, handler)
    assert words in capsys.readouterr().err
