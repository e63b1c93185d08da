"""The composition root: a whole gateway on virtual time."""

import fcntl
import json
import os
import sqlite3
import threading
import time

import pytest

from contract.blocks import entries
from contract.records import Alert, AlertState, Loss, LossReason, Reading, Receipt
from edge.clock import VirtualClock
from edge.configuration.config import parse_config
from edge.errors import OutboxCorrupt, OutboxError
from edge.gateway import Trace, run

HOUR_MS = 3_600_000
CONDITION = {
    "id": "damp",
    "signal": "hall/humidity",
    "comparison": "above",
    "limit": 70.0,
    "step_s": 3600,
    "max_age_s": 7200,
}


@pytest.fixture
def table(tmp_path):
    return {
        "device_id": "gw-1",
        "outbox": {"path": str(tmp_path / "outbox.db")},
        "board": {"kind": "simulated"},
        "clock": {"floor": "2013-01-01T00:00:00Z"},
        "commit": {"rhythm_s": 86_400, "records": 80, "status_s": 86_400},
        "alert_output": {"pin": 17},
        "sensor": [
            {"id": "roof", "driver": "bme280", "interval_s": 3600},
            {"id": "hall", "driver": "sht4x", "interval_s": 3600},
            {"id": "cellar", "driver": "dht22", "interval_s": 3600, "options": {"pin": 4}},
        ],
        "condition": [CONDITION],
    }


def hours(new_year, count):
    return VirtualClock(new_year, new_year + count * HOUR_MS, lambda _mark: None)


def test_two_days_of_made_weather(table, new_year, blocks_in, tmp_path):
    """The made day is dampest at 03:00 and driest at 15:00 UTC: above 70 % from 22:00 to 08:00."""
    reader, writer = os.pipe()
    run(parse_config(table, "x"), hours(new_year, 48), Trace(writer))
    os.close(writer)
    with os.fdopen(reader) as lines:
        told = [json.loads(line) for line in lines]
    blocks = blocks_in(tmp_path / "outbox.db")
    assert [(t["first"], t["last"]) for t in told] == [(b.first, b.last) for b in blocks]
    assert {t["stream"] for t in told} == {b.stream_id for b in blocks}
    found = [e for b in blocks for e in entries(b)]
    assert [e.seq for e in found] == list(range(1, len(found) + 1))
    totals = {}
    for line in told:
        for kind, total in line["kinds"].items():
            totals[kind] = totals.get(kind, 0) + total
    # 49 hours, the one of the mark itself included; 7 quantities
    assert totals == {"status": 2 + 2, "reading": 49 * 7, "alert": 5, "held": 1}
    alerts = [e for e in found if isinstance(e.record, Alert)]
    assert [(e.record.state, (e.observed_at - new_year) // HOUR_MS) for e in alerts] == [
        (AlertState.RAISED, 0),
        (AlertState.CLEARED, 8),
        (AlertState.RAISED, 23),
        (AlertState.CLEARED, 32),
        (AlertState.RAISED, 47),
    ]
    assert alerts[0].record.receipts == (
        Receipt(output_id="log", delivered=True),
        Receipt(output_id="led", delivered=True),
    )
    readings = [e.record for e in found if isinstance(e.record, Reading)]
    assert {r.quality.value for r in readings} == {"good"}


def test_a_second_run_goes_on_where_the_first_one_stopped(table, new_year, blocks_in, tmp_path):
    config = parse_config(table, "x")
    run(config, hours(new_year, 5))
    run(config, hours(new_year + 6 * HOUR_MS, 5))
    found = [e.record for b in blocks_in(tmp_path / "outbox.db") for e in entries(b)]
    assert [r.state for r in found if isinstance(r, Alert)] == [
        AlertState.RAISED,
        AlertState.CLEARED,
    ]
    assert not [r for r in found if isinstance(r, Loss)]


def test_an_observer_that_goes_away_does_not_stop_the_gateway(
    table, new_year, blocks_in, tmp_path, caplog
):
    reader, writer = os.pipe()
    os.close(reader)
    run(parse_config(table, "x"), hours(new_year, 24), Trace(writer))
    os.close(writer)
    assert len(blocks_in(tmp_path / "outbox.db")) > 2
    assert len([r for r in caplog.records if "trace: file descriptor" in r.getMessage()]) == 1


def test_a_slow_observer_gets_every_byte(table, new_year):
    """The pipe holds a page, far less than what is written to it."""
    reader, writer = os.pipe()
    size_bytes = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    got = []

    def read():
        while chunk := os.read(reader, 1000):
            got.append(chunk)

    thread = threading.Thread(target=read)
    thread.start()
    run(
        parse_config({**table, "commit": {"rhythm_s": 1}}, "x"),
        hours(new_year, 200),
        Trace(writer),
    )
    os.close(writer)
    thread.join(20)
    os.close(reader)
    lines = b"".join(got).decode().splitlines()
    assert len(b"".join(got)) > 3 * size_bytes
    assert [json.loads(a)["last"] + 1 for a in lines[:-1]] == [
        json.loads(b)["first"] for b in lines[1:]
    ]


def test_without_a_broker_it_measures_and_ends_in_time(table, new_year, blocks_in, tmp_path):
    table["uplink"] = {"host": "127.0.0.1", "port": 1, "drain_s": 0.3, "retry_max_s": 0.1}
    began_s = time.monotonic()
    run(parse_config(table, "x"), hours(new_year, 24))
    assert time.monotonic() - began_s < 9  # 10 s and more if nobody says
    assert not [t for t in threading.enumerate() if t.name == "send"]
    assert len(blocks_in(tmp_path / "outbox.db")) > 2


def damaging(path, times):
    """A gate that overwrites the outbox at the first marks, then lets three hours pass."""
    left = [times]

    def damage(mark_ms):
        if not left[0]:
            return None
        left[0] -= 1
        db = sqlite3.connect(path)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        with path.open("r+b") as file:
            file.write(b"no longer a database" * 400)
        return mark_ms + 3 * HOUR_MS

    return damage


def test_a_file_damaged_while_it_runs_is_replaced_in_the_same_process(
    table, new_year, records_in, tmp_path
):
    path = tmp_path / "outbox.db"
    table["commit"] = {"rhythm_s": 1, "status_s": 3600}
    clock = VirtualClock(new_year, new_year + 3 * HOUR_MS, damaging(path, 1))
    run(parse_config(table, "x"), clock)
    assert [p for p in tmp_path.iterdir() if ".corrupt." in p.name]
    found = records_in(path)  # all blocks were readable
    last = [e.record.previous_last for e in found if getattr(e.record, "previous_last", None)]
    assert [e.seq for e in found if e.seq == 1] == [1, 1]  # both streams from their first number
    assert len(found) > last[0] > 1
    losses = [entry.record for entry in records_in(path, Loss)]
    assert [loss.reason for loss in losses] == [LossReason.UNCLEAN_STOP]


def test_a_file_damaged_again_and_again_ends_the_process(table, new_year, tmp_path):
    table["commit"] = {"rhythm_s": 1, "status_s": 3600}
    clock = VirtualClock(new_year, new_year + 3 * HOUR_MS, damaging(tmp_path / "outbox.db", 9))
    with pytest.raises(OutboxCorrupt):
        run(parse_config(table, "x"), clock)


def test_an_outbox_in_no_folder(table, new_year, tmp_path):
    table["outbox"] = {"path": str(tmp_path / "nowhere" / "outbox.db")}
    with pytest.raises(OutboxError, match="unable to open"):
        run(parse_config(table, "x"), hours(new_year, 1))
