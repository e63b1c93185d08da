"""Runs the application: one socket, one process, an orderly end. The one file that knows uvicorn.

Speaks plain HTTP and belongs behind whatever ends TLS; bundles are signed, so a line that changes
their bytes is found out by the gateways.
"""

import logging
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from contract.errors import ConfigError

__all__ = ["run_server"]

_QUEUED = 128  # connections
_AT_ONCE = 256  # requests; more are told to come again (503)
_GOODBYE_S = 5

_log = logging.getLogger(__name__)


def run_server(app: ASGIApp, host: str, port: int, listening: Callable[[int], None]) -> None:
    """Serves until SIGTERM or SIGINT; requests under way are finished, for 5 s at most.

    Signal handlers that were set before stand again afterwards and have been called.

    Args:
        app: What answers.
        host: Address to listen at.
        port: TCP port, 0 for any that is free.
        listening: Is told the port, once connections to it are taken.

    Raises:
        ConfigError: The address cannot be listened at.
    """
    server = uvicorn.Server(_settings(app))
    with _listener(host, port) as taken:
        chosen = taken.getsockname()[1]
        _log.info("api: listening at %s:%d", host, chosen)
        listening(chosen)
        server.run([taken])


def _settings(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
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
