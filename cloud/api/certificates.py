"""Holds the TLS context of the API's server, and reads its files again when they change.

So a renewed certificate and a new revocation list (CRL) apply to new connections without a restart.
"""

import logging
import ssl
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.api.access import Client, ClientKind
from contract.errors import ConfigError
from transport.tls import server_context, trust_clients

__all__ = ["ON_REFUSED", "ServerTls", "TlsPaths"]

# Called with the error of a handshake in which a client or its certificate was refused.
ON_REFUSED: ContextVar[Callable[[ssl.SSLError], None]] = ContextVar("ON_REFUSED")

_LOOK_S = 1.0  # time between two looks at the files

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPaths:
    """PEM files of the server.

    Attributes:
        certificate: The server's certificate.
        key: The certificate's key.
        devices: Authority of the devices and its revocation list; None: no device is known.
        services: The same for services.
    """

    certificate: str
    key: str
    devices: tuple[str, str] | None = None
    services: tuple[str, str] | None = None

    @property
    def all(self) -> Sequence[str]:
        """The paths of all files."""
        return (self.certificate, self.key, *(self.devices or ()), *(self.services or ()))


class ServerTls:
    """The server's TLS.

    Args:
        paths: The files.

    Raises:
        ConfigError: A file is missing or wrong.
    """

    def __init__(self, paths: TlsPaths) -> None:
        self._paths = paths
        self._seen = self._state()
        self._looked_at_s = time.monotonic()
        self._context, self._services = _load(paths)

    def context(self) -> ssl.SSLContext:
        """Returns the context for a new connection."""
        now_s = time.monotonic()
        if now_s - self._looked_at_s >= _LOOK_S:
            self._looked_at_s = now_s
            if (found := self._state()) != self._seen:
                self._seen = found
                self._reload()
        return self._context

    def client(self, peer: dict[str, Any] | None) -> Client | None:
        """Returns the client of a connection; None without a certificate.

        Args:
            peer: Result of `getpeercert` of the connection's TLS.
        """
        if not peer:
            return None
        names = [text for part in peer["subject"] for key, text in part if key == "commonName"]
        if not names:
            return None
        by_service = peer["issuer"] in self._services
        return Client(ClientKind.SERVICE if by_service else ClientKind.DEVICE, names[0])

    def _reload(self) -> None:
        try:
            self._context, self._services = _load(self._paths)
        except ConfigError as error:  # such as a certificate whose key is not written yet
            _log.error("api: the changed files are not used until they are correct: %s", error)
        else:
            _log.info("api: read the changed certificates and revocation lists")

    def _state(self) -> list[tuple[int, int, int] | None]:
        return [_file_state(Path(path)) for path in self._paths.all]


class _AlertingObject(ssl.SSLObject):
    """The TLS of a connection, which lets asyncio send the alert that names a refusal's reason.

    asyncio closes a connection as soon as its handshake raises an error, and the alert is lost. So
    the first error is raised as a wish to read, after which asyncio sends what is to be sent.
    """

    _refusal: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """Continues the handshake; raises an error of the handshake at the next call."""
        if self._refusal is not None:
            raise self._refusal
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLSyscallError):
            raise
        except ssl.SSLError as error:
            self._refusal = error
            if (on_refused := ON_REFUSED.get(None)) is not None:
                on_refused(error)
            raise ssl.SSLWantReadError from error


def _file_state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _load(paths: TlsPaths) -> tuple[ssl.SSLContext, frozenset[object]]:
    """Returns the context, and the names of the authorities of services."""
    context = server_context(paths.certificate, paths.key, "[api]")
    context.sslobject_class = _AlertingObject
    services = frozenset[object]()
    if paths.devices is not None:
        trust_clients(context, *paths.devices, "[api] devices_")
    if paths.services is not None:
        services = trust_clients(context, *paths.services, "[api] services_")
        if not services:
            raise ConfigError(
                f"[api] services_ca_file: {paths.services[0]} contains the authority of "
                "devices_ca_file. Services need an authority of their own"
            )
    return context, services
