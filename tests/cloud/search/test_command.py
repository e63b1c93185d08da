"""The verbs on a real lake and a real server. Nothing is refused, so no MySQL is needed."""

import argparse
import json
import secrets
import urllib.request
from dataclasses import replace

import pytest

from cloud.commands.search import register
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
VERBS = ("setup", "run", "follow", "verify", "repair", "rebuild")


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


@pytest.mark.parametrize("verb", ["setup", "verify", "repair", "rebuild"])
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
