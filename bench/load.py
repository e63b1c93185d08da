"""Simulates gateways that only send: publishes prepared blocks as fast as the broker accepts them.

    python -m bench.load --port P --blocks N --records R [--plain]

It is a separate process so that its CPU time is not counted as ingest's. The first line of its
input is a JSON object of devices and passwords. The process prints `ready` when all blocks are
encoded and ingest has subscribed. It then waits for a line of input, sends the blocks, waits for
all acks, and prints the number of acked readings.
"""

import argparse
import json
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeAlias

from bench.air import layout_of
from bench.errors import BenchError
from bench.mqtt import Peer
from bench.payload import blocks
from bench.plain import plain_message
from contract.acks import decode_ack
from contract.blocks import Block
from contract.topics import Lane, ack_topic, up_topic
from contract.wire import encode

__all__ = ["main"]

Form: TypeAlias = Callable[[Block], bytes]  # makes a message of a block

_LIMIT_S = 300.0
_NOBODY = "No matching subscribers"
_AGE_S = 86_400
# Blocks of one device that wait for their ack. Without a limit a slow consumer leaves more at the
# broker than its queue may hold, and the broker drops the rest.
_WINDOW = 1_000


class _Device:
    """Holds one gateway's connection and its prepared blocks."""

    def __init__(
        self, port: int, account: tuple[str, str], made: Iterator[Block], form: Form
    ) -> None:
        name, password = account
        self._made = made
        self._form = form
        self._topic = up_topic(name, Lane.LIVE)
        self._acked = 0
        self._wanted = 0
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._payloads: deque[bytes] = deque()
        self._blocks = 0  # published and not acked yet
        self._records = 1
        self._peer = Peer(port, name, password, self._hear)
        self._peer.subscribe(ack_topic(name))

    def encode(self, total: int, records: int) -> None:
        """Prepares the blocks of so many readings that `send` publishes."""
        self._payloads.extend(self._encoded() for _ in range(total))
        self._records = records

    def send(self) -> None:
        """Publishes the first prepared blocks; each ack lets the next ones follow."""
        self._done.clear()
        self._publish(0)

    def _publish(self, acked: int) -> None:
        with self._lock:
            self._blocks -= acked
            while self._payloads and self._blocks < _WINDOW:
                self._blocks += 1
                self._peer.publish(self._topic, self._payloads.popleft(), qos=1)

    def probe(self) -> None:
        """Sends one block repeatedly until there is a subscriber, then waits for its ack."""
        payload = self._encoded()
        deadline_s = time.monotonic() + _LIMIT_S
        while True:
            self._peer.publish(self._topic, payload, qos=1)
            if self._peer.published() != _NOBODY:
                break
            if time.monotonic() > deadline_s:
                raise BenchError("broker: no subscriber for blocks; is ingest running?")
            time.sleep(0.05)
        self.wait()

    def wait(self) -> int:
        """Waits until all readings are acked, and returns their number."""
        deadline_s = time.monotonic() + _LIMIT_S
        while not self._done.wait(0.5):
            if time.monotonic() > deadline_s or not self._peer.connected:
                raise BenchError(f"only {self._acked} of {self._wanted} readings were acked")
        return self._acked

    def close(self) -> None:
        """Disconnects."""
        self._peer.close()

    def _encoded(self) -> bytes:
        block = next(self._made)
        self._wanted += block.records_total
        return self._form(block)

    def _hear(self, _topic: str, payload: bytes) -> None:
        acked = sum(s.last - s.first + 1 for s in decode_ack(payload).spans)
        self._acked += acked
        if self._payloads:
            self._publish(acked // self._records)
        if self._acked >= self._wanted:
            self._done.set()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--blocks", type=int, required=True, help="blocks of all devices together")
    parser.add_argument("--records", type=int, required=True, help="readings per block")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="send readings as plain JSON")
    return parser


def main() -> int:
    """Sends the blocks and waits for the acks."""
    args = _parser().parse_args()
    form = plain_message if args.plain else encode
    accounts: dict[str, str] = json.loads(sys.stdin.readline())
    layout = layout_of("rooms", paired=True)
    devices = [
        _Device(args.port, account, blocks(layout, args.records, _AGE_S, args.seed + i), form)
        for i, account in enumerate(accounts.items())
    ]
    for device in devices:
        device.probe()
        device.encode(args.blocks // len(devices), args.records)
    print("ready", flush=True)
    if not sys.stdin.readline():
        return 1  # the process that started this one has ended
    for device in devices:
        device.send()
    print(sum(device.wait() for device in devices), flush=True)
    for device in devices:
        device.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
