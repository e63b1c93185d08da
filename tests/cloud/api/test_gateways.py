"""`GET /v1/health`: questions, answers, and what happens to bundles while MySQL is away."""

import asyncio
import hashlib
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from sqlalchemy import make_url

from cloud.api.access import Client, ClientKind
from cloud.api.app import make_app
from cloud.api.gateways import MAX_DEVICES, GatewayHealthEndpoint
from cloud.config import HealthConfig
from cloud.errors import SchemaOutdated, WarehouseError
from cloud.health.verdict import GatewayFacts, judge
from cloud.instants import shown_instant
from cloud.lake.store import FolderStore
from cloud.projections.ledger import LedgerProjection

BUNDLE = b"bundle" * 1000
SHA256 = hashlib.sha256(BUNDLE).hexdigest()
AT = 1_795_517_522_667  # 2026-11-24T10:52:02.667Z
LIMIT_S = 20
OPERATOR = Client(ClientKind.TOKEN)
TOKEN = "t" * 32


class Told:
    """Gateways that were all heard at one instant; may fail, or take its time."""

    def __init__(self, heard_at=AT, error=None, gate=None):
        self.asked = []
        self._heard_at, self._error, self._gate = heard_at, error, gate

    def read(self, devices, asked):
        self.asked.append((devices, asked))
        if self._gate is not None:
            self._gate.wait(LIMIT_S)
        if self._error is not None:
            raise self._error
        known = [GatewayFacts(device_id=n, heard_at=self._heard_at, reading_at=AT) for n in devices]
        return [judge(one, asked) for one in known]


class Clock:
    def utc_ms(self):
        return AT + 1000

    def monotonic_ms(self):
        return 0


async def call(app, path, query="", client=OPERATOR):
    """One GET by ASGI itself."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [],
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "state": {"client": client},
        "root_path": "",
    }
    await app(scope, receive, send)
    body = b"".join(m.get("body", b"") for m in sent)
    return sent[0]["status"], body


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "registry"
    FolderStore(folder).create(f"bundles/{SHA256}.dwb", BUNDLE)
    return folder


@pytest.fixture
def ask(folder):
    def ask(gateways, query, client=OPERATOR, **limits):
        endpoint = GatewayHealthEndpoint(gateways, Clock(), HealthConfig(**limits))
        app = make_app(folder, endpoint)
        status, body = asyncio.run(call(app, "/v1/health", query, client))
        return status, json.loads(body)

    return ask


def test_verdicts_with_what_they_rest_on(ask):
    status, answer = ask(Told(), "devices=gw-1,gw-2")
    assert status == 200
    assert answer["verdict"] == "healthy"
    assert answer["as_of"] == "2026-11-24T10:52:03.667Z"
    assert answer["ledger_from"] == "2026-11-23T10:52:03.667Z"
    assert answer["since"] is None
    assert [device["device_id"] for device in answer["devices"]] == ["gw-1", "gw-2"]
    assert answer["devices"][0] == {
        "device_id": "gw-1",
        "verdict": "healthy",
        "reasons": [],
        "last_received_at": "2026-11-24T10:52:02.667Z",
        "last_reading_received_at": "2026-11-24T10:52:02.667Z",
        "last_status_received_at": None,
        "status": None,
        "models": [],
        "unexplained": 0,
        "doubled": 0,
        "set_aside_blocks": 0,
    }


def test_the_worst_verdict_is_that_of_all(ask):
    assert ask(Told(heard_at=None), "devices=gw-1")[1]["verdict"] == "unknown"
    assert ask(Told(heard_at=1), "devices=gw-1")[1]["verdict"] == "unhealthy"


@pytest.mark.parametrize(
    "since", [str(AT), "2026-11-24T10:52:02.667Z", "2026-11-24T12:52:02.667%2B02:00"]
)
def test_an_instant_in_each_form(ask, since):
    gateways = Told()
    status, answer = ask(gateways, f"devices=gw-1&since={since}")
    assert status == 200
    assert gateways.asked[0][1].since == AT
    assert answer["since"] == "2026-11-24T10:52:02.667Z"
    assert answer["verdict"] == "unhealthy"


def test_a_name_that_is_asked_for_twice_is_answered_once(ask):
    assert len(ask(Told(), "devices=gw-1,gw-1")[1]["devices"]) == 1


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "devices: '' is not a device id"),
        ("devices=", "devices: '' is not a device id"),
        ("devices=gw-1,", "is not a device id"),
        ("devices=GW-1", "'GW-1' is not a device id"),
        ("devices=gw%201", "is not a device id"),
        (f"devices={'g' * 64}", "is not a device id"),
        ("devices=gw-1%0a", "is not a device id"),
        (f"devices={','.join(f'gw-{n}' for n in range(MAX_DEVICES + 1))}", "send at most 500"),
        ("devices=gw-1&since=", "since: "),
        ("devices=gw-1&since=yesterday", "since: 'yesterday' is not an instant"),
        ("devices=gw-1&since=2026-11-24T10:52:02", "has no offset"),
        ("devices=gw-1&since=2026-11-24T12:52:02+02:00", "write + as %2B"),
        ("devices=gw-1&since=-1", "since: "),
        ("devices=gw-1&since=" + "9" * 30, "since: "),
        ("devices=gw-1&from=1", "from is not a parameter: use devices and since"),
    ],
)
def test_a_question_that_is_none_is_refused_with_what_was_expected(ask, query, said):
    gateways = Told()
    status, answer = ask(gateways, query)
    assert (status, answer["status"]) == (400, "failed")
    assert said in answer["reason"]
    assert gateways.asked == []


def test_as_many_as_may_be_asked_for_fit_into_an_address(ask):
    names = ",".join(f"gw-{n:060d}" for n in range(MAX_DEVICES))
    assert len(ask(Told(), f"devices={names}")[1]["devices"]) == MAX_DEVICES


@pytest.mark.parametrize("error", [WarehouseError("MySQL: gone"), SchemaOutdated("old: migrate")])
def test_a_warehouse_that_is_away_is_503_with_the_reason(ask, error):
    status, answer = ask(Told(error=error), "devices=gw-1")
    assert (status, answer) == (503, {"status": "failed", "reason": str(error)})


@pytest.mark.parametrize("query", ["devices=gw-1", "devices=gw-1,gw-1"])
def test_a_device_reads_its_own_health(ask, query):
    assert ask(Told(), query, Client(ClientKind.DEVICE, "gw-1"))[0] == 200


@pytest.mark.parametrize(
    ("client", "query", "said"),
    [
        (Client(ClientKind.DEVICE, "gw-1"), "devices=gw-2", "may read the health of gw-1 only"),
        (Client(ClientKind.DEVICE, "gw-1"), "devices=gw-1,gw-2", "Use a service's certificate"),
        (Client(ClientKind.BUNDLES_TOKEN), "devices=gw-1", "this token may read bundles only"),
    ],
)
def test_others_health_is_refused_with_what_would_do(ask, client, query, said):
    gateways = Told()
    status, answer = ask(gateways, query, client)
    assert (status, answer["status"]) == (403, "failed")
    assert said in answer["reason"]
    assert "[api] token_file" in answer["reason"]
    assert gateways.asked == []


def test_without_a_warehouse_it_says_so(ask):
    status, answer = ask(None, "devices=gw-1")
    assert (status, answer["reason"]) == (
        503,
        "section [warehouse] is missing in the API's configuration",
    )


def test_a_warehouse_that_hangs_holds_up_no_bundle(folder):
    """Fifty questions hang; a bundle comes at once all the same, and the questions end with 503."""
    gate = threading.Event()
    endpoint = GatewayHealthEndpoint(Told(gate=gate), Clock(), HealthConfig(answer_s=5.0))
    app = make_app(folder, endpoint)

    async def all_at_once():
        questions = [
            asyncio.create_task(call(app, "/v1/health", "devices=gw-1")) for _ in range(50)
        ]
        await asyncio.sleep(0.2)
        began_s = time.monotonic()
        status, _ = await call(app, f"/bundles/{'b' * 64}.dwb")
        lasted_s = time.monotonic() - began_s
        answers = await asyncio.gather(*questions)
        gate.set()
        return status, lasted_s, {status for status, _ in answers}

    status, lasted_s, answers = asyncio.run(all_at_once())
    assert (status, answers) == (404, {503})
    assert lasted_s < 3  # the questions hang for 5 s


# --- as a process --------------------------------------------------------------------------------


@contextmanager
def serving(tmp_path, folder, warehouse, answer_s):
    config = tmp_path / "cloud.toml"
    config.write_text(
        f'[registry]\nfolder = "{folder}"\n[api]\nport = 0\ntoken_file = "{tmp_path}/token"\n'
        f"[health]\nanswer_s = {answer_s}\n{warehouse}"
    )
    (tmp_path / "token").write_text(TOKEN)
    words = [sys.executable, "-m", "cloud.cli", "--config", str(config), "api", "serve"]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        port = int(child.stdout.readline().split()[1])

        def ask(path):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
            connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            return answer.status, body

        yield ask
    finally:
        child.kill()
        child.communicate()


@pytest.mark.services
def test_the_process_knows_the_warehouse(tmp_path, folder, warehouse, database, gateway):
    LedgerProjection(warehouse).apply(
        [gateway.file(gateway.start("a"), gateway.readings("a", 2, 9))]
    )
    url = make_url(database.url)
    (tmp_path / "password").write_text(f"{url.password}\n")
    section = (
        f'[warehouse]\nhost = "{url.host}"\nport = {url.port}\nuser = "{url.username}"\n'
        f'database = "{url.database}"\npassword_file = "{tmp_path}/password"\n'
    )
    with serving(tmp_path, folder, section, answer_s=10) as ask:
        since = shown_instant(gateway.at - 1)
        status, body = ask(f"/v1/health?devices=ewr-01&since={since}")
        answer = json.loads(body)
    assert (status, answer["verdict"]) == (200, "healthy"), answer
    assert answer["devices"][0]["last_received_at"] == shown_instant(gateway.at)


@pytest.mark.parametrize("how", ["dead", "hanging"])
def test_bundles_are_handed_out_while_mysql_is_away(tmp_path, folder, how):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = 1 if how == "dead" else silent.getsockname()[1]
        section = f"[warehouse]\nport = {port}\n"
        with serving(tmp_path, folder, section, answer_s=0.5) as ask:
            for _ in range(6):  # more than there are threads for it
                began_s = time.monotonic()
                status, body = ask("/v1/health?devices=gw-1")
                assert (status, json.loads(body)["status"]) == (503, "failed")
                assert time.monotonic() - began_s < 8  # the driver's own limit is 10 s
                assert ask(f"/bundles/{SHA256}.dwb") == (200, BUNDLE)
            assert ask("/health")[0] == 200
