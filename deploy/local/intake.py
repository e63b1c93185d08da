"""A stand-in for Logstash's http input on this machine: answers as that does, filters nothing.

For tests and proofs, since there is no Logstash in them. What it takes it hands over event by
event; when it answers otherwise than with 200 is for its maker to say.
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
    """What becomes of one request."""

    TAKEN = "taken"  # 200: every event is in the queue
    BUSY = "busy"  # 429, and the connection closes
    FAILED = "failed"  # 500, nothing was taken
    FAILED_PARTLY = "failed partly"  # 500, half of it was taken
    UNAVAILABLE = "unavailable"  # 503
    CUT = "cut"  # closed before the body was read
    CUT_AFTER = "cut after"  # taken, and closed instead of an answer
    SLOW = "slow"  # taken, and answered too late
    LATE = "late"  # taken and answered too late


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeManner:
    """How the intake behaves.

    Attributes:
        account: User and password that it asks for.
        most_bytes: Of a body, inflated; beyond it the answer is 413.
        slow_s: How long SLOW and LATE wait.
        tls: For https.
        status: Answers everything with this, whatever it is.
    """

    account: tuple[str, str] | None = None
    most_bytes: int = 20_000_000
    slow_s: float = 1.0
    tls: ssl.SSLContext | None = None
    status: int | None = None


class Intake:
    """An HTTP server on 127.0.0.1.

    Attributes:
        url: Its address.
        requests_total: Requests so far, whatever became of them.
        connections_total: Connections so far.
    """

    def __init__(
        self,
        take: Callable[[Event], None],
        answer: Callable[[], Answer] = lambda: Answer.TAKEN,
        manner: IntakeManner | None = None,
    ) -> None:
        """Listens at once.

        Args:
            take: Gets each event, from several threads.
            answer: Says what becomes of the next request.
            manner: How it behaves.
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
        """Ends the server and waits for its threads; those that are late still answer."""
        self._server.shutdown()
        self._server.hear_no_more()
        self._server.server_close()
        self._thread.join(30)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # close waits for those that are late

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
        """Ends connections that wait for their next request."""
        for accepted in list(self._open):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                accepted.shutdown(socket.SHUT_RD)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # the connection stays open
    disable_nagle_algorithm = True  # else each answer waits 40 ms
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
        except OSError:  # the client did not wait so long
            self.close_connection = True

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_args: object) -> None: ...


def events_of(text: str) -> list[Event]:
    """Returns a body's events as the json codec makes them: one per element; what is none is a text."""
    try:
        read = json.loads(text)
    except ValueError:
        return [_unread(text)]
    found = read if isinstance(read, list) else [read]
    return [e if isinstance(e, dict) else _unread(text) for e in found]


def _unread(text: str) -> Event:
    return {"message": text, "tags": ["_jsonparsefailure"]}
