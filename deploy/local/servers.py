"""Starts the local stack: broker, database server and Elasticsearch as private child processes.

The servers start in parallel, and all are stopped at the end. Files, flags and readiness check of
each server are in the module with its name.

    python -m deploy.local.servers        start all three, print addresses, wait for Ctrl-C
"""

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from contract.errors import DewlineError
from deploy.local.certificates import Certificates
from deploy.local.database_choice import preferred
from deploy.local.database_server import DatabaseServer
from deploy.local.elasticsearch import Elasticsearch
from deploy.local.mosquitto import BrokerAccount, Mosquitto

__all__ = [
    "BrokerAccount",
    "Elasticsearch",
    "Mosquitto",
    "Stack",
    "open_folder",
    "start_stack",
    "temporary_parent",
    "term_as_interrupt",
]

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - private folders are made in it
_PLENTY_BYTES = 4 * 2**30
_DEMO_DEVICES = ("ewr", "jfk", "lga")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Holds the three running servers."""

    mosquitto: Mosquitto
    database: DatabaseServer
    elasticsearch: Elasticsearch


def temporary_parent() -> Path:
    """Returns the folder for data of short-lived servers: in memory if 4 GiB are free.

    On a slow disk the servers would spend most of their time in fsync: 3 ms each, measured, and
    thousands of them for a few dozen new indices. The data are not needed after a power cut.
    """
    if _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free >= _PLENTY_BYTES:
        return _SHARED_MEMORY
    return Path(tempfile.gettempdir())


@contextmanager
def open_folder(prefix: str) -> Generator[Path]:
    """Yields a temporary folder that the servers' user can reach, removed at the end."""
    with tempfile.TemporaryDirectory(prefix=prefix, dir=temporary_parent()) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def start_stack(
    base: Path,
    accounts: Sequence[BrokerAccount],
    on_progress: Callable[[str], None],
    certificates: Certificates | None = None,
) -> Generator[Stack]:
    """Yields all three servers, started in parallel below `base`; stops them at the end.

    If this runs as root, the user nobody must have access to `base`; `open_folder` makes such a
    folder.

    Args:
        base: Parent of the servers' folders.
        accounts: Accounts that connect to the broker with a password.
        on_progress: Function that is called with a text when a server answers.
        certificates: Certificates for connections to the broker by TLS.

    Raises:
        ServerError: A server did not start; the others are stopped.
        ConfigError: The set-up has not been run.
    """
    begun = time.monotonic()
    with ExitStack() as running:
        # The slowest server starts first, so that it boots while the others are prepared.
        elasticsearch = Elasticsearch.launch(base)
        running.callback(elasticsearch.stop)
        mosquitto = Mosquitto.launch(base, accounts, certificates=certificates)
        running.callback(mosquitto.stop)
        database = preferred().launch(base)
        running.callback(database.stop)
        for name, server in (
            ("Mosquitto", mosquitto),
            (database.product, database),
            ("Elasticsearch", elasticsearch),
        ):
            server.wait_ready()
            took_s = time.monotonic() - begun
            on_progress(f"{name} answers on port {server.port} after {took_s:.1f} s")
        yield Stack(mosquitto=mosquitto, database=database, elasticsearch=elasticsearch)


def term_as_interrupt() -> None:
    """Makes SIGTERM act like Ctrl-C, which stops the servers and removes their folders."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def _describe(stack: Stack, accounts: Sequence[BrokerAccount]) -> str:
    names = "\n".join(f"    {a.name:<8} {a.role:<9} {a.password}" for a in accounts)
    return (
        f"MQTT           127.0.0.1:{stack.mosquitto.port}\n{names}\n"
        f"{stack.database.product:<14} {stack.database.url}\n"
        f"Elasticsearch  {stack.elasticsearch.url}\n"
        "Ctrl-C stops all of them and removes their data."
    )


def main() -> int:
    """Runs the stack until Ctrl-C."""
    term_as_interrupt()
    accounts = [BrokerAccount.generate(name, "device") for name in _DEMO_DEVICES]
    accounts.append(BrokerAccount.generate("ingest", "ingest"))
    accounts.append(BrokerAccount.generate("observer", "observer"))
    try:
        with open_folder("dewline-") as base, start_stack(base, accounts, print) as stack:
            print(_describe(stack, accounts), flush=True)
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        return 0
    except DewlineError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
