"""Clients of the broker for `proof_hostile`: honest gateways, and devices that attack the others.

    python -m tests.faults.hostile_clients ROLE DEVICE PORT CA CERTIFICATE KEY SECONDS

ROLE is thief, flooder, heavy or poisoner. An attacker has nothing but the valid certificate of its
own device. It connects again whenever the broker disconnects it, until the time is over.
"""

import contextlib
import os
import random
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from contract.acks import decode_ack
from contract.blocks import Block, SensorColumns, Series, TimedEvent
from contract.keys import stream_id
from contract.quantities import Quantity
from contract.records import ClockFix, Phase, Status
from contract.topics import Lane, ack_topic, up_topic
from contract.wire import DICTIONARY_VERSION, dictionary, encode
from deploy.local.certificates import CertificateFiles

ROWS = 8
RESEND_S = 10.0
FLOOD_PER_S = 10_000
YEAR_ONE_MS = -62_135_596_800_000
YEAR_9999_MS = 253_402_300_799_999


def client_of(device: str, port: int, files: CertificateFiles) -> paho.Client:
    """Returns a client that is not connected yet."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=device, protocol=paho.MQTTv5)
    context = ssl.create_default_context(cafile=str(files.ca))
    context.load_cert_chain(files.certificate, files.key)
    client.tls_set_context(context)
    client.max_inflight_messages_set(500)
    client.max_queued_messages_set(2000)
    client.reconnect_delay_set(1, 2)
    client.connect_async("127.0.0.1", port, keepalive=30)
    return client


def readings(first_ms: int, rows: int, seed: random.Random) -> SensorColumns:
    """Temperatures of one sensor, one a second."""
    return SensorColumns(
        sensor_id="air",
        series=(Series(Quantity.TEMPERATURE, 2),),
        offsets_ms=tuple(first_ms + 1000 * n for n in range(rows)),
        columns=(tuple(2000 + seed.randrange(500) for _ in range(rows)),),
    )


@dataclass
class Stream:
    """Makes the blocks of one stream, which begins with a Status of phase start."""

    seed: random.Random
    last: int = 0
    offset_ms: int = 0
    stream: str = field(default="")

    def __post_init__(self) -> None:
        self.stream = stream_id(self.seed.randbytes(8))

    def block(self, utc_at: int | None = None) -> Block:
        """The next block: ROWS readings, and the start in the first."""
        start = () if self.last else (TimedEvent(0, Status(phase=Phase.START, version="0.1.0")),)
        block = Block(
            stream_id=self.stream,
            first=self.last + 1,
            offset_ms=self.offset_ms,
            utc_at=round(time.time() * 1000) if utc_at is None else utc_at,
            sensors=(readings(self.offset_ms, ROWS, self.seed),),
            events=start,
        )
        self.last, self.offset_ms = block.last, self.offset_ms + 1000 * ROWS
        return block


class HonestGateway:
    """Sends a block each second, as `dewline-gateway` does, and measures the delay of each ack."""

    def __init__(self, device: str, port: int, files: CertificateFiles, seed: int) -> None:
        self.device = device
        self.made = Stream(random.Random(seed))
        self.delays_s: list[float] = []
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[bytes, float, float]] = {}  # by last number
        self._client = client_of(device, port, files)
        self._client.on_connect = self._subscribe
        self._client.on_message = self._hear
        self._client.loop_start()

    def send(self) -> None:
        """Commits and sends one block."""
        block = self.made.block()
        payload, now_s = encode(block), time.monotonic()
        with self._lock:
            self._waiting[block.last] = (payload, now_s, now_s)
        self._publish(payload)

    def resend(self) -> None:
        """Sends the blocks again that have waited too long for their ack."""
        now_s = time.monotonic()
        with self._lock:
            due = {n: w for n, w in self._waiting.items() if now_s - w[2] > RESEND_S}
            self._waiting |= {n: (payload, at_s, now_s) for n, (payload, at_s, _) in due.items()}
        for payload, _, _ in due.values():
            self._publish(payload)

    def _publish(self, payload: bytes) -> None:
        self._client.publish(up_topic(self.device, Lane.LIVE), payload, qos=1)

    @property
    def unacked(self) -> int:
        """Number of blocks that wait for their ack."""
        with self._lock:
            return len(self._waiting)

    def oldest_s(self) -> float:
        """Age of the oldest block that waits, seconds."""
        with self._lock:
            return max((time.monotonic() - at for _, at, _ in self._waiting.values()), default=0.0)

    def stop(self) -> None:
        """Disconnects."""
        self._client.disconnect()
        self._client.loop_stop()

    def _subscribe(self, client: paho.Client, *_: object) -> None:
        client.subscribe(ack_topic(self.device), qos=1)

    def _hear(self, _client: object, _user: object, message: paho.MQTTMessage) -> None:
        now_s = time.monotonic()
        with self._lock:
            for span in decode_ack(bytes(message.payload)).spans:
                for last in [n for n in self._waiting if span.first <= n <= span.last]:
                    _, at_s, _ = self._waiting.pop(last)
                    self.delays_s.append(now_s - at_s)


def steal(client: paho.Client, _device: str, end_s: float) -> None:
    """Subscribes to what ingest reads, by its group, by other groups and by `#`."""
    filters = [
        *(f"$share/ingest/dewline/v1/+/up/{lane}" for lane in Lane),
        "$share/other/dewline/v1/+/up/live",
        "dewline/v1/#",
        "#",
    ]
    while time.monotonic() < end_s:
        for topic_filter in filters:
            client.subscribe(topic_filter, qos=1)
        time.sleep(1.0)


def flood(client: paho.Client, device: str, end_s: float) -> None:
    """Publishes small messages that are no blocks, as fast as a budget of FLOOD_PER_S allows."""
    topic, sent, began_s = up_topic(device, Lane.LIVE), 0, time.monotonic()
    while (now_s := time.monotonic()) < end_s:
        due = min(int((now_s - began_s) * FLOOD_PER_S) - sent, 200)
        for _ in range(due):
            client.publish(topic, os.urandom(40), qos=sent % 2)
            sent += 1
        time.sleep(0.001)
    print(f"{sent / (time.monotonic() - began_s):.0f} messages per second")


def load(client: paho.Client, device: str, end_s: float) -> None:
    """Publishes blocks of 12 kB that cost much to decode: 60,000 sensors of one reading each."""
    for payload in heavy_payloads():
        if time.monotonic() >= end_s:
            return
        client.publish(up_topic(device, Lane.LIVE), payload, qos=1)
        time.sleep(2.0)


def heavy_payloads() -> Iterator[bytes]:
    """Yields payloads that are valid JSON, each of another stream."""
    import zlib  # noqa: PLC0415 - only the attacker packs by hand, because `encode` refuses this

    sensor = '{"sensor":"a","series":[["temperature","Cel",0]],"data":[0,0]}'
    while True:
        head = (
            f'{{"schema":1,"clock":"synced","stream":"{stream_id(os.urandom(8))}","first":1,'
            f'"at":[0,{round(time.time() * 1000)}],"sensors":['
        )
        text = head + ",".join([sensor] * 60_000) + "]}"
        known = dictionary(DICTIONARY_VERSION)
        packer = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=known)
        yield bytes([DICTIONARY_VERSION]) + packer.compress(text.encode()) + packer.flush()


def poison(client: paho.Client, device: str, end_s: float) -> None:
    """Publishes legal blocks with absurd times and numbers."""
    seed = random.Random(9)
    made, far = Stream(seed), Stream(seed)
    fix = TimedEvent(0, ClockFix(utc_at=YEAR_ONE_MS, uncertainty_ms=1))
    topic = up_topic(device, Lane.LIVE)
    day = 0
    while time.monotonic() < end_s:
        client.publish(topic, encode(made.block(utc_at=YEAR_9999_MS - 10_000)), qos=1)
        unsynced = Block(
            stream_id=made.stream, first=made.last + 1, offset_ms=made.offset_ms, utc_at=None,
            events=(fix,),
        )  # fmt: skip
        made.last = unsynced.last
        client.publish(topic, encode(unsynced), qos=1)
        client.publish(topic, encode(far.block(utc_at=86_400_000 * (1 + day % 20_000))), qos=1)
        last = Block(stream_id=far.stream, first=2**53 - 2, offset_ms=0, utc_at=None, events=(fix,))
        client.publish(topic, encode(last), qos=1)
        day += 7
        time.sleep(0.5)


ATTACKS: dict[str, Callable[[paho.Client, str, float], None]] = {
    "thief": steal,
    "flooder": flood,
    "heavy": load,
    "poisoner": poison,
}


def main() -> None:
    """Attacks until the time is over."""
    role, device, port, ca, certificate, key, seconds = sys.argv[1:]
    client = client_of(device, int(port), CertificateFiles(ca=ca, certificate=certificate, key=key))
    client.loop_start()
    with contextlib.suppress(KeyboardInterrupt):
        ATTACKS[role](client, device, time.monotonic() + float(seconds))
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main()
