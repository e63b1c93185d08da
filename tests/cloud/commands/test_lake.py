"""`lake fold|show|export|verify` on a real lake."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloud.cli import main
from cloud.clock import SystemClock
from cloud.ingest.blocks import landed_block
from cloud.lake.cursors import CursorStore
from cloud.lake.landing import LandingWriter, start_id
from cloud.lake.positions import Cursor
from cloud.lake.store import FolderStore
from contract.blocks import Block
from contract.keys import payload_digest
from contract.topics import Lane, up_topic
from contract.wire import encode
from tests.builders import temperatures

NOON = 1_700_049_600_000  # 2023-11-15T12:00:00Z
DAY_MS = 86_400_000


def payload(first: int, utc_at: int | None) -> bytes:
    return encode(
        Block(
            stream_id="abcdefghijklm",
            first=first,
            offset_ms=0,
            utc_at=utc_at,
            sensors=(temperatures((2000, 2001), (0, 1000)),),
        )
    )


PAYLOADS = {
    ("ewr", 1): payload(1, NOON),
    ("ewr", 3): payload(3, NOON + DAY_MS),
    ("jfk", 1): payload(1, NOON),
    ("jfk", 0): b"cannot be decoded",
}


@pytest.fixture
def lake(tmp_path: Path) -> FolderStore:
    """Four blocks of two gateways in two files."""
    store = FolderStore(tmp_path / "lake")
    writer = LandingWriter(store, "node-1", start_id(NOON))
    for device in ("ewr", "jfk"):
        writer.commit(
            Lane.LIVE,
            [
                landed_block(up_topic(name, Lane.LIVE), name, data, NOON)
                for (name, _), data in PAYLOADS.items()
                if name == device
            ],
        )
    return store


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "cloud.toml"
    path.write_text(f'[lake]\nroot = "{tmp_path}/lake"\n')

    def run(*words: str, status: int = 0):
        assert main(["--config", str(path), "lake", *words]) == status
        return capsys.readouterr().out

    return run


def test_folding_then_showing(lake: FolderStore, run) -> None:
    CursorStore(lake, "search").save(Cursor())
    fold = ("fold", "--as-of", "2023-11-15T12:30:00Z", "--json")
    assert json.loads(run(*fold))["appended_files"] == 2
    assert json.loads(run(*fold, "--compact"))["appended_files"] == 0
    shown = json.loads(run("show", "--json"))
    assert shown["sequences"][0] | {"sequence": ""} == {
        "sequence": "",
        "landed_files": 2,
        "folded": 2,
        "last": 2,
    }
    assert {p["projection"]: p["behind_files"] for p in shown["projections"]} == {
        "raw": 0,
        "search": 2,
    }
    assert "projection search  2 files behind" in run("show")
    assert "the lake is complete" in run("verify")


@pytest.mark.parametrize("folded", [False, True])
def test_export_is_byte_true(lake: FolderStore, tmp_path: Path, run, folded: bool) -> None:
    if folded:
        run("fold", "--as-of", "2023-11-17T00:00:00Z")
        assert lake.list("landing/") == []
    out = tmp_path / "out"
    assert json.loads(run("export", "--out", str(out), "--json")) == {"blocks": 4}
    lines = [json.loads(line) for line in (out / "index.ndjson").read_text().splitlines()]
    found = {(x["device"], x.get("first", 0)): (out / x["file"]).read_bytes() for x in lines}
    assert found == PAYLOADS
    digest = payload_digest(PAYLOADS["jfk", 0])
    assert (out / f"undecodable/jfk-{digest}.bin").is_file()
    assert {x["received_at"] for x in lines} == {NOON}
    run("export", "--out", str(out), status=1)  # not empty


@pytest.mark.usefixtures("lake")
def test_export_filters_by_device_and_by_the_blocks_own_day(tmp_path: Path, run) -> None:
    def exported(*words: str) -> set[tuple[str, int]]:
        out = tmp_path / "out"
        run("export", "--out", str(out), *words)
        lines = [json.loads(line) for line in (out / "index.ndjson").read_text().splitlines()]
        shutil.rmtree(out)
        return {(x["device"], x.get("first", 0)) for x in lines}

    assert exported("--device", "jfk") == {("jfk", 0), ("jfk", 1)}
    assert exported("--day", "2023-11-16") == {("ewr", 3)}
    assert exported("--day", "2023-11-15", "--device", "ewr") == {("ewr", 1)}


def test_verify_finds_holes_and_differences(lake: FolderStore, tmp_path: Path, run) -> None:
    one, _ = lake.list("landing/")
    data = lake.read(one)
    lake.delete(one)
    assert "file 1 is missing" in run("verify", status=1)
    lake.create(one, data)
    run("fold", "--as-of", "2023-11-15T12:00:00Z")
    assert "the lake is complete" in run("verify")
    writer = LandingWriter(lake, "node-1", one.split("/")[3])
    lake.delete(one)
    writer.commit(Lane.LIVE, [landed_block(up_topic("ewr", Lane.LIVE), "ewr", b"x", NOON)])
    assert "file 1 differs" in run("verify", status=1)
    shutil.rmtree(tmp_path / "lake" / "raw")
    assert "the last folded file is 2 in the cursor, 0 in the table's record" in run(
        "verify", status=1
    )


def test_the_fold_follows_until_told(lake: FolderStore, tmp_path: Path) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text(f'[lake]\nroot = "{tmp_path}/lake"\ngrace_s = 0\n')
    words = [sys.executable, "-m", "cloud.cli", "--config", str(path), "lake", "fold", "--follow"]
    child = subprocess.Popen([*words, "--every", "0.05"], stderr=subprocess.PIPE)
    end = time.monotonic() + 20
    while lake.list("landing/"):
        assert time.monotonic() < end
        time.sleep(0.02)
    writer = LandingWriter(lake, "node-1", start_id(SystemClock().utc_ms()))
    writer.commit(Lane.LIVE, [landed_block(up_topic("ewr", Lane.LIVE), "ewr", b"x", NOON)])
    while lake.list("landing/"):
        assert time.monotonic() < end
        time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=20)
    assert child.returncode == 0, errors
