"""Garbage on a gateway's topic: quarantine, an ack, and the gateway is not stuck."""

import json
import zlib

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from contract.acks import decode_ack
from contract.keys import payload_digest
from contract.topics import Lane, ack_topic, up_topic
from contract.wire import MAX_PAYLOAD_BYTES, dictionary

pytestmark = [pytest.mark.broker, pytest.mark.services]


def _payload(document: dict) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=dictionary(1))
    return b"\x01" + deflate.compress(json.dumps(document).encode()) + deflate.flush()


NEWER = {"schema": 2, "clock": "synced", "stream": "aaaaaaaaaaaaa", "first": 1, "at": [0, 1]}
HOSTILE = {
    "garbage": b"\xff\x00 not a block at all",
    "empty": b"",
    "almost too large": b"\x01" + b"\x55" * (MAX_PAYLOAD_BYTES - 1),
    "newer schema": _payload(NEWER),
    "trailing bytes": b"\x01" + zlib.compressobj(9, zlib.DEFLATED, -15).flush() + b"trailing",
}


def test_hostile_messages_are_kept_acked_and_harm_nobody(small_site, wait_until):
    cloud = small_site.cloud
    cloud.start("ingest", "run")
    cloud.start("quarantine", "follow")
    cloud.start("ledger", "follow")
    gateway = small_site.gateway("gw-1")
    gateway.start()
    wait_until(small_site.lake_keys, 30, "first blocks in the lake")
    gateway.kill()  # its name is needed: nobody else may write on its topic

    acked: set[str] = set()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="gw-1", protocol=paho.MQTTv5)
    files = small_site.certificates["gw-1"]
    client.tls_set(str(files.ca), str(files.certificate), str(files.key))
    client.on_message = lambda _c, _u, message: acked.update(decode_ack(message.payload).digests)
    client.connect("127.0.0.1", small_site.stack.mosquitto.devices_port)
    client.loop_start()
    client.subscribe(ack_topic("gw-1"), qos=1)
    for payload in HOSTILE.values():
        client.publish(up_topic("gw-1", Lane.LIVE), payload, qos=1).wait_for_publish(10)
    wanted = {payload_digest(payload) for payload in HOSTILE.values()}
    wait_until(lambda: wanted <= acked, 30, "an ack by digest for each")
    client.disconnect()
    client.loop_stop()

    gateway.start()
    before = gateway.committed.records
    wait_until(lambda: gateway.committed.records > before + 100, 30, "the gateway goes on")
    gateway.stop()
    cloud.wait_projected(("quarantine", "ledger"), 60)
    rows = json.loads(cloud.call("quarantine", "show", "--json"))["newest"]
    found = {row["digest"]: row["code"] for row in rows}
    assert wanted == set(found)
    assert found[payload_digest(HOSTILE["newer schema"])] == "bad_schema"
    assert found[payload_digest(HOSTILE["empty"])] == "empty"
    totals = small_site.ledger()["totals"]
    assert (totals["unexplained"], totals["doubled"], totals["lost"]) == (0, 0, 0)
