"""`doctor` over real servers: all well, each thing that can be wrong, and servers that are dead."""

import json
import os
import pty
import re
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import make_url

from cloud.cli import main
from cloud.clock import SystemClock
from cloud.config import load_config
from cloud.lake.landing import LandingWriter
from cloud.lake.store import FolderStore
from cloud.search.client import SearchClient
from cloud.search.names import IndexNames
from cloud.search.templates import install
from contract.topics import Lane
from deploy.local.certificates import Certificates

NAMES = [
    "broker",
    "lake",
    "last landing",
    "devices over budget",
    "cursor ledger",
    "cursor quarantine",
    "cursor raw",
    "cursor search",
    "search",
    "shards",
    "templates",
    "warehouse",
    "ledger: unexplained",
    "ledger: doubled",
    "ledger: forks",
    "records set aside",
    "unreadable blocks",
]


@pytest.fixture
def cloud(tmp_path, mosquitto, accounts, database, elasticsearch):
    """`cloud(**lines)`: a configuration of all servers; a section can be given in other words."""
    url, account = make_url(database.url), accounts["ingest"]
    (tmp_path / "lake").mkdir()
    (tmp_path / "mysql-password").write_text(f"{url.password}\n")
    (tmp_path / "mqtt-password").write_text(f"{account.password}\n")
    sections = {
        "lake": f'root = "{tmp_path}/lake"\n',
        "ingest": f'node = "n"\nport = {mosquitto.port}\nusername = "ingest"\n'
        f'password_file = "{tmp_path}/mqtt-password"\n',
        "search": f'url = "{elasticsearch.url}"\nprefix = "doctor-{secrets.token_hex(4)}"\n',
        "warehouse": f'host = "{url.host}"\nport = {url.port}\nuser = "{url.username}"\n'
        f'database = "{url.database}"\npassword_file = "{tmp_path}/mysql-password"\n',
    }

    def write(limits="", **changed):
        parts = {**sections, **changed}
        text = "".join(f"[{name}]\n{lines}" for name, lines in parts.items() if lines is not None)
        (tmp_path / "cloud.toml").write_text(text + limits)
        return str(tmp_path / "cloud.toml")

    return write


@pytest.fixture
def doctor(capsys):
    """`doctor(config)`: exit status, and findings by name as JSON has them."""

    def run(config):
        status = main(["--config", config, "doctor", "--json"])
        answer = json.loads(capsys.readouterr().out)
        assert answer["healthy"] == (status == 0)
        return status, {found["check"]: found for found in answer["checks"]}

    return run


@pytest.fixture
def projected(request, cloud, gateway, capsys):
    """A cloud in which three files have landed and everything has followed."""
    request.getfixturevalue("warehouse")
    config = cloud()
    gateway.at = SystemClock().utc_ms() - 60_000
    settings = load_config(Path(config))
    writer = LandingWriter(FolderStore(settings.lake.folder), "n", "1356998400000-0000abcd")
    for block in (gateway.start("a"), gateway.readings("a", 2, 5), gateway.readings("a", 6, 9)):
        writer.commit(Lane.LIVE, gateway.file(block).blocks)
    client = SearchClient(settings.search.url)
    install(client, IndexNames(settings.search.prefix, settings.search.period))
    client.close()
    for words in ("ledger run", "quarantine run", "search run", "lake fold"):
        assert main(["--config", config, *words.split()]) == 0
    capsys.readouterr()
    return config


@pytest.mark.broker
@pytest.mark.services
def test_a_cloud_that_is_well(projected, doctor, capsys):
    status, found = doctor(projected)
    assert list(found) == NAMES
    assert {f["state"] for f in found.values()} == {"ok"}, found
    assert status == 0
    assert all(f["remedy"] == "" and f["expected"] for f in found.values())
    assert main(["--config", projected, "doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.split(r" {2,}", lines[0]) == ["check", "state", "found", "expected", "what to do"]
    assert lines[-1] == "no check failed"
    assert len(lines) == len(NAMES) + 2


@pytest.mark.broker
@pytest.mark.services
def test_certificates_that_the_configuration_names(cloud, doctor, tmp_path):
    pair = Certificates(tmp_path).server("api")
    lines = f'certificate_file = "{pair.certificate}"\nkey_file = "{pair.key}"\n'
    found = doctor(cloud(api=lines, search=None, warehouse=None))[1]["certificate of api"]
    assert found["state"] == "warning"  # it holds for 30 days, and some of the first is gone
    assert found["found"].startswith("29 days left")
    pair.certificate.unlink()
    found = doctor(cloud(api=lines, search=None, warehouse=None))[1]["certificate of api"]
    assert (found["state"], "cannot be read" in found["found"]) == ("failed", True)


@pytest.mark.broker
@pytest.mark.services
def test_a_terminal_gets_a_table(projected):
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "cloud.cli", "--config", projected, "doctor"]
    child = subprocess.Popen(
        words, stdout=theirs, stderr=subprocess.PIPE, env={**os.environ, "COLUMNS": "160"}
    )
    os.close(theirs)
    text = b""
    while chunk := _read(ours):
        text += chunk
    child.communicate()
    os.close(ours)
    assert child.returncode == 0
    assert "┃" in text.decode()
    assert "cursor ledger" in text.decode()


def _read(descriptor):
    try:
        return os.read(descriptor, 10_000)
    except OSError:  # the other side has closed
        return b""


@pytest.mark.broker
@pytest.mark.services
@pytest.mark.usefixtures("warehouse")
def test_each_thing_that_is_wrong_is_named_with_what_to_do(cloud, doctor, gateway, capsys):
    config = cloud(limits="[health]\nledger_s = 9e8\n")
    store = FolderStore(load_config(Path(config)).lake.folder)
    writer = LandingWriter(store, "n", "1356998400000-0000abcd")
    writer.commit(Lane.LIVE, gateway.file(gateway.start("a"), gateway.readings("a", 4, 9)).blocks)
    assert main(["--config", config, "ledger", "run"]) == 0
    capsys.readouterr()
    writer.commit(Lane.LIVE, gateway.file(gateway.readings("a", 10, 19)).blocks)
    status, found = doctor(config)
    assert status == 1
    states = {name: f["state"] for name, f in found.items()}
    assert states == {
        "broker": "ok",
        "lake": "ok",
        "last landing": "warning",
        "devices over budget": "ok",
        "cursor ledger": "failed",
        "cursor quarantine": "warning",
        "cursor raw": "warning",
        "cursor search": "warning",
        "search": "ok",
        "shards": "ok",
        "templates": "failed",
        "warehouse": "ok",
        "ledger: unexplained": "failed",
        "ledger: doubled": "ok",
        "ledger: forks": "ok",
        "records set aside": "ok",
        "unreadable blocks": "ok",
    }
    assert found["ledger: unexplained"]["found"] == "2: ewr-01 2"
    assert found["cursor ledger"]["found"].startswith("1 file behind, the oldest was received ")
    for name, state in states.items():
        assert bool(found[name]["remedy"]) == (state != "ok"), name


def test_dead_servers_are_told_and_hold_up_nobody(cloud, doctor):
    """All three take connections and never answer; the lake is looked at all the same."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        config = cloud(
            limits="[health]\nanswer_s = 3\nread_s = 6\n",
            ingest=f'node = "n"\nport = {port}\n',
            search=f'url = "http://127.0.0.1:{port}"\n',
            warehouse=f"port = {port}\n",
        )
        began_s = time.monotonic()
        status, found = doctor(config)
        lasted_s = time.monotonic() - began_s
    assert status == 1
    assert lasted_s < 13  # one after another: 15 s
    failed = {name for name, f in found.items() if f["state"] == "failed"}
    assert failed == {"broker", "search", "warehouse", "ledger"}
    assert found["lake"]["state"] == "ok"
    assert all(found[name]["found"] and found[name]["remedy"] for name in failed)


def test_servers_that_are_not_there_and_secrets_that_are_missing(cloud, doctor):
    config = cloud(
        ingest='node = "n"\nport = 1\n',
        search='url = "http://127.0.0.1:1"\n',
        warehouse='password_file = "nowhere"\n',
    )
    status, found = doctor(config)
    assert status == 1
    assert "cannot be reached" in found["broker"]["found"]
    assert "check that Elasticsearch runs there" in found["search"]["found"]
    assert "password or key file nowhere cannot be read" in found["warehouse"]["found"]


def test_what_is_not_configured_is_named_and_no_failure(cloud, doctor):
    config = cloud(ingest=None, search=None, warehouse=None)
    status, found = doctor(config)
    assert status == 0
    states = {name: f["state"] for name, f in found.items()}
    assert states == {
        "lake": "ok",
        "last landing": "warning",
        "devices over budget": "ok",
        "cursor raw": "warning",
        "broker": "not configured",
        "search": "not configured",
        "warehouse": "not configured",
        "ledger": "not configured",
    }
    assert found["broker"]["found"] == "no section [ingest]"
    _, found = doctor(cloud(lake=None, ingest=None, search=None, warehouse=None))
    assert {f["state"] for f in found.values()} == {"not configured"}
    assert len(found) == 7


@pytest.mark.broker
@pytest.mark.services
@pytest.mark.usefixtures("empty")
def test_a_schema_that_is_missing_says_which_command_makes_it(cloud, doctor):
    status, found = doctor(cloud())
    assert status == 1
    assert "warehouse migrate" in found["warehouse"]["found"]
