"""Runs the API's server: one socket, one process, graceful shutdown. Nothing else imports uvicorn.

With a certificate the server uses https. Without one, put it behind a proxy that terminates TLS.
Bundles are signed, so gateways detect bytes that were changed on the way.
"""

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from contract.errors import ConfigError
from transport.tls import server_context

__all__ = ["Listen", "run_server"]

_QUEUED = 128  # connections
_AT_ONCE = 256  # parallel requests; further ones get 503
_GOODBYE_S = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Address to listen on, and the certificate.

    Attributes:
        host: Address to listen on.
        port: TCP port; 0 for any free one.
        certificate: Files (PEM) of certificate and key; None for plain http.
    """

    host: str
    port: int
    certificate: tuple[str, str] | None = None

    @property
    def scheme(self) -> str:
        """Scheme of the URLs: https with a certificate, else http."""
        return "http" if self.certificate is None else "https"


def run_server(app: ASGIApp, where: Listen, listening: Callable[[int], None]) -> None:
    """Serves until SIGTERM or SIGINT; finishes open requests within 5 s.

    Afterwards the earlier signal handlers are restored, and called with the signal.

    Args:
        app: The application.
        where: Address, port and certificate.
        listening: Called with the port when it accepts connections.

    Raises:
        ConfigError: The address or the certificate cannot be used.
    """
    server = uvicorn.Server(_settings(app, where.certificate))
    with _listener(where.host, where.port) as taken:
        chosen = taken.getsockname()[1]
        _log.info("api: listening on %s://%s:%d", where.scheme, where.host, chosen)
        listening(chosen)
        server.run([taken])


def _settings(app: ASGIApp, certificate: tuple[str, str] | None) -> uvicorn.Config:
    if certificate is not None:
        server_context(*certificate, "[api]")  # checks the files, with clear messages
    return uvicorn.Config(
        app,
        ssl_certfile=certificate and certificate[0],
        ssl_keyfile=certificate and certificate[1],
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        limit_concurrency=_AT_ONCE,
        timeout_graceful_shutdown=_GOODBYE_S,
    )


def _listener(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address, family=family, backlog=_QUEUED)
    except OSError as error:
        raise ConfigError(
            f"[api] host, port: cannot listen on {host} port {port}: {error.strerror or error}"
        ) from error
