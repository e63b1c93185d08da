"""The scripts of the stack, run: secrets, folders, accounts; and the broker's own health check."""

import base64
import json
import os
import shutil
import ssl
import stat
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from deploy.local.processes import free_ports, hand_over


@pytest.fixture
def scripts(folder):
    return folder / "programs"


# --- with-secrets.sh -----------------------------------------------------------------------------


def started_with(scripts, secrets, *words):
    return subprocess.run(
        ["sh", str(scripts / "with-secrets.sh"), *words],
        env={"PATH": os.environ["PATH"], "DEWLINE_SECRETS": str(secrets)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_secrets_become_variables(scripts, tmp_path):
    (tmp_path / "one").write_text("a b$c\n")
    (tmp_path / "two").write_text("without an end of line")
    done = started_with(
        scripts, tmp_path, "A=one", "B=two", "--", "sh", "-c", 'echo "$A|$B|$1"', "x", "y"
    )
    assert (done.returncode, done.stdout) == (0, "a b$c|without an end of line|y\n")


def test_without_a_secret_nothing_starts(scripts, tmp_path):
    done = started_with(scripts, tmp_path, "A=missing", "--", "echo", "started")
    assert done.returncode != 0
    assert "missing" in done.stderr
    assert done.stdout == ""
    (tmp_path / "empty").touch()
    assert started_with(scripts, tmp_path, "A=empty", "--", "echo", "started").stdout == ""


@pytest.mark.parametrize("value", ["a${HOME}b", "${X:y}\n"])
def test_a_secret_that_would_be_replaced_once_more_is_refused(scripts, tmp_path, value):
    (tmp_path / "one").write_text(value)
    done = started_with(scripts, tmp_path, "A=one", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (1, "")
    assert "choose another password" in done.stderr
    assert value.strip() not in done.stderr


# --- folders.sh ----------------------------------------------------------------------------------


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give folders away")
def test_folders_are_given_away_with_two_capabilities(scripts, services, tmp_path):
    """As its container has them; twice, with files of the accounts in between."""
    capabilities = [name.lower() for name in services["folders"]["cap_add"]]
    assert capabilities == ["chown", "fowner"]
    volumes = [v.split(":")[1] for v in services["folders"]["volumes"]]
    for path in volumes:
        (tmp_path / path[1:]).mkdir(parents=True)
    bound = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    command = ["setpriv", f"--bounding-set={bound}", f"--inh-caps={bound}", "--"]
    command += ["sh", str(scripts / "folders.sh"), str(tmp_path)]
    for _ in range(2):
        subprocess.run(command, check=True)
        for path in volumes:
            found = (tmp_path / path[1:]).stat()
            owner = 1000 if path == "/var/lib/logstash" else 10001
            assert (found.st_uid, found.st_gid) == (owner, 0), path
            assert stat.S_IMODE(found.st_mode) == 0o770, path
    queue = tmp_path / "var/lib/logstash/dead_letter_queue"
    assert {path.name for path in queue.iterdir()} == {"dewline-search", "dewline-elasticsearch"}
    assert {path.stat().st_uid for path in queue.rglob("*")} == {1000}


# --- secrets.sh ----------------------------------------------------------------------------------


def test_certificates_hold_the_names_by_which_servers_are_called(site):
    for name in ("mosquitto", "api", "mysql", "elasticsearch", "logstash", "kibana"):
        certificate = x509.load_pem_x509_certificate((site / f"secrets/{name}.pem").read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = names.get_values_for_type(x509.DNSName)
        wanted = {name, "localhost"} | ({"cloud.example.org"} & set(found))
        assert set(found) == wanted
        assert ("cloud.example.org" in found) == (name in ("mosquitto", "api"))


def test_passwords_are_long_and_no_two_alike(site):
    words = [path.read_text() for path in (site / "secrets").iterdir() if "." not in path.name]
    assert len(words) == len(set(words)) == 10
    assert all(len(bytes.fromhex(word)) == 24 for word in words)


def test_only_its_owner_reaches_the_folder(site):
    assert stat.S_IMODE((site / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((site / "authority").stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (site / "secrets").iterdir()}
    assert modes == {0o444}


def test_made_again_everything_stays(site, folder, tmp_path):
    """And what was revoked meanwhile is told to the broker."""
    place = tmp_path / "again"
    shutil.copytree(site, place / "site")
    before = {path.name: path.read_bytes() for path in (place / "site/secrets").iterdir()}
    program = Path(sys.executable).with_name("dewline-cloud")
    environment = {**os.environ, "DEWLINE_CLOUD": str(program)}
    for command in (
        [str(program), "--config", "site/ca.toml", "ca", "revoke", "observer"],
        ["sh", str(folder / "secrets.sh"), "cloud.example.org", "10.0.0.5"],
    ):
        subprocess.run(command, cwd=place, env=environment, check=True, capture_output=True)
    after = {path.name: path.read_bytes() for path in (place / "site/secrets").iterdir()}
    changed = {name for name in before if before[name] != after[name]}
    assert after.keys() == before.keys()
    assert {"services-crl.pem"} <= changed <= {"services-crl.pem", "crl.pem"}


# --- accounts.sh ---------------------------------------------------------------------------------


@pytest.fixture
def elasticsearch(site):
    """A server with Elasticsearch's certificate that takes what it is sent; its port and that."""
    taken = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.path, self.headers["Authorization"], json.loads(body)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(site / "secrets/elasticsearch.pem", site / "secrets/elasticsearch.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, taken
    server.shutdown()
    server.server_close()


def make_accounts(scripts, secrets, port):
    return subprocess.run(
        ["sh", str(scripts / "accounts.sh")],
        env={
            "PATH": os.environ["PATH"],
            "DEWLINE_SECRETS": str(secrets),
            "DEWLINE_ELASTICSEARCH_URL": f"https://localhost:{port}",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_accounts_are_made_with_their_passwords(scripts, site, elasticsearch):
    port, taken = elasticsearch
    secrets = site / "secrets"
    done = make_accounts(scripts, secrets, port)
    assert done.returncode == 0, done.stderr
    wanted = base64.b64encode(f"elastic:{(secrets / 'elastic_password').read_text()}".encode())
    assert {authorization for _, authorization, _ in taken} == {f"Basic {wanted.decode()}"}
    sent = {path.removeprefix("/_security/"): body for path, _, body in taken}
    users = {
        "user/dewline": "search_password",
        "user/dewline_logstash": "logstash_search_password",
        "user/dewline_kibana": "kibana_password",
        "user/kibana_system/_password": "kibana_system_password",
    }
    for path, secret in users.items():
        assert sent[path]["password"] == (secrets / secret).read_text(), path
    roles = {path.removeprefix("role/") for path in sent if path.startswith("role/")}
    given = {role for path in users for role in sent[path].get("roles", ())}
    assert roles == given - {"kibana_admin"}  # that one Kibana brings along
    assert not [path for path in sent if "superuser" in json.dumps(sent[path])]


def test_accounts_are_not_made_at_a_stranger(scripts, site, elasticsearch, tmp_path):
    port, taken = elasticsearch
    strange = tmp_path / "secrets"
    shutil.copytree(site / "secrets", strange)
    (strange / "ca.pem").unlink()
    shutil.copy(site / "secrets" / "services.pem", strange / "ca.pem")
    assert make_accounts(scripts, strange, port).returncode != 0
    assert taken == []


# --- Mosquitto -----------------------------------------------------------------------------------


@pytest.mark.broker
def test_the_broker_starts_with_its_files_and_its_check_sees_it(
    folder, site, services, stack_base, wait_until
):
    compose = yaml.safe_load((folder / "compose.yml").read_text())
    place = stack_base / "compose-mosquitto"
    places = {"/mosquitto": str(place), "/run/secrets": str(place / "secrets")}
    ports = dict(zip(("8883", "8884"), map(str, free_ports(2)), strict=True))
    (place / "data").mkdir(parents=True)
    (place / "secrets").mkdir()
    (place / "config").mkdir()
    for entry in services["mosquitto"]["secrets"]:
        source, target = (entry, entry) if isinstance(entry, str) else entry.values()
        shutil.copy(site / "secrets" / source, place / "secrets" / target)
    for entry in services["mosquitto"]["configs"]:
        text = (folder / compose["configs"][entry["source"]]["file"]).read_text()
        (place / entry["target"].removeprefix("/mosquitto/")).write_text(moved(text, places, ports))
    hand_over(place)
    check = [
        moved(word, places, ports) for word in services["mosquitto"]["healthcheck"]["test"][1:]
    ]
    assert check[0] == "mosquitto_sub"
    assert subprocess.run(check, capture_output=True, check=False, timeout=20).returncode != 0
    with subprocess.Popen(["mosquitto", "-c", str(place / "config" / "mosquitto.conf")]) as broker:
        try:
            wait_until(lambda: subprocess.run(check, check=False, timeout=20).returncode == 0, 20)
            stranger = [word.replace("observer", "server") for word in check]
            assert subprocess.run(stranger, capture_output=True, check=False).returncode != 0
        finally:
            broker.terminate()


def moved(text, places, ports):
    for old, new in places.items():
        text = text.replace(old, new)
    for old, new in ports.items():
        text = text.replace(f"listener {old}", f"listener {new}") if " " in text else text
        text = new if text == old else text
    return text
