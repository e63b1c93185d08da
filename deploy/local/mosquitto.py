"""Starts Mosquitto as a private child process, with its accounts, certificates and ports.

This module writes the broker's files; `deploy.mosquitto` renders configuration and access rules. A
device may write only below its own name, because the broker inserts the checked user name into the
rule's pattern (`%u`).
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

from deploy.local.certificates import Certificates
from deploy.local.errors import ServerError
from deploy.local.processes import (
    Launch,
    PrivateServer,
    free_ports,
    hand_over,
    private_folder,
    program,
)
from deploy.mosquitto.render import Settings, render

__all__ = ["BrokerAccount", "Mosquitto"]

_LOOPBACK = "127.0.0.1"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

# MQTT 3.1.1 CONNECT without a user name. Any answer, even the expected refusal, shows a live
# broker.
_ANONYMOUS_CONNECT = bytes.fromhex("101000044d5154540402003c0004") + b"wait"


Role = Literal["device", "ingest", "rollout", "observer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccount:
    """Describes an account of the broker and its role."""

    name: str
    password: str = field(repr=False)
    role: Role

    @classmethod
    def generate(cls, name: str, role: Role) -> Self:
        """Returns an account with a new random password."""
        return cls(name=name, password=secrets.token_urlsafe(18), role=role)


class Mosquitto(PrivateServer):
    """Runs a private broker on 127.0.0.1; see `start`.

    Attributes:
        port: Port without TLS for accounts with passwords. With certificates and no accounts, the
            same as `devices_port`.
        devices_port: TLS port for gateways; 0 without certificates.
        services_port: TLS port for the cloud's processes; 0 without certificates.
    """

    def __init__(self, launch: Launch, settings: Settings) -> None:
        super().__init__(launch, settings.passwords_port or settings.devices_port)
        self.devices_port = settings.devices_port
        self.services_port = settings.services_port

    @classmethod
    def launch(
        cls,
        base: Path,
        accounts: Sequence[BrokerAccount],
        port: int | None = None,
        certificates: Certificates | None = None,
    ) -> Self:
        """Starts a broker in a new folder below `base` without waiting; call `wait_ready` next."""
        folder = private_folder(base, "mosquitto")
        passwords, devices, services = free_ports(3)
        settings = _settings(
            folder,
            passwords_port=(port or passwords) if accounts or certificates is None else 0,
            tls_ports=(0, 0) if certificates is None else (devices, services),
        )
        _write_files(folder, settings, accounts, certificates)
        server = cls(_launch(folder, settings), settings)
        server.spawn()
        return server

    @classmethod
    def start(
        cls,
        base: Path,
        accounts: Sequence[BrokerAccount],
        port: int | None = None,
        certificates: Certificates | None = None,
    ) -> Self:
        """Starts a broker that accepts only these accounts and certificates, and waits for it.

        Args:
            base: Folder that the servers' user can reach.
            accounts: Accounts with passwords. If the list is empty and there are certificates, the
                broker has no port for passwords.
            port: Port for the accounts; None for a free one.
            certificates: With them the broker also opens TLS ports for devices and services.

        Raises:
            ServerError: The broker did not start.
        """
        server = cls.launch(base, accounts, port, certificates)
        server.wait_ready()
        return server

    def restart(self, *, erase: bool = False) -> None:
        """Restarts the broker on the same port; `erase` deletes its data folder first."""
        self.stop()
        if erase:
            shutil.rmtree(self.base / "data")
            (self.base / "data").mkdir()
            hand_over(self.base / "data")
        super().restart()

    def install(self, certificates: Certificates) -> None:
        """Installs the present certificates and revocation lists; call `restart` next."""
        certificates.install(self.base / "certificates")
        hand_over(self.base / "certificates")


def _settings(folder: Path, passwords_port: int, tls_ports: tuple[int, int]) -> Settings:
    return Settings(
        folder=str(folder),
        certificates_folder=str(folder / "certificates"),
        data_folder=str(folder / "data"),
        devices_port=tls_ports[0],
        devices_address=_LOOPBACK,
        services_port=tls_ports[1],
        services_address=_LOOPBACK,
        passwords_port=passwords_port,
        passwords_address=_LOOPBACK,
    )


def _launch(folder: Path, settings: Settings) -> Launch:
    return Launch(
        name="mosquitto",
        command=(program("mosquitto"), "-c", str(folder / "mosquitto.conf")),
        folder=folder,
        logs=(),
        answers=lambda: _ready(settings),
        ready_limit_s=20,
    )


def _write_files(
    folder: Path,
    settings: Settings,
    accounts: Sequence[BrokerAccount],
    certificates: Certificates | None,
) -> None:
    for name in ("data", "certificates"):
        (folder / name).mkdir()
    rendered = render(settings)
    texts = {
        "mosquitto.conf": rendered.mosquitto_conf,
        "acl-devices": rendered.acl_devices,
        "acl-services": rendered.acl_services,
        "acl-passwords": rendered.acl_passwords,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    if settings.passwords_port:
        _write_passwords(folder / "passwords", accounts)
    if certificates is not None:
        certificates.install(folder / "certificates")
    hand_over(folder)


def _write_passwords(path: Path, accounts: Sequence[BrokerAccount]) -> None:
    """Writes the passwords and hashes them in the file, because `ps` shows command lines."""
    for account in accounts:
        if account.role not in ("device", account.name):
            raise ServerError(
                f"broker account {account.name!r}: expected the name {account.role!r}, because the "
                "access rules use that name"
            )
        if not _NAME.fullmatch(account.name) or not account.password.isprintable():
            raise ServerError(
                f"broker account {account.name!r}: the name must match {_NAME.pattern}, "
                "and the password must be one printable line"
            )
    path.touch(mode=0o600)
    path.write_text("".join(f"{a.name}:{a.password}\n" for a in accounts), encoding="utf-8")
    subprocess.run([program("mosquitto_passwd"), "-U", str(path)], check=True, capture_output=True)


def _ready(settings: Settings) -> bool:
    """Returns whether every listener is open; the broker opens them one after the other."""
    tls = (port for port in (settings.devices_port, settings.services_port) if port)
    return all(map(_listens, tls)) and (
        not settings.passwords_port or _answers(settings.passwords_port)
    )


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((_LOOPBACK, port), timeout=1) as connection:
            connection.sendall(_ANONYMOUS_CONNECT)
            return connection.recv(1) == b"\x20"
    except OSError:
        return False


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((_LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False
