"""Acks every block and stores nothing, in a process of its own.

    python -m bench.acker --port P      reads the password from the first line of standard input

The process prints a line when it has subscribed, and exits when its input ends. It is separate so
that its CPU time is not counted as the gateway's.
"""

import argparse
import sys

from bench.mqtt import Peer
from contract.acks import Ack, encode_ack
from contract.records import Span
from contract.topics import Lane, ack_topic, lane_filter, parse_up_topic
from contract.wire import decode

__all__ = ["INGEST", "main"]

INGEST = "ingest"


def main() -> int:
    """Acks blocks until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port

    def hear(topic: str, payload: bytes) -> None:
        block = decode(payload)
        span = Span(stream_id=block.stream_id, first=block.first, last=block.last)
        device_id, _ = parse_up_topic(topic)
        peer.publish(ack_topic(device_id), encode_ack(Ack(spans=(span,))), qos=0)

    peer = Peer(port, INGEST, sys.stdin.readline().strip(), hear)
    for lane in Lane:
        peer.subscribe(lane_filter(lane, INGEST))
    print("listens", flush=True)
    sys.stdin.read()
    peer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
