"""Who may read bundles and health: real TLS, certificates of our authority and of others."""

import hashlib
import http.client
import json
import socket
import ssl
import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import pytest

from cloud.api.access import Access, Client, ClientKind, read_tokens
from cloud.cli import main
from cloud.lake.store import FolderStore
from contract.errors import ConfigError
from deploy.local.certificates import Certificates
from edge.bundles.fetch import Attempt, fetch
from edge.errors import FetchUnavailable
from transport.tls import TlsFiles, client_context

BUNDLE = b"bundle" * 1000
SHA256 = hashlib.sha256(BUNDLE).hexdigest()
PATH = f"/bundles/{SHA256}.dwb"
HEALTH = "/v1/health?devices=gw-1"
TOKEN, ONLY_BUNDLES = "t" * 40, "b" * 40
LIMIT_S = 20


class Site:
    """An API with an authority of its own, and what its clients have."""

    def __init__(self, folder):
        self.folder = folder
        self.certificates = Certificates(folder)
        self.certificates.install(folder)
        FolderStore(folder / "registry").create(f"bundles/{SHA256}.dwb", BUNDLE)
        (folder / "token").write_text(f"{'o' * 32}\n{TOKEN}\n")
        (folder / "bundles-token").write_text(ONLY_BUNDLES)
        self.port = 0

    @contextmanager
    def serving(self, lines=""):
        config = self.folder / "cloud.toml"
        config.write_text(self._configuration() + lines)
        words = [sys.executable, "-m", "cloud.cli", "--config", str(config), "api", "serve"]
        with (self.folder / "log").open("wb") as log:
            child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log)
        try:
            self.port = int(child.stdout.readline().split()[1])
            yield
        finally:
            child.kill()
            child.communicate()

    def _configuration(self):
        at = self.folder
        return (
            f'[registry]\nfolder = "{at}/registry"\n[api]\nport = 0\n'
            f'certificate_file = "{at}/server.pem"\nkey_file = "{at}/server.key"\n'
            f'devices_ca_file = "{at}/ca.pem"\ndevices_crl_file = "{at}/crl.pem"\n'
            f'services_ca_file = "{at}/services.pem"\n'
            f'services_crl_file = "{at}/services-crl.pem"\n'
            f'token_file = "{at}/token"\nbundles_token_file = "{at}/bundles-token"\n'
        )

    def ask(self, path, files=None, authorization=None):
        own = {} if files is None else {"certificate_file": str(files.certificate)}
        own |= {} if files is None else {"key_file": str(files.key)}
        context = client_context(TlsFiles(ca_file=str(self.certificates.ca), **own), "test")
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=LIMIT_S, context=context
        )
        headers = {} if authorization is None else {"Authorization": authorization}
        with closing(connection):
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def attempt(self, files=None, token_file=None):
        """A gateway's way to fetch the bundle."""
        own = {} if files is None else {"certificate_file": str(files.certificate)}
        own |= {} if files is None else {"key_file": str(files.key)}
        part = self.folder / "x.part"
        part.unlink(missing_ok=True)
        return Attempt(
            url=f"https://localhost:{self.port}{PATH}",
            part=part,
            size_bytes=len(BUNDLE),
            timeout_s=LIMIT_S,
            tls=TlsFiles(ca_file=str(self.certificates.ca), **own),
            token_file=token_file,
        )

    def revoke(self, name):
        self.certificates.authority.revoke(name, datetime.now(UTC))
        self.certificates.install(self.folder)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"))
    with site.serving():
        yield site


@pytest.fixture(scope="module")
def device(site):
    return site.certificates.device("gw-1")


@pytest.mark.parametrize("path", [PATH, HEALTH, "/bundles/", "/", "/docs"])
def test_without_certificate_and_token_it_is_401_with_what_to_do(site, path):
    status, body = site.ask(path)
    assert status == 401
    for words in (b"client certificate", b"[models]", b"token_file", b"Authorization: Bearer"):
        assert words in body
    assert SHA256.encode() not in body


def test_its_own_health_is_for_all(site):
    assert site.ask("/health") == (200, b'{"status":"ok"}')


def test_a_device_reads_bundles_and_its_own_health_only(site, device):
    assert site.ask(PATH, device) == (200, BUNDLE)
    assert site.ask(HEALTH, device)[0] == 503  # no warehouse here, but it was let in
    status, body = site.ask("/v1/health?devices=gw-2", device)
    assert status == 403
    assert "may read the health of gw-1 only" in json.loads(body)["reason"]


def test_a_service_reads_the_health_of_all(site):
    service = site.certificates.service("observer")
    assert site.ask(PATH, service) == (200, BUNDLE)
    assert site.ask("/v1/health?devices=gw-1,gw-2", service)[0] == 503


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_a_token_of_either_file(site, scheme):
    for token in (TOKEN, "o" * 32):
        assert site.ask(PATH, authorization=f"{scheme} {token}") == (200, BUNDLE)
        assert site.ask(HEALTH, authorization=f"{scheme} {token}")[0] == 503
    assert site.ask(PATH, authorization=f"{scheme} {ONLY_BUNDLES}") == (200, BUNDLE)
    assert site.ask(HEALTH, authorization=f"{scheme} {ONLY_BUNDLES}")[0] == 403


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}t",
        f"Bearer {'x' * 40}",
        f"Bearer {'t' * 10_000}",
        "Bearer tö",
        f"Basic {TOKEN}",
        TOKEN,
    ],
)
def test_a_wrong_token_is_401_even_with_a_certificate(site, device, authorization):
    for files in (None, device):
        status, body = site.ask(PATH, files, authorization)
        assert status == 401
        assert b"the token in the header Authorization is unknown" in body


def test_a_certificate_of_another_authority_is_refused(site, tmp_path):
    other = Certificates(tmp_path)
    stranger = other.device("gw-1")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        site.ask("/health", stranger)
    with pytest.raises(FetchUnavailable, match="does not trust the authority"):
        fetch(site.attempt(stranger))
    assert "refused the certificate of a client at 127.0.0.1: " in (site.folder / "log").read_text()


def test_the_certificate_of_a_server_is_no_clients(site):
    with pytest.raises(FetchUnavailable, match="the server refuses this client's certificate"):
        fetch(site.attempt(site.certificates.server("other")))


def test_a_revoked_certificate_is_refused_without_a_restart(site, wait_until):
    for role, name in (("device", "gw-7"), ("service", "rollout")):
        lost = getattr(site.certificates, role)(name)
        kept = site.certificates.device(f"gw-8-{role}")
        fetch(site.attempt(lost))
        site.revoke(name)

        def refused(lost=lost):
            try:
                fetch(site.attempt(lost))
            except FetchUnavailable as error:
                return "this client's certificate has been revoked" in str(error)
            return False

        wait_until(refused)
        fetch(site.attempt(kept))


def test_a_list_that_is_half_written_keeps_the_earlier_one_in_use(site, device, wait_until):
    whole = (site.folder / "crl.pem").read_bytes()
    log = site.folder / "log"
    (site.folder / "crl.pem").write_bytes(whole[: len(whole) // 2])

    def told():
        assert site.ask(PATH, device) == (200, BUNDLE)
        return "the changed files are not used until they are correct" in log.read_text()

    wait_until(told)
    (site.folder / "crl.pem").write_bytes(whole)
    wait_until(lambda: site.ask(PATH, device)[0] == 200 and "read the changed" in log.read_text())


def test_a_gateway_fetches_with_certificate_or_token(site, device, tmp_path):
    assert not fetch(site.attempt(device))
    (tmp_path / "token").write_text(f"{ONLY_BUNDLES}\n")
    assert not fetch(site.attempt(token_file=str(tmp_path / "token")))


def test_a_gateway_without_is_told_what_to_set(site, tmp_path):
    with pytest.raises(FetchUnavailable, match=r"HTTP 401: a client certificate .* \[models\]"):
        fetch(site.attempt())
    (tmp_path / "token").write_text("x" * 40)
    with pytest.raises(FetchUnavailable, match=r"HTTP 401: the token .* is unknown"):
        fetch(site.attempt(token_file=str(tmp_path / "token")))
    with pytest.raises(FetchUnavailable, match=r"\[models\] token_file: /nowhere cannot be read"):
        fetch(site.attempt(token_file="/nowhere"))
    (tmp_path / "token").write_text("two words\n")
    with pytest.raises(FetchUnavailable, match="expected one token and nothing else"):
        fetch(site.attempt(token_file=str(tmp_path / "token")))


def test_one_device_has_only_a_few_requests_at_a_time(site):
    """The others of the same address go on."""
    large = bytes(40_000_000)
    path = f"/bundles/{hashlib.sha256(large).hexdigest()}.dwb"
    FolderStore(site.folder / "registry").create(path[1:], large)
    greedy, other = site.certificates.device("gw-5"), site.certificates.device("gw-6")
    context = client_context(
        TlsFiles(
            ca_file=str(site.certificates.ca),
            certificate_file=str(greedy.certificate),
            key_file=str(greedy.key),
        ),
        "test",
    )
    slow = []
    try:
        for _ in range(4):
            raw = socket.create_connection(("127.0.0.1", site.port), LIMIT_S)
            slow.append(context.wrap_socket(raw, server_hostname="127.0.0.1"))
            slow[-1].sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert slow[-1].recv(100)
        status, body = site.ask(PATH, greedy)
        assert status == 429
        assert b"4 requests of this client" in body
        assert site.ask(PATH, other) == (200, BUNDLE)
    finally:
        for one in slow:
            one.close()


def test_bundles_may_be_for_everybody_while_gateways_are_updated(tmp_path):
    site = Site(tmp_path)
    with site.serving("anonymous_bundles = true\n"):
        assert site.ask(PATH) == (200, BUNDLE)
        assert site.ask(HEALTH)[0] == 401
        assert site.ask(PATH, authorization=f"Bearer {'x' * 40}")[0] == 401
        assert not fetch(site.attempt())
    assert "everybody may read bundles" in (tmp_path / "log").read_text()


def test_an_answer_that_is_read_too_slowly_is_cut(tmp_path, wait_until):
    site = Site(tmp_path)
    large = bytes(40_000_000)
    path = f"/bundles/{hashlib.sha256(large).hexdigest()}.dwb"
    FolderStore(tmp_path / "registry").create(path[1:], large)
    context = client_context(TlsFiles(ca_file=str(site.certificates.ca)), "test")
    with site.serving("transfer_s = 1.0\n"):
        connection = http.client.HTTPSConnection(
            "127.0.0.1", site.port, timeout=LIMIT_S, context=context
        )
        with closing(connection):
            connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
            answer = connection.getresponse()
            wait_until(lambda: "closed 1 connections" in (tmp_path / "log").read_text())
            with pytest.raises((http.client.IncompleteRead, OSError)):
                answer.read()


# --- configuration -------------------------------------------------------------------------------


def test_an_api_that_nobody_could_use_does_not_start(tmp_path, capsys):
    config = tmp_path / "cloud.toml"
    config.write_text(f'[registry]\nfolder = "{tmp_path}"\n[api]\nport = 0\n')
    assert main(["--config", str(config), "api", "serve"]) == 2
    said = capsys.readouterr().err
    assert "nobody could read bundles. Set devices_ca_file and devices_crl_file" in said


@pytest.mark.parametrize("content", ["", "\n \n", "short", f"{'t' * 40}\nshort", f"{'t' * 20} x"])
def test_a_file_of_tokens_that_are_none_is_refused(tmp_path, content):
    (tmp_path / "token").write_text(content)
    with pytest.raises(ConfigError, match=r"\[api\] token_file: .*one token a line.*openssl rand"):
        read_tokens(str(tmp_path / "token"), "token_file")
    with pytest.raises(ConfigError, match=r"\[api\] token_file: /nowhere cannot be read"):
        read_tokens("/nowhere", "token_file")


def test_devices_and_services_of_one_authority_cannot_be_told_apart(tmp_path, capsys):
    site = Site(tmp_path)
    (tmp_path / "services.pem").write_bytes((tmp_path / "ca.pem").read_bytes())
    config = tmp_path / "cloud.toml"
    config.write_text(site._configuration())
    assert main(["--config", str(config), "api", "serve"]) == 2
    assert "Services need an authority of their own" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["devices_ca_file", "services_crl_file"])
def test_a_file_that_is_not_one_is_named_by_its_key(tmp_path, capsys, name):
    site = Site(tmp_path)
    config = tmp_path / "cloud.toml"
    config.write_text(site._configuration().replace(f'{name} = "', f'{name} = "/nowhere'))
    assert main(["--config", str(config), "api", "serve"]) == 2
    assert f"[api] {name}: /nowhere" in capsys.readouterr().err


def test_a_token_counts_before_a_certificate():
    access = Access(("t" * 32,), ("b" * 32,))
    peer = Client(ClientKind.DEVICE, "gw-1")
    assert access.identify(peer, None, "/x") is peer
    assert access.identify(peer, f"Bearer {'t' * 32}", "/x") == Client(ClientKind.TOKEN)
    assert access.identify(None, None, "/bundles/x") is None
