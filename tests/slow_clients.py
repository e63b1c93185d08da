"""Clients of the API that hold connections and never finish, and honest ones beside them.

The crowd is a process of its own:

    python -m tests.slow_clients --port 8443 --ca ca.pem --certificate gw.pem --key gw.key \
        --bundle /bundles/….dwb --clients 300 --addresses 1

Prints `ready` when each client has connected once, then runs until its stdin ends. A client that is
closed connects again after some seconds. `--addresses 300` spreads them over 127.1.0.0/16.
"""

import argparse
import asyncio
import contextlib
import http.client
import random
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.certificates import CertificateFiles

AGAIN_S = (1.0, 5.0)  # how long a client that was closed waits, at random
DRIP_S = 1.0
HELLO = bytes.fromhex("1603010200010001fc0303")  # the first bytes of a ClientHello

EACH_S = 0.05  # time between two requests of an honest client
LIMIT_S = 10.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Crowd:
    """The clients and what they have."""

    def __init__(self, known: argparse.Namespace) -> None:
        self._known = known
        self._stranger = ssl.create_default_context(cafile=known.ca)
        self._device = ssl.create_default_context(cafile=known.ca)
        self._device.load_cert_chain(known.certificate, known.key)
        self._kinds: tuple[tuple[Callable[[Streams], Awaitable[None]], ssl.SSLContext | None], ...]
        self._kinds = (
            (_silent, None),
            (_half_hello, None),
            (_silent, self._stranger),
            (_drips_headers, self._stranger),
            (_drips_body, self._stranger),
            (self._reads_slowly, self._device),
        )
        self._waiting = known.clients

    async def run(self) -> None:
        """Runs until stdin ends."""
        tasks = [asyncio.create_task(self._client(n)) for n in range(self._known.clients)]
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()

    async def _client(self, number: int) -> None:
        manner, context = self._kinds[number % len(self._kinds)]
        source = number % self._known.addresses
        address = (
            "127.0.0.1" if self._known.addresses == 1 else f"127.1.{source >> 8}.{source & 255}"
        )
        first = True
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._once(manner, context, address, first)
            first = self._arrived(first)
            await asyncio.sleep(random.uniform(*AGAIN_S))

    async def _once(
        self,
        manner: Callable[[Streams], Awaitable[None]],
        context: ssl.SSLContext | None,
        address: str,
        first: bool,
    ) -> None:
        streams = await asyncio.open_connection(
            "127.0.0.1", self._known.port, ssl=context, local_addr=(address, 0), limit=1024
        )
        self._arrived(first)
        try:
            await manner(streams)
        finally:
            streams[1].transport.abort()

    def _arrived(self, first: bool) -> bool:
        if first:
            self._waiting -= 1
            if self._waiting == 0:
                print("ready", flush=True)
        return False

    async def _reads_slowly(self, streams: Streams) -> None:
        reader, writer = streams
        writer.write(f"GET {self._known.bundle} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while await reader.read(100):  # noqa: ASYNC110 - nothing is polled here
            await asyncio.sleep(DRIP_S)


async def _silent(streams: Streams) -> None:
    await streams[0].read(1)


async def _half_hello(streams: Streams) -> None:
    streams[1].write(HELLO)
    await streams[0].read(1)


async def _drips_headers(streams: Streams) -> None:
    reader, writer = streams
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ")
    while not reader.at_eof():
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(DRIP_S)


async def _drips_body(streams: Streams) -> None:
    reader, writer = streams
    writer.write(b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
    while not reader.at_eof():
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(DRIP_S)


@contextmanager
def crowd(port: int, files: CertificateFiles, bundle: str, **options: int) -> Iterator[None]:
    """Keeps the crowd at the API; each of its clients has connected once before."""
    words = [sys.executable, "-m", "tests.slow_clients", "--port", str(port), "--bundle", bundle]
    words += ["--ca", str(files.ca), "--certificate", str(files.certificate)]
    words += ["--key", str(files.key)]
    words += [f"--{name}={value}" for name, value in options.items()]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == b"ready\n"
        yield
        assert child.poll() is None
    finally:
        child.stdin.close()
        child.wait(LIMIT_S)
        child.stdout.close()


@dataclass
class Honest:
    """A client that asks again and again, with a new connection each time.

    Attributes:
        took_s: How long each good answer took, TLS included.
        failed: What was not a good answer.
    """

    port: int
    context: ssl.SSLContext
    paths: Sequence[str]
    address: str = "127.0.0.1"
    took_s: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def ask_for(self, seconds: float) -> None:
        end_s, number = time.monotonic() + seconds, 0
        while time.monotonic() < end_s:
            began_s = time.monotonic()
            try:
                self._ask(self.paths[number % len(self.paths)])
                self.took_s.append(time.monotonic() - began_s)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
            number += 1
            time.sleep(EACH_S)

    def _ask(self, path: str) -> None:
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            self.port,
            timeout=LIMIT_S,
            context=self.context,
            source_address=(self.address, 0),
        )
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
        if answer.status != 200:
            raise http.client.HTTPException(f"{path}: {answer.status}")

    def percentile_s(self, share: float) -> float:
        took_s = sorted(self.took_s)
        return took_s[min(len(took_s) - 1, int(share * len(took_s)))]


def ask_all(clients: Sequence[Honest], seconds: float) -> None:
    """Lets all ask at the same time."""
    threads = [threading.Thread(target=one.ask_for, args=(seconds,)) for one in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    for name in ("ca", "certificate", "key"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--addresses", type=int, default=1)
    asyncio.run(Crowd(parser.parse_args()).run())


if __name__ == "__main__":
    main()
