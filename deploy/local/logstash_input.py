"""Simulates Logstash's http input for tests and proofs, which have no Logstash.

The server passes each accepted event to a function. Another function chooses the answer to each
request, such as 200 or 429. Nothing is filtered.
"""

import base64
import contextlib
import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Answer", "Event", "Intake", "IntakeManner", "events_of"]

Event = dict[str, Any]


class Answer(StrEnum):
    """Names the possible results of a request."""

    TAKEN = "taken"  # 200: all events are accepted
    BUSY = "busy"  # 429: nothing is accepted, and the connection is closed
    FAILED = "failed"  # 500: nothing is accepted
    FAILED_PARTLY = "failed partly"  # 500: the first half of the events is accepted
    UNAVAILABLE = "unavailable"  # 503: nothing is accepted
    CUT = "cut"  # the connection is closed before the body is read
    CUT_AFTER = "cut after"  # all events are accepted, then the connection is closed
    SLOW = "slow"  # all events are accepted at once, and the answer comes too late
    LATE = "late"  # events are accepted late, and the answer comes too late


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeManner:
    """Configures the server.

    Attributes:
        account: Required user and password.
        most_bytes: Largest inflated size of a body; the answer to a larger one is 413.
        slow_s: Delay of SLOW and LATE, seconds.
        tls: TLS context for https.
        status: Status that answers every request; None for normal answers.
    """

    account: tuple[str, str] | None = None
    most_bytes: int = 20_000_000
    slow_s: float = 1.0
    tls: ssl.SSLContext | None = None
    status: int | None = None


class Intake:
    """Runs an HTTP server on 127.0.0.1.

    Attributes:
        url: Address of the server.
        requests_total: Number of requests so far, with any result.
        connections_total: Number of connections so far.
    """

    def __init__(
        self,
        take: Callable[[Event], None],
        answer: Callable[[], Answer] = lambda: Answer.TAKEN,
        manner: IntakeManner | None = None,
    ) -> None:
        """Starts the server.

        Args:
            take: Function that gets each accepted event; several threads call it.
            answer: Function that returns the result for the next request.
            manner: Configuration.
        """
        self.take = take
        self.answer = answer
        self.manner = manner or IntakeManner()
        self.requests_total = self.connections_total = 0
        self._server = _Server(self)
        scheme = "http" if self.manner.tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        """Stops the server and waits for its threads; delayed answers are still sent."""
        self._server.shutdown()
        self._server.hear_no_more()
        self._server.server_close()
        self._thread.join(30)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that close waits for delayed answers

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)
        if intake.manner.tls is not None:
            self.socket = intake.manner.tls.wrap_socket(self.socket, server_side=True)

    def get_request(self) -> tuple[socket.socket, Any]:
        accepted, address = super().get_request()
        self._open.add(accepted)
        return accepted, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hear_no_more(self) -> None:
        """Closes connections that wait for their next request."""
        for accepted in list(self._open):
            with contextlib.suppress(OSError):  # the client may have closed the connection
                accepted.shutdown(socket.SHUT_RD)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open
    disable_nagle_algorithm = True  # otherwise each answer takes 40 ms longer
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.intake.connections_total += 1

    def do_POST(self) -> None:
        intake = self.server.intake
        intake.requests_total += 1
        answer = intake.answer()
        if answer is Answer.CUT:
            self._cut()
            return
        length = int(self.headers["Content-Length"])
        text = gzip.decompress(self.rfile.read(length)).decode()
        status = self._refusal(text)
        if status is not None:
            self._say(status)
            return
        self._become(answer, events_of(text))

    def _refusal(self, text: str) -> int | None:
        manner = self.server.intake.manner
        if manner.status is not None:
            return manner.status
        if manner.account is not None:
            wanted = base64.b64encode(":".join(manner.account).encode()).decode()
            if self.headers["Authorization"] != f"Basic {wanted}":
                return 401
        return 413 if len(text.encode()) > manner.most_bytes else None

    def _become(self, answer: Answer, events: list[Event]) -> None:
        intake = self.server.intake
        refused = {Answer.BUSY: 429, Answer.FAILED: 500, Answer.UNAVAILABLE: 503}
        if answer in refused:
            self._say(refused[answer])
            return
        if answer is Answer.FAILED_PARTLY:
            events = events[: len(events) // 2]
        if answer is Answer.LATE:
            time.sleep(intake.manner.slow_s)
        for event in events:
            intake.take(event)
        if answer is Answer.SLOW:
            time.sleep(intake.manner.slow_s)
        if answer is Answer.CUT_AFTER:
            self._cut()
            return
        self._say(500 if answer is Answer.FAILED_PARTLY else 200)

    def _say(self, status: int) -> None:
        body = b"ok" if status == 200 else b"no"
        self.close_connection = status in (413, 429)
        try:
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # the client closed the connection before the answer
            self.close_connection = True

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_args: object) -> None: ...


def events_of(text: str) -> list[Event]:
    """Returns a body's events like Logstash's json codec: one per element, or the tagged text."""
    try:
        read = json.loads(text)
    except ValueError:
        return [_unread(text)]
    found = read if isinstance(read, list) else [read]
    return [e if isinstance(e, dict) else _unread(text) for e in found]


def _unread(text: str) -> Event:
    return {"message": text, "tags": ["_jsonparsefailure"]}
