"""What the warehouse knows of gateways, read from a real one, also where there is a lot of it."""

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from sqlalchemy import insert, text

from cloud.columns import COLUMNS, row
from cloud.health.gateways import GatewayReader
from cloud.health.verdict import Asked, Verdict
from cloud.projections.ledger import LedgerProjection
from cloud.projections.quarantine import Quarantine, QuarantineProjection
from cloud.rollout import DesiredStates
from cloud.warehouse.tables import FACTS
from contract.blocks import entries, kind_of
from contract.desired import DesiredBundle
from contract.keys import import_stream_id
from contract.records import Kind, ModelReport, Phase, Status
from contract.wire import decode

pytestmark = pytest.mark.services

BUNDLE = DesiredBundle(
    condition_id="damp", model="m-damp", version="2", counter=2, sha256="a" * 64, size_bytes=9
)


@pytest.fixture
def arrive(warehouse):
    """Files come: the ledger has them at once, the transform's tables too if told so."""

    def take(*files, transformed=True):
        LedgerProjection(warehouse).apply(files)
        if not transformed:
            return
        with warehouse.begin() as connection:
            for file in files:
                for landed in file.blocks:
                    for entry in entries(decode(landed.payload)):
                        write(connection, landed, entry)

    def write(connection, landed, entry):
        kind = kind_of(entry.record)
        if kind in (Kind.STATUS, Kind.MODEL_REPORT):
            cells = row(landed.device_id, landed.stream_id, landed.received_at, entry)
            names = [column.name for column in COLUMNS[kind]]
            connection.execute(insert(FACTS[kind]), [dict(zip(names, cells, strict=True))])

    return take


@pytest.fixture
def ask(warehouse, gateway):
    def ask(*devices, since=None, ledger_from=0):
        asked = Asked(now=gateway.at + 1000, silent_s=1800, ledger_from=ledger_from, since=since)
        return GatewayReader(warehouse).read(devices, asked)

    return ask


def test_a_gateway_nobody_has_heard(ask):
    (health,) = ask("nobody")
    assert health.verdict is Verdict.UNKNOWN
    assert health.known.device_id == "nobody"


def test_what_came_when(ask, arrive, gateway):
    started = gateway.file(gateway.start("a"))
    status = Status(phase=Phase.RUNNING, version="1.2", samples_total=9, queued_blocks=4)
    told = gateway.file(gateway.events("a", 2, status))
    read = gateway.file(gateway.readings("a", 3, 9))
    arrive(started, told, read)
    (health,) = ask("ewr-01")
    known = health.known
    assert (health.verdict, health.reasons) == (Verdict.HEALTHY, ())
    assert known.heard_at == known.reading_at == read.blocks[0].received_at
    assert known.status_at == told.blocks[0].received_at
    figures = known.figures
    assert (figures.version, figures.phase, figures.queued_blocks) == ("1.2", "running", 4)
    assert figures.received_at == told.blocks[0].received_at


def test_the_newest_stream_counts_and_an_older_one_where_it_says_nothing(ask, arrive, gateway):
    old = gateway.file(gateway.start("z"), gateway.readings("z", 2, 9))
    new = gateway.file(gateway.start("a", "z", 9))
    arrive(old, new)
    (health,) = ask("ewr-01")
    assert health.known.heard_at == new.blocks[0].received_at
    assert health.known.reading_at == old.blocks[0].received_at
    assert health.known.figures.phase == "start"


def test_since_an_instant(ask, arrive, gateway):
    old = gateway.file(gateway.start("a"), gateway.readings("a", 2, 9))
    arrive(old)
    at = old.blocks[0].received_at
    assert ask("ewr-01", since=at - 1)[0].verdict is Verdict.HEALTHY
    assert ask("ewr-01", since=at)[0].verdict is Verdict.UNHEALTHY


def test_figures_that_the_transform_has_not_written_are_not_made_up(ask, arrive, gateway):
    arrive(gateway.file(gateway.start("a")), transformed=False)
    (health,) = ask("ewr-01")
    assert health.known.figures is None
    assert health.known.status_at is not None


def test_the_ledger_is_that_of_the_device(ask, arrive, gateway, new_gateway):
    other = new_gateway("jfk-01")
    arrive(
        gateway.file(gateway.start("a")),
        other.file(other.start("b"), other.readings("b", 4, 5)),
    )
    first, second = ask("ewr-01", "jfk-01")
    assert (first.known.unexplained, second.known.unexplained) == (0, 2)
    assert second.reasons == ("2 numbers are unexplained",)
    assert ask("jfk-01", ledger_from=other.at + 1)[0].known.unexplained == 0


def test_a_clock_40_years_ahead_is_no_health(ask, arrive, gateway, warehouse):
    """It counts as long as a gap does; a rollout asks about what came since its own begin."""
    ahead = replace(gateway.readings("a", 2, 9), utc_at=3_057_268_695_000)  # 2066
    wrong = gateway.file(gateway.start("a"), ahead)
    right = gateway.file(gateway.readings("a", 10, 19))
    arrive(wrong, right)
    assert ask("ewr-01")[0].verdict is Verdict.HEALTHY
    clock = SimpleNamespace(utc_ms=lambda: gateway.at)
    QuarantineProjection(Quarantine(warehouse, clock)).apply([wrong, right])
    (health,) = ask("ewr-01")
    assert health.verdict is Verdict.UNHEALTHY
    (reason,) = health.reasons
    assert "1 block has records set aside: implausible_time: 8 records" in reason
    assert "time 2066-11-18T" in reason
    at = wrong.blocks[0].received_at
    assert ask("ewr-01", since=at + 1)[0].verdict is Verdict.HEALTHY
    assert ask("ewr-01", ledger_from=at + 1)[0].verdict is Verdict.HEALTHY
    assert ask("jfk-01")[0].verdict is Verdict.UNKNOWN


def test_an_import_says_nothing_about_a_gateway(ask, arrive, gateway):
    """A device with history only is unknown, and history does not hide a gateway's silence."""
    stream_id = import_stream_id(b"a file's digest")
    arrive(gateway.file(replace(gateway.readings("a", 1, 9), stream_id=stream_id)))
    assert ask("ewr-01")[0].verdict is Verdict.UNKNOWN
    started = gateway.file(gateway.start("a"))
    arrive(started, gateway.file(replace(gateway.readings("a", 10, 19), stream_id=stream_id)))
    assert ask("ewr-01")[0].known.heard_at == started.blocks[0].received_at


def test_models_against_what_is_desired(ask, arrive, gateway, warehouse, bundles):
    states = DesiredStates(warehouse)
    states.write({"ewr-01": (BUNDLE,)}, bundles.signer.sign, gateway.at)
    arrive(gateway.file(gateway.start("a")))
    (health,) = ask("ewr-01")
    (model,) = health.known.models
    assert (model.condition_id, model.version, model.reported) == ("damp", "2", None)
    assert health.verdict is Verdict.HEALTHY
    refused = ModelReport(model="m-damp", version="2", outcome="refused", reason="bad size")
    arrive(gateway.file(gateway.events("a", 2, refused)))
    assert ask("ewr-01")[0].reasons == ("damp: m-damp 2 refused: bad size",)
    older = ModelReport(model="m-damp", version="1", outcome="failed")
    taken = ModelReport(model="m-damp", version="2", outcome="active")
    arrive(gateway.file(gateway.events("a", 3, taken, older)))
    (health,) = ask("ewr-01")
    assert (health.verdict, health.known.models[0].reported) == (Verdict.HEALTHY, "active")


def test_a_long_history_is_not_read(ask, arrive, gateway, warehouse):
    """400,000 deliveries of one stream: what is asked for is at its end."""
    arrive(gateway.file(gateway.start("a")))
    with warehouse.begin() as connection:
        connection.execute(text(_MANY), {"count": 400_000})
    arrive(gateway.file(gateway.readings("a", 400_002, 400_009)))
    at = gateway.at - 86_400_000
    began_s = time.monotonic()
    (health,) = ask("ewr-01", ledger_from=at)
    lasted_s = time.monotonic() - began_s
    assert health.verdict is Verdict.HEALTHY
    assert lasted_s < 5, "a gate asks every few seconds"


# one block a number, each received a second after the one before, the last two days ago
_MANY = """
INSERT INTO ledger_delivery (device_id, stream_id, first_seq, last_seq, received_at, node, start_id,
    lane, n, digest, payload_bytes, reading_total, prediction_total, alert_total, status_total,
    model_report_total, loss_total, clock_fix_total, held_total)
WITH digit AS (SELECT 0 AS n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4
    UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)
SELECT 'ewr-01', 'aaaaaaaaaaaaa', seq, seq, '2012-12-20' + INTERVAL seq SECOND, 'node-1',
    '1356998400000-0000abcd', 'live', seq, 'd', 80, 1, 0, 0, 0, 0, 0, 0, 0
FROM (SELECT 2 + a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n + 100000 * f.n AS seq
      FROM digit a, digit b, digit c, digit d, digit e, digit f) numbers
WHERE seq <= 400001
"""
