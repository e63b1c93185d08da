"""A plain consumer of JSON messages, with which `bench.ingest` compares ingest.

    python -m bench.plain --port P --password-file FILE --out FILE

It is what one writes first: paho, `json.loads`, one line of JSON for each reading, and an fsync
each 250 ms. It neither checks a value nor finds a repeated message. After each fsync it acks the
readings, so that the load process knows when all are on the disk.
"""

import argparse
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from signal import SIGTERM, signal

from bench.acker import INGEST
from bench.mqtt import Peer
from contract.acks import Ack, encode_ack
from contract.blocks import Block, entries
from contract.records import Reading, Span
from contract.topics import Lane, ack_topic, lane_filter, parse_up_topic

__all__ = ["main", "plain_message"]

_SYNC_S = 0.25


def plain_message(block: Block) -> bytes:
    """Returns the readings of a block as a list of JSON tables."""
    return json.dumps(list(_readings(block)), separators=(",", ":")).encode()


def _readings(block: Block) -> Iterator[dict[str, object]]:
    for entry in entries(block):
        reading = entry.record
        if isinstance(reading, Reading):
            yield {
                "stream": block.stream_id,
                "seq": entry.seq,
                "observed_at": entry.observed_at,
                "sensor": reading.sensor_id,
                "quantity": reading.quantity.value,
                "unit": reading.quantity.facts.unit,
                "value": reading.value,
                "quality": reading.quality.value,
            }


class _Consumer:
    """Writes the readings of all messages to one file."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._devices: list[str] = []
        self._acked: Counter[str] = Counter()

    def hear(self, topic: str, payload: bytes) -> None:
        """Keeps the lines of a message; paho's thread calls this."""
        device_id, _ = parse_up_topic(topic)
        for reading in json.loads(payload):
            reading["device"] = device_id
            self._lines.append(json.dumps(reading) + "\n")
            self._devices.append(device_id)

    def write(self, fd: int, peer: Peer) -> None:
        """Writes and syncs the lines so far, then acks them."""
        total = len(self._devices)  # appended last: at least as many lines are complete
        if not total:
            return
        os.write(fd, "".join(self._lines[:total]).encode())
        os.fsync(fd)
        for device_id, readings in Counter(self._devices[:total]).items():
            first = self._acked[device_id] + 1
            self._acked[device_id] += readings
            span = Span(stream_id="a" * 13, first=first, last=self._acked[device_id])
            peer.publish(ack_topic(device_id), encode_ack(Ack(spans=(span,))), qos=0)
        del self._lines[:total], self._devices[:total]


def main(arguments: Sequence[str] | None = None) -> int:
    """Consumes until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    stop = threading.Event()
    signal(SIGTERM, lambda *_: stop.set())
    consumer = _Consumer()
    password = args.password_file.read_text("utf-8").strip()
    peer = Peer(args.port, INGEST, password, consumer.hear)
    peer.subscribe(lane_filter(Lane.LIVE, INGEST))
    fd = os.open(args.out, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while not stop.wait(_SYNC_S):
        consumer.write(fd, peer)
    peer.close()
    os.close(fd)
    return 0


if __name__ == "__main__":
    sys.exit(main())
