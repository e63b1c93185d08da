"""TLS by real handshakes on loopback: who is let in, and in which words everybody else is told."""

import dataclasses
import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import pytest

from cloud.ca.authority import Authority
from contract.errors import ConfigError
from transport.tls import (
    TlsFiles,
    client_context,
    handshake_failure,
    require_pair,
    server_context,
    tls_failure,
    tls_files,
)

NOW = datetime.now(UTC)
HOSTS = ("localhost", "127.0.0.1")
LIMIT_S = 10


class Pki:
    """An authority that is 200 days old, and files of what it issued."""

    def __init__(self, folder, name="pki"):
        self.folder = folder / name
        self.authority = Authority.create(self.folder, name, NOW - timedelta(days=200))
        self.ca_file = str(self.folder / "ca.pem")

    def kept(self, stem, issued):
        paths = self.folder / f"{stem}.cert", self.folder / f"{stem}.private"
        for path, data in zip(paths, (issued.certificate_pem, issued.key_pem), strict=True):
            path.write_bytes(data)
        return tuple(map(str, paths))

    def server(self, stem="server", hosts=HOSTS, begins_in_days=0, days=30):
        at = NOW + timedelta(days=begins_in_days)
        return self.kept(stem, self.authority.issue_server(hosts, at, days))

    def device(self, device_id, begins_in_days=0, days=30):
        at = NOW + timedelta(days=begins_in_days)
        return self.kept(device_id, self.authority.issue_device(device_id, at, days))

    def client_files(self, pair=(None, None)):
        return TlsFiles(ca_file=self.ca_file, certificate_file=pair[0], key_file=pair[1])


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("theirs"), "foreign")


def handshake(client, server, name="127.0.0.1"):
    """What the client's side says: its error's text, or what it read."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        accepted, _ = listener.accept()
        with accepted:
            accepted.settimeout(LIMIT_S)
            if server is None:
                accepted.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                accepted.recv(4096)
                return
            try:
                with server.wrap_socket(accepted, server_side=True) as secret:
                    secret.sendall(b"hello")
                    secret.recv(1)
            except OSError:
                pass  # the client tells what was wrong

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with (
            socket.create_connection(listener.getsockname(), LIMIT_S) as plain,
            client.wrap_socket(plain, server_hostname=name) as secret,
        ):
            return secret.recv(100).decode()
    except OSError as error:
        return str(error)
    finally:
        thread.join(LIMIT_S)
        listener.close()


def asking(pki, *, revoked=False):
    """A server that wants a certificate of this authority."""
    context = server_context(*pki.server(), "[api]")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(pki.ca_file)
    if revoked:
        context.load_verify_locations(str(pki.folder / "crl.pem"))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


# --- the client looks at the server --------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTS)
def test_the_right_server_is_believed(pki, name):
    client = client_context(pki.client_files(), "[uplink]")
    assert handshake(client, server_context(*pki.server(), "[api]"), name) == "hello"


def test_old_versions_are_refused_on_both_sides(pki):
    contexts = client_context(pki.client_files(), "x"), server_context(*pki.server(), "x")
    assert {c.minimum_version for c in contexts} == {ssl.TLSVersion.TLSv1_2}
    client, server = contexts
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    server.minimum_version = ssl.TLSVersion.TLSv1_3
    failure = tls_failure(handshake(client, server))
    assert failure.lasting
    assert "no TLS version or cipher in common" in failure.text


SERVERS = {
    "of another authority": (lambda _o, f: f.server(), "no authority in ca_file issued", True),
    "for another name": (
        lambda o, _f: o.server("other", ("broker.example.org",)),
        "for another name; set host to a name",
        True,
    ),
    "expired": (
        lambda o, _f: o.server("old", begins_in_days=-100, days=10),
        "has expired by this machine's clock",
        True,
    ),
    "not yet valid": (
        lambda o, _f: o.server("new", begins_in_days=2),
        "not yet valid by this machine's clock; check the clock",
        False,
    ),
    "a device": (lambda o, _f: o.device("gw-1"), "was refused: unsuit", True),
}


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("host", HOSTS)
def test_a_wrong_server_is_told_in_words(pki, foreign, name, host):
    make, words, lasting = SERVERS[name]
    server = server_context(*make(pki, foreign), "[api]")
    said = handshake(client_context(pki.client_files(), "[uplink]"), server, host)
    failure = tls_failure(said)
    assert failure is not None, said
    assert words in failure.text
    assert failure.lasting is lasting
    assert "_ssl.c" not in failure.text


def test_a_server_without_tls_is_told_in_words(pki):
    said = handshake(client_context(pki.client_files(), "[uplink]"), None)
    assert "does not use TLS on this port" in tls_failure(said).text


# --- the server looks at the client --------------------------------------------------------------

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
CLIENTS = {
    "none": (lambda _o, _f: (None, None), "a certificate"),
    "of another authority": (lambda _o, f: f.device("gw-1"), "does not trust the authority"),
    "expired": (lambda o, _f: o.device("gw-old", begins_in_days=-100, days=10), "as expired"),
    "not yet valid": (lambda o, _f: o.device("gw-new", begins_in_days=2), "refuses this client"),
    "revoked": (lambda o, _f: revoked(o), "has been revoked; issue a new one"),
}


def revoked(pki):
    pair = pki.device("gw-stolen")
    pki.authority.revoke("gw-stolen", NOW)
    return pair


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_a_client_with_a_certificate_is_let_in(pki, version):
    client = client_context(pki.client_files(pki.device("gw-1")), "[uplink]")
    client.maximum_version = version
    assert handshake(client, asking(pki, revoked=True)) == "hello"


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_a_refused_client_is_told_in_words(pki, foreign, name, version):
    make, words = CLIENTS[name]
    client = client_context(pki.client_files(make(pki, foreign)), "[uplink]")
    client.maximum_version = version
    said = handshake(client, asking(pki, revoked=True))
    failure = tls_failure(said)
    assert failure is not None, said
    assert words in failure.text, said
    assert failure.lasting


# --- texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", "timed out", "[Errno 111] Connection refused", "the certificate is nice", "[SSLx] y"],
)
def test_other_errors_are_none_of_tls(text):
    assert tls_failure(text) is None


def test_words_are_found_in_what_libraries_make_of_an_error():
    """As PyMySQL and urllib3 wrap it, and as OpenSSL 3.2 spells an alert."""
    said = (
        "Can't connect to MySQL server on 'db' ([SSL: CERTIFICATE_VERIFY_FAILED] certificate "
        "verify failed: certificate has expired (_ssl.c:992))"
    )
    assert tls_failure(said).text.endswith("renew the certificate (certificate has expired)")
    alert = "failed to receive on socket: [SSL: SSL/TLS_ALERT_CERTIFICATE_REVOKED] x (_ssl.c:1)"
    assert "has been revoked" in tls_failure(alert).text


def test_what_nobody_has_a_word_for_is_shown_and_may_pass():
    failure = tls_failure("[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred (_ssl.c:992)")
    assert failure.text == (
        "the TLS connection failed: [SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred"
    )
    assert not failure.lasting
    said = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: path too long (_ssl.c:992)"
    assert tls_failure(said).text == "the server's certificate was refused: path too long"
    assert tls_failure(said).lasting


def test_a_server_that_hangs_up_is_one_failure_by_whichever_error():
    said = {handshake_failure(e) for e in (ConnectionResetError(104, "x"), ssl.SSLEOFError(8, "y"))}
    assert {(f.text, f.lasting) for f in said} == {
        (
            "the server closed the connection during the handshake; check that the port uses TLS",
            False,
        )
    }
    assert handshake_failure(ConnectionRefusedError(111, "refused")) is None


# --- files ---------------------------------------------------------------------------------------


def broken(pki, field, content):
    path = pki.folder / "broken"
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    return dataclasses.replace(pki.client_files(pki.device("gw-1")), **{field: str(path)}), path


@pytest.mark.parametrize("field", ["ca_file", "certificate_file", "key_file"])
def test_a_missing_file_is_named_with_its_key(pki, field):
    files, path = broken(pki, field, None)
    with pytest.raises(ConfigError) as refused:
        client_context(files, "[uplink]")
    assert str(refused.value) == (
        f"[uplink] {field}: {path} cannot be read: No such file or directory. Copy the file there, "
        "or give this program's account the right to read it"
    )


@pytest.mark.parametrize("content", [b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nnonsense\n"])
@pytest.mark.parametrize("field", ["ca_file", "certificate_file", "key_file"])
def test_a_file_that_holds_something_else_is_named(pki, field, content):
    files, path = broken(pki, field, content)
    with pytest.raises(ConfigError) as refused:
        client_context(files, "[uplink]")
    assert str(path) in str(refused.value)
    assert "in PEM form" in str(refused.value)


def test_a_folder_is_no_file(pki):
    files = dataclasses.replace(pki.client_files(), ca_file=str(pki.folder))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        client_context(files, "[uplink]")


def test_the_key_of_another_certificate_is_told(pki):
    (certificate, _), (_, key) = pki.device("gw-1"), pki.device("gw-2")
    with pytest.raises(ConfigError, match=f"key_file: {key} is not the key of {certificate}"):
        server_context(certificate, key, "[api]")


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_a_password(pki):
    certificate, key = pki.device("gw-1")
    locked = f"{key}.locked"
    command = ["openssl", "pkcs8", "-topk8", "-in", key, "-out", locked, "-passout", "pass:hush"]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(ConfigError, match="not encrypted"):
        server_context(certificate, locked, "[api]")


# --- keys of a configuration ---------------------------------------------------------------------


def test_what_the_keys_say_together():
    assert tls_files("x", None, None, None) is None
    assert tls_files("x", "ca", None, None) == TlsFiles(ca_file="ca")
    whole = TlsFiles(ca_file="ca", certificate_file="c", key_file="k")
    assert tls_files("x", "ca", "c", "k") == whole


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (("ca", "c", None), "g.toml: [uplink] certificate_file: key_file is missing"),
        (("ca", None, "k"), "g.toml: [uplink] key_file: certificate_file is missing"),
        ((None, "c", None), "g.toml: [uplink] certificate_file: key_file is missing"),
        ((None, "c", "k"), "g.toml: [uplink] certificate_file: ca_file is missing. Set ca_file to"),
    ],
)
def test_one_key_without_another_is_told(keys, says):
    with pytest.raises(ConfigError) as refused:
        tls_files("g.toml: [uplink]", *keys)
    assert str(refused.value).startswith(says)


def test_a_pair_is_whole_or_absent():
    require_pair("x", None, None)
    require_pair("x", "c", "k")
    with pytest.raises(ConfigError, match=r"^\[api\] key_file: certificate_file is missing"):
        require_pair("[api]", None, "k")
