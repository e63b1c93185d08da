"""The verbs on a real lake and a real server. Nothing is refused, so no MySQL is needed."""

import argparse
import json
import secrets
import urllib.request
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from cloud.commands.search import register
from cloud.composition.search import open_retirement
from cloud.config import CloudConfig, LakeConfig, Period, SearchConfig, WarehouseConfig, Writer
from cloud.lake.landing import LandingWriter
from cloud.lake.store import FolderStore
from cloud.search.bulk import Document
from cloud.search.client import SearchClient
from cloud.search.query import EVERYTHING
from contract.blocks import Block, TimedEvent
from contract.errors import ConfigError
from contract.records import ClockFix, Held, Kind
from contract.topics import Lane
from tests.builders import landed, temperatures

STREAM = "aaaaaaaaaaaaa"
UTC_AT = 1_372_895_999_000  # 2013-07-03T23:59:59Z
VERBS = ("setup", "run", "follow", "verify", "repair", "retire", "rebuild")


def parse(*words):
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    return parser.parse_args(["search", *words])


def run(config, *words):
    args = parse(*words)
    return args.run(args, config)


@pytest.mark.parametrize("verb", VERBS)
def test_a_section_that_is_missing_is_named(verb):
    with pytest.raises(ConfigError, match=r"cloud.toml: section \[\w+\] is missing"):
        run(CloudConfig(source="cloud.toml"), verb)


@pytest.mark.parametrize("verb", ["setup", "verify", "repair", "retire", "rebuild"])
def test_own_verbs_have_help_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(verb, "--help")
    assert ended.value.code == 0
    assert f"search {verb}" in capsys.readouterr().out.partition("example:")[2]


@pytest.fixture
def config(elasticsearch, tmp_path):
    return CloudConfig(
        source="cloud.toml",
        lake=LakeConfig(root=str(tmp_path / "lake"), period=Period.MONTH),
        search=SearchConfig(url=elasticsearch.url, prefix=f"t{secrets.token_hex(4)}"),
        warehouse=WarehouseConfig(),
    )


def block(first):
    return Block(
        stream_id=STREAM,
        first=first,
        offset_ms=0,
        utc_at=UTC_AT,
        sensors=(temperatures((2508, 2509), (0, 1000)),),
        events=(TimedEvent(1000, Held()),),
    )


@pytest.mark.services
def test_from_templates_to_proof_and_back(config, capsys):
    lake = FolderStore(config.lake.folder)
    writer = LandingWriter(lake, "node-1", "1372895999000-0123abcd")
    for first in (1, 4, 7):
        writer.commit(Lane.LIVE, [landed(block(first), received_at=UTC_AT)])
    assert run(config, "setup") == 0
    assert run(config, "run") == 0
    assert "search: 3 files applied" in capsys.readouterr().out
    assert run(config, "verify", "--json") == 0
    verified = json.loads(capsys.readouterr().out)
    assert verified["equal"] is True
    assert verified["lake"] == verified["search"]
    assert (verified["search"]["reading"], verified["search"]["held"]) == (6, 3)
    assert set(verified["search"]) == set(Kind)

    client = SearchClient(config.search.url)
    index = f"{config.search.prefix}-reading-2013.07"
    client.bulk_delete([Document(index, f"gw-1:{STREAM}:1", "")])
    assert run(config, "verify") == 1
    shown = capsys.readouterr().out
    assert f"differs: reading of gw-1 stream {STREAM}: 6 keys in the lake, 5 documents" in shown
    assert "`search repair` writes missing documents" in shown

    assert run(config, "run") == 0  # the cursor is past it: nothing comes back by itself
    assert run(config, "verify") == 1
    assert run(config, "rebuild") == 0
    assert run(config, "run") == 0
    assert run(config, "verify") == 0
    client.close()


OTHER = "bbbbbbbbbbbbb"


@pytest.fixture
def filled(config, capsys):
    """Two streams in Elasticsearch, one of them undated first, then dated by its fix."""
    writer = LandingWriter(FolderStore(config.lake.folder), "node-1", "1372895999000-0123abcd")
    undated = replace(block(1), stream_id=OTHER, utc_at=None)
    fix = ClockFix(utc_at=UTC_AT, uncertainty_ms=20)
    dated = replace(block(4), stream_id=OTHER, sensors=(), events=(TimedEvent(2000, fix),))
    waits = replace(block(1), stream_id="c" * 13, utc_at=None)
    for made in (block(1), undated, dated, block(4), waits):
        writer.commit(Lane.LIVE, [landed(made, received_at=UTC_AT)])
    assert run(config, "setup") == 0
    assert run(config, "run") == 0
    assert run(config, "verify") == 0
    capsys.readouterr()
    client = SearchClient(config.search.url)
    yield config, client
    client.close()


def everything(config, client):
    alias = f"{config.search.prefix}-*"
    client.refresh([alias])
    return {(hit.index, hit.id): hit.fields for hit in client.find([alias], EVERYTHING)}


@pytest.mark.services
@pytest.mark.parametrize("writer", Writer)
def test_missing_documents_are_written_again_and_no_others(filled, capsys, writer):
    config, client = filled
    before = everything(config, client)
    lost = [place for place in before if OTHER in place[1]]
    assert lost
    client.bulk_delete([Document(*place, "") for place in lost])
    index, kept = next(place for place in before if STREAM in place[1])
    changed = json.dumps(dict(before[index, kept]) | {"received_at": 1})
    client.bulk_index([Document(index, kept, changed)])  # would change back if it were replaced
    search = replace(config.search, writer=writer, logstash_url="http://127.0.0.1:1")
    config = replace(config, search=search)  # and not through Logstash, which may be down
    assert run(config, "verify") == 1
    capsys.readouterr()
    assert run(config, "repair", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"streams": 1, "missing": []}
    assert run(config, "verify") == 0
    after = everything(config, client)
    assert after.pop((index, kept))["received_at"] == 1
    del before[index, kept]
    assert after == before
    capsys.readouterr()
    assert run(config, "repair") == 0
    assert capsys.readouterr().out == "0 streams written again\n"


@pytest.mark.services
def test_an_index_that_was_deleted_and_a_document_too_many(filled, capsys):
    config, client = filled
    before = everything(config, client)
    readings = f"{config.search.prefix}-reading-2013.07"
    urllib.request.urlopen(
        urllib.request.Request(f"{config.search.url}/{readings}", method="DELETE"), timeout=30
    ).close()
    assert run(config, "repair") == 0
    assert everything(config, client) == before

    index, key = next(place for place in before if STREAM in place[1])
    fields = dict(before[index, key]) | {"seq": 99}
    client.bulk_create([Document(index, f"gw-1:{STREAM}:99", json.dumps(fields))])
    client.bulk_delete([Document(index, key, "")])
    capsys.readouterr()
    assert run(config, "repair") == 0  # as many as before, but not the same
    assert (index, key) in everything(config, client)
    assert run(config, "repair") == 0
    assert "0 streams written again" in capsys.readouterr().out  # nothing is missing
    assert run(config, "verify") == 1


JULY_2013_DAY = date(2013, 7, 3)


def keeping(config, since):
    """The configuration that keeps the month of a day and all later ones."""
    days = (datetime.now(UTC).date() - since).days
    return replace(config, search=replace(config.search, keep_days=days))


def indices(config):
    client = SearchClient(config.search.url)
    found = client.index_names(f"{config.search.prefix}-*")
    client.close()
    return {name.removeprefix(f"{config.search.prefix}-") for name in found}


def commit(config, number, *blocks):
    start = f"1372895999{number:03d}-0123abcd"
    writer = LandingWriter(FolderStore(config.lake.folder), "node-1", start)
    writer.commit(Lane.LIVE, [landed(made, received_at=UTC_AT) for made in blocks])


@pytest.mark.services
def test_old_indices_are_retired_and_late_records_do_not_make_them_again(filled, capsys, caplog):
    config, client = filled
    fixes, all_before = {"clock-fix-2013.01", "reading-unsynced", "held-unsynced"}, indices(config)
    assert {"reading-2013.07", "held-2013.01", *fixes} == all_before
    assert run(keeping(config, JULY_2013_DAY), "retire") == 0
    assert indices(config) == all_before  # July is kept whole

    config = keeping(config, date(2014, 8, 1))
    assert run(config, "retire") == 0
    shown = capsys.readouterr().out.splitlines()
    prefix = f"deleted {config.search.prefix}"
    assert shown == [f"{prefix}-reading-2013.07", f"{prefix}-held-2013.01"]
    assert indices(config) == fixes

    late = replace(block(10), sensors=(temperatures((2508,), (0,)),))
    undated = replace(block(20), stream_id=OTHER, utc_at=None)  # its fix came long ago
    commit(config, 1, late, undated)
    caplog.set_level("INFO")
    assert run(config, "run") == 0
    assert "5 records older than [search] keep_days not written" in caplog.text
    assert indices(config) == fixes
    assert run(config, "verify", "--json") == 0
    verified = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert verified["lake"] == verified["search"]
    assert (verified["lake"]["reading"], verified["lake"]["clock_fix"]) == (2, 1)
    assert run(config, "repair") == 0
    assert run(config, "rebuild") == 0
    assert run(config, "run") == 0
    assert indices(config) == fixes
    assert run(config, "verify") == 0
    del client


@pytest.mark.services
def test_a_fix_that_dates_waiting_records_too_old_deletes_them(config, capsys):
    config = keeping(config, date(2014, 8, 1))
    assert run(config, "setup") == 0
    commit(config, 1, replace(block(1), utc_at=None))
    assert run(config, "run") == 0
    fix = TimedEvent(2000, ClockFix(utc_at=UTC_AT, uncertainty_ms=20))
    commit(config, 2, replace(block(4), sensors=(), events=(fix,)))
    assert run(config, "run") == 0
    assert run(config, "verify") == 0
    client = SearchClient(config.search.url)
    assert {index for index, _ in everything(config, client)} == {
        f"{config.search.prefix}-clock-fix-2013.01"
    }
    client.close()
    capsys.readouterr()


@pytest.mark.services
def test_following_retires_at_its_start(filled):
    config, _ = filled
    daily = open_retirement(keeping(config, date(2014, 8, 1)))
    daily()
    assert "reading-2013.07" not in indices(config)
    assert open_retirement(config) is None


def test_nothing_is_retired_without_the_key(config, capsys):
    assert run(config, "retire") == 0
    assert "keep_days is not set" in capsys.readouterr().out
