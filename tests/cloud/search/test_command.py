"""The verbs on a real lake and a real server. Nothing is refused, so no MySQL is needed."""

import argparse
import json
import secrets

import pytest

from cloud.commands.search import register
from cloud.config import CloudConfig, LakeConfig, Period, SearchConfig, WarehouseConfig
from cloud.lake.landing import LandingWriter
from cloud.lake.store import FolderStore
from cloud.search.bulk import Document
from cloud.search.client import SearchClient
from contract.blocks import Block, TimedEvent
from contract.errors import ConfigError
from contract.records import Held, Kind
from contract.topics import Lane
from tests.builders import landed, temperatures

STREAM = "aaaaaaaaaaaaa"
UTC_AT = 1_372_895_999_000  # 2013-07-03T23:59:59Z
VERBS = ("setup", "run", "follow", "verify", "rebuild")


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


@pytest.mark.parametrize("verb", ["setup", "verify", "rebuild"])
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

    assert run(config, "run") == 0  # the cursor is past it: nothing comes back by itself
    assert run(config, "verify") == 1
    assert run(config, "rebuild") == 0
    assert run(config, "run") == 0
    assert run(config, "verify") == 0
    client.close()
