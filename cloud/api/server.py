"""Runs the API's server: one socket, one process, graceful shutdown. Nothing else imports uvicorn.

With a certificate the server uses https. Without one, put it behind a proxy that terminates TLS.
uvicorn parses requests and ends in order. Its own server has no time limit before the first request
and refuses everybody when there are many connections. So this module accepts connections itself:
`cloud.api.admission` decides which are kept, TLS handshakes included.
"""

import asyncio
import contextlib
import gc
import logging
import resource
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from cloud.api.access import Client
from cloud.api.admission import Admission, Limits, Place
from cloud.api.certificates import ON_REFUSED, ServerTls
from contract.errors import ConfigError

__all__ = ["Listen", "run_server"]

_QUEUED = 128  # connections that the kernel accepts before this process does
_GOODBYE_S = 5
_PAUSE_S = 0.1  # after a failed accept, such as without a free file descriptor
_LOG_S = 10.0  # time between two log lines about refused certificates
_COLLECT_EACH = 100  # connections; each leaves 0.4 MB of TLS buffers in a cycle of references
_FILES_EACH = 2  # a connection, and the bundle that it reads
_FILES_MORE = 100

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Address to listen on, TLS and limits.

    Attributes:
        host: Address to listen on.
        port: TCP port; 0 for any free one.
        limits: Limits of the connections.
        tls: The server's TLS; None for plain http.
    """

    host: str
    port: int
    limits: Limits
    tls: ServerTls | None = None

    @property
    def scheme(self) -> str:
        """Scheme of the URLs: https with TLS, else http."""
        return "http" if self.tls is None else "https"


def run_server(app: ASGIApp, where: Listen, listening: Callable[[int], None]) -> None:
    """Serves until SIGTERM or SIGINT; finishes open requests within 5 s.

    Afterwards the earlier signal handlers are restored, and called with the signal. The application
    finds the connection (`cloud.api.guard.Connection`) in `scope["state"]["connection"]`.

    Args:
        app: The application.
        where: Address, port, TLS and limits.
        listening: Called with the port when it accepts connections.

    Raises:
        ConfigError: The address cannot be used.
    """
    _allow_files(where.limits.connections * _FILES_EACH + _FILES_MORE)
    with _listener(where.host, where.port) as taken:
        taken.setblocking(False)
        chosen = taken.getsockname()[1]
        _log.info("api: listening on %s://%s:%d", where.scheme, where.host, chosen)
        listening(chosen)
        _Server(_settings(app), taken, where).run()


def _settings(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=_GOODBYE_S,
    )


class _Connection(H11Protocol):
    """One connection after its TLS handshake: `cloud.api.guard.Connection`."""

    def __init__(
        self,
        server: tuple[uvicorn.Config, ServerState],
        admission: Admission,
        place: Place,
        tls: ServerTls | None,
    ) -> None:
        super().__init__(*server, app_state={"connection": self})
        self._admission = admission
        self._place = place
        self._tls = tls
        self._requests = 0
        self._gone = False
        self.peer: Client | None = None

    def connection_made(  # type: ignore[override]  # as in uvicorn
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self._place.close = self._abort
        found = transport.get_extra_info("ssl_object")
        if self._tls is not None and found is not None:
            self.peer = self._tls.client(found.getpeercert())

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._admission.leave(self._place)
        super().connection_lost(exc)

    def _abort(self) -> None:
        self._gone = True
        with contextlib.suppress(AttributeError):  # asyncio's transport was closed twice already
            self.transport.abort()

    def begin(self) -> None:
        """Notes that a request is being answered."""
        self._requests += 1
        self._admission.begin(self._place)

    def end(self) -> None:
        """Notes that the answer is complete."""
        self._requests -= 1  # the next request may have begun while a file was being closed
        if self._requests == 0:
            # A transport that is gone must not be asked.
            unsent = not self._gone and self.transport.get_write_buffer_size() > 0
            self._admission.end(self._place, unsent=unsent)


class _Server(uvicorn.Server):
    """A server that accepts connections itself."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket, where: Listen) -> None:
        super().__init__(config)
        self.servers = []
        self._listener = listener
        self._tls = where.tls
        self._limits = where.limits
        self._admission = Admission(where.limits, time.monotonic)
        self._tasks: set[asyncio.Task[None]] = set()
        self._log_at_s = 0.0
        self._uncollected = 0

    async def startup(
        self,
        sockets: list[socket.socket] | None = None,  # noqa: ARG002 - uvicorn's; ours is open
    ) -> None:
        """Starts to accept connections."""
        await self.lifespan.startup()
        gc.collect()
        gc.freeze()  # what is loaded now stays, so later collections are short
        self._keep(self._accept())
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Closes connections that exceeded their time; called ten times a second."""
        self._admission.expire()
        if self._uncollected >= _COLLECT_EACH:
            # Python collects by the number of objects, and would do so after hundreds of MB.
            self._uncollected = 0
            gc.collect()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts no more connections, and finishes open requests."""
        for task in tuple(self._tasks):
            task.cancel()
        self._listener.close()
        await super().shutdown(sockets)

    def _keep(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(self._listener)
            except OSError as error:
                _log.warning("api: cannot accept a connection: %s", error.strerror or error)
                await asyncio.sleep(_PAUSE_S)
                continue
            self._admit(accepted, address[0])
            await asyncio.sleep(0)  # else many new connections would stop all others

    def _admit(self, accepted: socket.socket, address: str) -> None:
        place = self._admission.admit(address, accepted.close)
        if place is None:
            accepted.close()
            return
        task = self._keep(self._open(accepted, place))
        place.close = task.cancel
        task.add_done_callback(lambda done: self._opened(done, place))

    async def _open(self, accepted: socket.socket, place: Place) -> None:
        """Completes the TLS handshake, if there is one; the connection then serves itself."""
        ON_REFUSED.set(lambda error: self._log_refused(error, place.network))
        tls, context = self._tls, None if self._tls is None else self._tls.context()
        served = (self.config, self.server_state)
        limits = self._limits
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: _Connection(served, self._admission, place, tls),
            accepted,
            ssl=context,
            ssl_handshake_timeout=None if context is None else limits.request_s,
            # asyncio counts the rest of an answer to the end of TLS. The place has the other limit.
            ssl_shutdown_timeout=None if context is None else limits.transfer_s,
        )

    def _opened(self, done: "asyncio.Task[None]", place: Place) -> None:
        self._uncollected += 1
        if done.cancelled():
            self._admission.leave(place)
        elif (error := done.exception()) is not None:
            self._admission.leave(place)
            if not isinstance(error, OSError):  # others are the client's: an alert, a lost network
                _log.error("api: a connection from %s failed", place.network, exc_info=error)

    def _log_refused(self, error: ssl.SSLError, network: str) -> None:
        """Logs a certificate that was refused, but not each of many."""
        if isinstance(error, ssl.SSLCertVerificationError) and time.monotonic() > self._log_at_s:
            self._log_at_s = time.monotonic() + _LOG_S
            reason = error.verify_message
            _log.warning("api: refused the certificate of a client at %s: %s", network, reason)


def _allow_files(wanted: int) -> None:
    """Raises this process's limit of open files, as far as the system permits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    top = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < top:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (top, hard))


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
