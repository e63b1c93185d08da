"""Runs the application: one socket, one process, an orderly end. The one file that knows uvicorn.

With a certificate it speaks https. Without one it belongs behind whatever ends TLS; bundles are
signed, so a line that changes their bytes is found out by the gateways.
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
_AT_ONCE = 256  # requests; more are told to come again (503)
_GOODBYE_S = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where to listen, and how.

    Attributes:
        host: Address to listen at.
        port: TCP port, 0 for any that is free.
        certificate: Files (PEM) of certificate and key; None: plain http.
    """

    host: str
    port: int
    certificate: tuple[str, str] | None = None

    @property
    def scheme(self) -> str:
        """Of its URLs: https with a certificate, else http."""
        return "http" if self.certificate is None else "https"


def run_server(app: ASGIApp, where: Listen, listening: Callable[[int], None]) -> None:
    """Serves until SIGTERM or SIGINT; requests under way are finished, for 5 s at most.

    Signal handlers that were set before stand again afterwards and have been called.

    Args:
        app: What answers.
        where: Address, port and certificate.
        listening: Is told the port, once connections to it are taken.

    Raises:
        ConfigError: The address cannot be listened at, or the certificate cannot be used.
    """
    server = uvicorn.Server(_settings(app, where.certificate))
    with _listener(where.host, where.port) as taken:
        chosen = taken.getsockname()[1]
        _log.info("api: listening at %s://%s:%d", where.scheme, where.host, chosen)
        listening(chosen)
        server.run([taken])


def _settings(app: ASGIApp, certificate: tuple[str, str] | None) -> uvicorn.Config:
    if certificate is not None:
        server_context(*certificate, "[api]")  # the same files, with words for what is wrong
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
            f"[api]: cannot listen at {host} port {port}: {error.strerror or error}"
        ) from error
