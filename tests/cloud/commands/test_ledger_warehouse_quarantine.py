"""The verbs of ledger, warehouse and quarantine, from a lake on disk to what is printed."""

import argparse
import base64
import hashlib
import json
import os
import signal
import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import insert, make_url

from cloud.commands import ledger, quarantine, warehouse
from cloud.config import CloudConfig, LakeConfig, WarehouseConfig
from cloud.errors import SchemaOutdated
from cloud.lake.landing import LandingWriter
from cloud.lake.store import FolderStore
from cloud.projections import quarantine_limit
from cloud.warehouse.ledger_tables import QUARANTINE
from contract.topics import Lane
from contract.wire import encode

pytestmark = pytest.mark.services


@pytest.fixture
def config(database, tmp_path):
    url = make_url(database.url)
    secret = tmp_path / "password"
    secret.write_text(f"{url.password or ''}\n")
    (tmp_path / "lake").mkdir()
    return CloudConfig(
        source="cloud.toml",
        lake=LakeConfig(root=str(tmp_path / "lake")),
        warehouse=WarehouseConfig(
            host=url.host,
            port=url.port,
            user=url.username,
            password_file=str(secret),
            database=url.database,
        ),
    )


@pytest.fixture
def land(config):
    writer = LandingWriter(FolderStore(config.lake.folder), "node-1", "1356998400000-0000abcd")

    def write(file):
        writer.commit(Lane.LIVE, file.blocks)

    return write


@pytest.fixture
def cloud(config, capsys):
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    for module in (ledger, warehouse, quarantine):
        module.register(subparsers)

    def call(line):
        args = parser.parse_args(line.split())
        code = args.run(args, config)
        return code, capsys.readouterr().out

    return call


@pytest.mark.usefixtures("empty")
def test_migrate_check_and_show(cloud):
    with pytest.raises(SchemaOutdated, match="warehouse migrate"):
        cloud("warehouse check")
    assert "it was None" in cloud("warehouse migrate")[1]
    assert "unchanged" in cloud("warehouse migrate")[1]
    assert cloud("warehouse check")[0] == 0
    assert json.loads(cloud("warehouse show --json")[1])["rows"]["reading"] == 0
    assert "reading" in cloud("warehouse show")[1]


@pytest.mark.usefixtures("warehouse")
def test_a_sound_ledger_is_proven_and_the_proof_can_be_checked_by_hand(cloud, gateway, land):
    land(gateway.file(gateway.start("a"), gateway.readings("a", 2, 81)))
    assert cloud("ledger run") == (0, "ledger: 1 files applied\n")
    assert cloud("ledger run") == (0, "ledger: 0 files applied\n")
    code, text = cloud("ledger proof")
    assert (code, text.splitlines()[-1]) == (0, "0 unexplained, 0 doubled")
    assert "stored       81: 1-81" in text
    lines = cloud("ledger proof --blocks")[1].splitlines()
    assert lines[0] == f"# ewr-01 {'a' * 13}"
    by_hand = hashlib.sha256("".join(f"{line}\n" for line in lines[1:]).encode()).hexdigest()
    assert by_hand in text


@pytest.mark.usefixtures("warehouse")
def test_a_hole_and_a_conflict_fail_the_proof_and_a_fork_alone_does_not(cloud, gateway, land):
    land(gateway.file(gateway.start("a"), gateway.start("b", "a", 1), gateway.start("c", "a", 0)))
    cloud("ledger run")
    code, text = cloud("ledger proof")
    assert (code, text.splitlines()[-1]) == (0, "0 unexplained, 0 doubled")
    assert text.count("fork: ") == 2
    land(gateway.file(gateway.readings("a", 5, 8), gateway.readings("a", 7, 9, value=1)))
    cloud("ledger run")
    code, text = cloud("ledger proof")
    assert (code, text.splitlines()[-1]) == (1, "3 unexplained, 2 doubled: ewr-01")
    assert "unexplained  3: 2-4" in text


@pytest.mark.usefixtures("warehouse")
def test_show_has_one_line_a_stream_totals_and_what_is_odd(cloud, gateway, land):
    first = gateway.file(gateway.start("a"), gateway.held("a", 9, ("a", 2, 5)))
    land(first)
    land(gateway.file(gateway.readings("a", 2, 3)))
    cloud("ledger run")
    _, text = cloud("ledger show")
    heading, a, total, *rest = text.splitlines()
    assert heading.split()[4:8] == ["stored", "lost", "held", "unexplained"]
    assert a.split()[4:8] == ["4", "0", "2", "3"]
    assert total.split() == ["total", "4", "0", "2", "3", "0", "3", "0"]
    assert rest[0] == f"ewr-01: stream {'a' * 13}: unexplained 6-8"
    assert "the Held record about its backlog was received" in rest[1]
    document = json.loads(cloud("ledger show --json --as-of 2013-01-01T00:01:01Z")[1])
    assert document["totals"]["held"] == 2
    assert document["sound"] is False
    assert "was received 1 min ago" in document["notes"][1]
    early = json.loads(cloud("ledger show --json --as-of 2013-01-01T00:00:01Z")[1])
    assert (early["totals"]["stored"], early["totals"]["held"]) == (2, 4)
    assert early["records_by_kind"] == {"held": 1, "status": 1}


@pytest.mark.parametrize("module", [ledger, quarantine, warehouse])
def test_every_verb_has_help_with_an_example(module):
    noun = module.__name__.rpartition(".")[2]
    nouns = argparse.ArgumentParser(prog="dewline-cloud").add_subparsers()
    module.register(nouns)
    (verbs,) = [a for a in nouns.choices[noun]._actions if isinstance(a.choices, dict)]
    for name, verb in verbs.choices.items():
        assert f"dewline-cloud --config cloud.toml {noun} {name}" in verb.format_help()
        assert verb.description


def test_follow_applies_what_comes_and_ends_on_a_signal(warehouse, cloud, gateway, land):
    def work():
        land(gateway.file(gateway.start("a")))
        until = time.monotonic() + 20
        with warehouse.connect() as connection:
            while time.monotonic() < until:
                found = connection.exec_driver_sql("SELECT COUNT(*) FROM ledger_delivery").scalar()
                connection.rollback()
                if found:
                    break
                time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    before = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
    worker = threading.Thread(target=work)
    try:
        worker.start()
        assert cloud("ledger follow")[0] == 0
    finally:
        worker.join(30)
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)
    assert cloud("ledger proof")[0] == 0


@pytest.mark.usefixtures("warehouse")
def test_the_quarantine_is_shown_exported_and_tried_again(cloud, gateway, land):
    land(gateway.file(gateway.start("a"), payloads=(b"\x09junk", b"")))
    assert cloud("quarantine run")[0] == 0
    _, text = cloud("quarantine show")
    assert ["bad_dictionary", "1"] in [line.split() for line in text.splitlines()]
    shown = json.loads(cloud("quarantine show --json")[1])
    assert shown["totals"] == {"bad_dictionary": 1, "empty": 1}
    exported = [json.loads(line) for line in cloud("quarantine export")[1].splitlines()]
    assert {base64.b64decode(e["payload"]) for e in exported} == {b"\x09junk", b""}
    assert exported[0]["file"] == "node-1/1356998400000-0000abcd/live/1"
    assert cloud("quarantine retry")[1].startswith("0 of 2 blocks")


@pytest.mark.usefixtures("warehouse")
def test_a_device_over_the_limit_is_named_with_its_number(cloud, gateway, land, monkeypatch):
    monkeypatch.setattr(quarantine_limit, "ROWS", 3)
    land(gateway.file(payloads=tuple(b"\x09junk %d" % n for n in range(20))))
    assert cloud("quarantine run")[0] == 0
    _, text = cloud("quarantine show")
    assert ["ewr-01", "17"] in [line.split() for line in text.splitlines()]
    shown = json.loads(cloud("quarantine show --json")[1])
    assert (shown["totals"], shown["without_row"]) == ({"bad_dictionary": 3}, {"ewr-01": 17})
    assert len(cloud("quarantine export")[1].splitlines()) == 3
    assert cloud("quarantine retry")[1].startswith("0 of 3 blocks")


def test_retry_says_what_a_better_decoder_reads(warehouse, cloud, gateway):
    row = {
        "device_id": "ewr-01",
        "digest": "0" * 16,
        "code": "bad_schema",
        "reason": "an older program could not",
        "received_at": 1_356_998_400_000,
        "payload": encode(gateway.readings("a", 1, 8)),
    }
    with warehouse.begin() as connection:
        connection.execute(insert(QUARANTINE), [row])
    _, text = cloud("quarantine retry")
    assert f"ewr-01 {'0' * 16}: {'a' * 13} 1-8" in text
    assert "1 of 1 blocks are accepted now" in text


@pytest.mark.usefixtures("warehouse")
def test_a_wrong_clock_is_named_and_not_accepted_by_retry(cloud, gateway, land):
    wrong = replace(gateway.readings("a", 2, 9), utc_at=3_057_268_695_000)  # 2066
    land(gateway.file(gateway.start("a"), wrong))
    assert cloud("ledger run")[0] == cloud("quarantine run")[0] == 0
    assert cloud("quarantine retry")[1].startswith("0 of 1 blocks")
    code, text = cloud("ledger show")
    note = "ewr-01: records set aside in 1 block, the newest received at 2013-01-01T00:00:01Z: "
    assert (code, note in text) == (0, True)
    assert "8 records set aside, first number 2: time 2066-11-18T" in text
    assert note in json.loads(cloud("ledger show --json")[1])["notes"][0]
    assert "2066" not in cloud("ledger show --as-of 2013-01-01T00:00:00Z")[1]
    assert cloud("ledger proof")[1].splitlines()[-1] == "0 unexplained, 0 doubled"
