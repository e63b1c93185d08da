"""Sends messages as fast as asked, with a socket and nothing else.

    python -m tests.cloud.ingest.flooder PORT DEVICE QOS RATE SIZE     password on standard input

It prints how many messages it sent when its input ends.
"""

import os
import select
import socket
import struct
import sys
import threading
import time


def _length(n: int) -> bytes:
    out = b""
    while True:
        n, low = n // 128, n % 128
        out += bytes([low | (128 if n else 0)])
        if not n:
            return out


def _text(data: str) -> bytes:
    return struct.pack(">H", len(data)) + data.encode()


def main() -> None:
    """Floods the live lane until the input ends."""
    port, device, qos, rate, size = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    password = sys.stdin.readline().strip()
    sock = socket.create_connection(("127.0.0.1", int(port)))
    body = _text("MQTT") + b"\x05\xc2\x00\x3c\x00" + _text(device) + _text(device) + _text(password)
    sock.sendall(b"\x10" + _length(len(body)) + body)
    assert sock.recv(4)[3] == 0
    threading.Thread(target=_drain, args=(sock,), daemon=True).start()
    print("floods", flush=True)
    print(_flood(sock, device, qos, rate, size), flush=True)


def _drain(sock: socket.socket) -> None:
    try:
        while sock.recv(65536):
            pass
    except OSError:
        pass


def _flood(sock: socket.socket, device: str, qos: int, rate: int, size: int) -> int:
    topic, base = _text(f"dewline/v1/{device}/up/live"), os.urandom(size)
    began_s, sent = time.monotonic(), 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        due = int((time.monotonic() - began_s) * rate) - sent
        if due <= 0:
            time.sleep(0.001)
            continue
        parts = []
        for _ in range(min(due, 200)):
            sent += 1
            number = struct.pack(">H", sent % 65_000 + 1) if qos else b""
            body = topic + number + b"\x00" + struct.pack(">Q", sent) + base
            parts.append(bytes([0x30 | qos << 1]) + _length(len(body)) + body)
        try:
            sock.sendall(b"".join(parts))
        except OSError:
            print("cut off", file=sys.stderr)
            break
    return sent


if __name__ == "__main__":
    main()
