"""Lets only known clients use the application, and each only a few requests at a time."""

from collections import Counter
from collections.abc import Hashable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud.api.access import Access, Client, ClientKind

__all__ = ["Connection", "Guard"]

_OPEN = "/health"  # for supervisors and load balancers; it says nothing about gateways
_RETRY_S = 5
_UNKNOWN = (
    "a client certificate of the fleet's authority, or a token in the header `Authorization: "
    "Bearer TOKEN`, is missing. On a gateway set certificate_file and key_file in [uplink] or "
    "[models], or token_file in [models]; release 0.1 has no such keys in [models]: update it"
)
_REFUSED = (
    "the token in the header Authorization is unknown. Use a token of [api] token_file or "
    "bundles_token_file, as `Authorization: Bearer TOKEN`"
)


class Connection(Protocol):
    """The connection of a request, `scope["state"]["connection"]`."""

    @property
    def peer(self) -> Client | None:
        """The client by its certificate; None if it showed none."""
        ...

    def begin(self) -> None:
        """Notes that a request is being answered."""
        ...

    def end(self) -> None:
        """Notes that the answer is complete."""
        ...


class Guard:
    """An ASGI application that passes requests of known clients to another one.

    The other application finds the client in `request.state.client`.

    Args:
        app: The other application.
        access: Identifies clients.
        at_once: Largest number of requests of one client that are answered at a time.
    """

    def __init__(self, app: ASGIApp, access: Access, at_once: int) -> None:
        self._app = app
        self._access = access
        self._at_once = at_once
        self._answering: Counter[Hashable] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        connection: Connection = scope["state"]["connection"]
        connection.begin()
        try:
            await self._answer(scope, receive, send, connection.peer)
        finally:
            connection.end()

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, peer: Client | None
    ) -> None:
        if scope["path"] == _OPEN:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        authorization = request.headers.get("authorization")
        client = self._access.identify(peer, authorization, scope["path"])
        if client is None:
            await _unauthorized(scope["path"], authorization)(scope, receive, send)
            return
        scope["state"]["client"] = client
        await self._limited(_turn(client, request), scope, receive, send)

    async def _limited(self, turn: Hashable, scope: Scope, receive: Receive, send: Send) -> None:
        if self._answering[turn] >= self._at_once:
            text = f"{self._at_once} requests of this client are being answered already; try later"
            answer = _refusal(scope["path"], 429, text, {"retry-after": str(_RETRY_S)})
            await answer(scope, receive, send)
            return
        self._answering[turn] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._answering[turn] -= 1
            if not self._answering[turn]:
                del self._answering[turn]


def _turn(client: Client, request: Request) -> Hashable:
    """Returns the key by which requests are counted: a device, or one address of others."""
    if client.kind is ClientKind.DEVICE:
        return client
    return client, request.client and request.client.host


def _unauthorized(path: str, authorization: str | None) -> Response:
    text = _UNKNOWN if authorization is None else _REFUSED
    return _refusal(path, 401, text, {"www-authenticate": 'Bearer realm="dewline"'})


def _refusal(path: str, status: int, text: str, headers: dict[str, str]) -> Response:
    if path.startswith("/bundles"):
        return PlainTextResponse(text + "\n", status_code=status, headers=headers)
    table = {"status": "failed", "reason": text}
    return JSONResponse(table, status_code=status, headers=headers)
