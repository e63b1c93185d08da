"""Mosquitto as a private child: accounts, access rules, limits.

Owns the broker's files. Topics are the contract's: a device may write only below its own name,
because the broker puts the name it has checked into the pattern (`%u`).
"""

import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from deploy.local.errors import ServerError
from deploy.local.processes import (
    Launch,
    PrivateServer,
    free_ports,
    hand_over,
    private_folder,
    program,
)

__all__ = ["BrokerAccount", "Mosquitto"]

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

# Limits: a queue without a bound for sessions that are away (the default drops beyond 1000 what it
# has acknowledged), packets as large as the largest block, and enough in flight for ingest.
_CONFIGURATION = """\
per_listener_settings true
persistence false
persistence_location {base}/data/
max_queued_messages 0
max_inflight_messages 1000
max_packet_size 262144
log_dest stderr
log_type error
log_type warning
log_type notice
listener {port} 127.0.0.1
allow_anonymous false
password_file {base}/passwords
acl_file {base}/acl
"""

_DEVICE_RULES = """\
pattern write dewline/v1/%u/up/#
pattern write dewline/v1/%u/presence
pattern read dewline/v1/%u/down/#
"""

_ROLE_RULES = {
    "device": "",
    "ingest": (
        "topic read dewline/v1/+/up/#\n"
        "topic read dewline/v1/+/presence\n"
        "topic write dewline/v1/+/down/#\n"
    ),
    "rollout": "topic write dewline/v1/+/down/desired\n",
    "observer": "topic read dewline/v1/#\n",
}

# MQTT 3.1.1 CONNECT without a name: any answer at all (it will be a refusal) shows a live broker.
_ANONYMOUS_CONNECT = bytes.fromhex("101000044d5154540402003c0004") + b"wait"


Role = Literal["device", "ingest", "rollout", "observer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccount:
    """Somebody who may connect to the broker, and as what."""

    name: str
    password: str = field(repr=False)
    role: Role

    @classmethod
    def generate(cls, name: str, role: Role) -> Self:
        """Account with a fresh random password."""
        return cls(name=name, password=secrets.token_urlsafe(18), role=role)


class Mosquitto(PrivateServer):
    """A private broker on 127.0.0.1; see `start`."""

    @classmethod
    def launch(cls, base: Path, accounts: Sequence[BrokerAccount], port: int | None = None) -> Self:
        """Begin to start a broker in a new folder below `base`; `wait_ready` must follow."""
        folder = private_folder(base, "mosquitto")
        listening = port or free_ports(1)[0]
        _write_files(folder, accounts, listening)
        server = cls(
            Launch(
                name="mosquitto",
                command=(program("mosquitto"), "-c", str(folder / "mosquitto.conf")),
                folder=folder,
                logs=(),
                answers=lambda: _answers(listening),
                ready_limit_s=20,
            ),
            listening,
        )
        server.spawn()
        return server

    @classmethod
    def start(cls, base: Path, accounts: Sequence[BrokerAccount], port: int | None = None) -> Self:
        """Running broker that knows these accounts and nobody else.

        Raises:
            ServerError: it did not start.
        """
        server = cls.launch(base, accounts, port)
        server.wait_ready()
        return server

    def restart(self, *, erase: bool = False) -> None:
        """Stop if running and start again on the same port; `erase` loses the data folder first."""
        self.stop()
        if erase:
            shutil.rmtree(self.base / "data")
            (self.base / "data").mkdir()
            hand_over(self.base / "data")
        super().restart()


def _write_files(folder: Path, accounts: Sequence[BrokerAccount], port: int) -> None:
    (folder / "data").mkdir()
    text = _CONFIGURATION.format(base=folder, port=port)
    (folder / "mosquitto.conf").write_text(text, encoding="utf-8")
    (folder / "acl").write_text(_access_rules(accounts), encoding="utf-8")
    _write_passwords(folder / "passwords", accounts)
    hand_over(folder)


def _access_rules(accounts: Sequence[BrokerAccount]) -> str:
    blocks = [f"user {a.name}\n{_ROLE_RULES[a.role]}" for a in accounts if _ROLE_RULES[a.role]]
    return "\n".join([*blocks, _DEVICE_RULES])


def _write_passwords(path: Path, accounts: Sequence[BrokerAccount]) -> None:
    """Hash in place, so that no password stands on a command line, where `ps` shows it."""
    for account in accounts:
        if not _NAME.fullmatch(account.name) or not account.password.isprintable():
            raise ServerError(
                f"broker account {account.name!r}: the name must match {_NAME.pattern} "
                "and the password be one printable line"
            )
    path.touch(mode=0o600)
    path.write_text("".join(f"{a.name}:{a.password}\n" for a in accounts), encoding="utf-8")
    subprocess.run([program("mosquitto_passwd"), "-U", str(path)], check=True, capture_output=True)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(_ANONYMOUS_CONNECT)
            return connection.recv(1) == b"\x20"
    except OSError:
        return False
