"""Starts a private broker, and a process that acks all blocks in place of the cloud."""

import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.acker import INGEST
from bench.errors import BenchError
from deploy.local.mosquitto import BrokerAccount, Mosquitto
from deploy.local.servers import open_folder
from edge.configuration.config import UplinkConfig

__all__ = ["DEVICE", "Line", "broker", "line"]

DEVICE = "bench-1"


@dataclass(frozen=True, slots=True)
class Line:
    """Describes a broker with a process that acks.

    Attributes:
        uplink: Settings with which `DEVICE` connects.
    """

    uplink: UplinkConfig


@contextmanager
def broker(accounts: Sequence[BrokerAccount]) -> Generator[Mosquitto]:
    """Yields a private broker on a free port; stops it at the end."""
    with open_folder("dewline-bench-") as base:
        server = Mosquitto.start(base, accounts)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def line(folder: Path) -> Generator[Line]:
    """Starts a broker and an acking process, and yields the settings to connect.

    Args:
        folder: Folder for the device's password file.
    """
    device = BrokerAccount.generate(DEVICE, "device")
    ingest = BrokerAccount.generate(INGEST, "ingest")
    secret = folder / "password"
    secret.write_text(device.password, encoding="utf-8")
    with broker([device, ingest]) as server, _acker(server.port, ingest.password):
        yield Line(
            UplinkConfig(
                host="127.0.0.1",
                port=server.port,
                username=DEVICE,
                password_file=str(secret),
            )
        )


@contextmanager
def _acker(port: int, password: str) -> Generator[None]:
    command = [sys.executable, "-m", "bench.acker", "--port", str(port)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise BenchError("bench.acker: the process has no pipes")
        process.stdin.write(password + "\n")
        process.stdin.flush()
        if not process.stdout.readline():
            raise BenchError("bench.acker: the process ended before it had subscribed")
        try:
            yield
        finally:
            process.stdin.close()
            process.wait(timeout=10)
