"""A day of a demo gateway's payloads, exported from the lake, read by a decoder in Node.

The decoder was written from `docs/contract.md` alone (`tests/contract/foreign/`).
"""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from cloud.ingest.blocks import landed_block
from cloud.lake.landing import LandingWriter, start_id
from cloud.lake.store import FolderStore
from contract.blocks import entries, kind_of
from contract.topics import Lane, up_topic
from contract.typed import plain
from contract.wire import decode
from deploy.local.fleet import SITES, Gateway
from deploy.local.model_side import make_key
from deploy.local.weather import write_recordings
from edge.storage.outbox import Outbox

CHECK = Path(__file__).parents[1] / "contract" / "foreign" / "check.mjs"
NOW_MS = 1_795_000_000_000
DAY_MS = 86_400_000
MONTH_MS = 31 * DAY_MS


def test_node_reads_a_day_of_the_export_to_the_same_values(tmp_path, certificates, wait_until):
    node = shutil.which("node")
    assert node is not None, "node is not installed: `make setup` brings it"
    payloads = _month_of_payloads(tmp_path, certificates.device("ewr"), wait_until)
    writer = LandingWriter(FolderStore(tmp_path / "lake"), "node-1", start_id(NOW_MS))
    topic = up_topic("ewr", Lane.LIVE)
    writer.commit(Lane.LIVE, [landed_block(topic, "ewr", p, NOW_MS) for p in payloads])
    (tmp_path / "cloud.toml").write_text(f'[lake]\nroot = "{tmp_path}/lake"\n')
    day = datetime.fromtimestamp(_busiest_day(payloads) / 1000, tz=UTC).date()
    words = ["lake", "export", "--device", "ewr", "--day", str(day), "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "cloud.cli", "--config", str(tmp_path / "cloud.toml"), *words]
    subprocess.run(command, check=True, capture_output=True)

    index = (tmp_path / "out" / "index.ndjson").read_text().splitlines()
    files = [json.loads(line)["file"] for line in index]
    exported = [(tmp_path / "out" / name).read_bytes() for name in files]
    assert set(exported) <= set(payloads)  # as they came
    expected = [line for payload in exported for line in _lines(payload)]
    kinds = {line["kind"] for line in expected}
    assert {"reading", "alert", "status"} <= kinds
    assert sum(line["kind"] == "reading" for line in expected) >= 24 * 3 - 3
    (tmp_path / "expected.ndjson").write_text("\n".join(json.dumps(e) for e in expected) + "\n")
    done = subprocess.run(
        [node, str(CHECK), "export", str(tmp_path / "out"), str(tmp_path / "expected.ndjson")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _month_of_payloads(folder, certificate, wait_until) -> list[bytes]:
    """What a gateway with the recording of Newark committed in a month; no broker there."""
    make_key(folder)
    _, first_ms, _ = write_recordings(folder, NOW_MS)
    gateway = Gateway(SITES[0], folder / "ewr", folder / "ewr.csv", certificate, (1, 1), first_ms)
    config = gateway.config_path
    config.write_text(config.read_text().replace("drain_s = 30.0", "drain_s = 0.1"))
    gateway.start(first_ms + MONTH_MS)
    try:
        wait_until(lambda: gateway.is_waiting(first_ms + MONTH_MS), 60)
        gateway.stop()
        gateway.wait_stopped(30)
    finally:
        gateway.kill()
    outbox = Outbox(folder / "ewr" / "outbox.db", durable=False)
    blocks = [*outbox.alerts(0, 2**62), *outbox.ordinary(0, 2**62, 2**62)]
    outbox.close()
    return [block.payload for block in blocks]


def _busiest_day(payloads) -> int:
    """Begin of the UTC day with most blocks, ms since 1970."""
    days = [decode(p).utc_at // DAY_MS for p in payloads]
    return max(set(days), key=days.count) * DAY_MS


def _lines(payload):
    block = decode(payload)
    for entry in entries(block):
        yield {
            "device": "ewr",
            "stream": block.stream_id,
            "seq": entry.seq,
            "offset_ms": entry.offset_ms,
            "observed_at": entry.observed_at,
            "kind": kind_of(entry.record).value,
            "record": plain(entry.record),
        }
