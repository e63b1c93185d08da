"""Simulates Logstash's http input for tests and proofs, which have no Logstash.

The server passes each accepted event to a function. Another function chooses the answer to each
request, such as 200 or 429. Nothing is filtered. The server also answers `GET /_health_report`, for
which Logstash has another port.
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
    FULL = "full"  # the queue is full for a while: no answer, then 429 for others


_REFUSALS = {Answer.BUSY: 429, Answer.FAILED: 500, Answer.UNAVAILABLE: 503}


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeManner:
    """Configures the server.

    Attributes:
        account: Required user and password.
        most_bytes: Largest inflated size of a body; the answer to a larger one is 413.
        slow_s: Delay of SLOW and LATE, and half the time of FULL, seconds.
        blocked_s: Other posts get 429 when one has waited so long for the queue, seconds.
        tls: TLS context for https.
        status: Status that answers every request; None for normal answers.
    """

    account: tuple[str, str] | None = None
    most_bytes: int = 20_000_000
    slow_s: float = 1.0
    blocked_s: float = 10.0
    tls: ssl.SSLContext | None = None
    status: int | None = None


class Intake:
    """Runs an HTTP server on 127.0.0.1.

    Attributes:
        url: Address of the server.
        has_space: Cleared while the queue is full: a post then gets no answer until it is set.
        pipelines: State of each pipeline in the health report, such as RUNNING; None for a server
            without this report.
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
        self.has_space = threading.Event()
        self.has_space.set()
        self.pipelines: dict[str, str] | None = {}
        self.requests_total = self.connections_total = 0
        self.closing = False
        self._waiting: dict[int, float] = {}  # by thread, since when a post waits
        self._server = _Server(self)
        scheme = "http" if self.manner.tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def fill(self) -> None:
        """Makes the queue full for a while."""
        self.has_space.clear()
        timer = threading.Timer(2 * self.manner.slow_s, self.has_space.set)
        timer.daemon = True
        timer.start()

    def blocked(self) -> bool:
        """Returns whether a post waits for the queue for so long that others get 429."""
        limit_s = time.monotonic() - self.manner.blocked_s
        return any(since_s < limit_s for since_s in list(self._waiting.values()))

    def wait_for_space(self) -> bool:
        """Waits while the queue is full; returns False if the server is closed meanwhile."""
        self._waiting[threading.get_ident()] = time.monotonic()
        self.has_space.wait()
        del self._waiting[threading.get_ident()]
        return not self.closing

    def close(self) -> None:
        """Stops the server and waits for its threads; delayed answers are still sent."""
        self.closing = not self.has_space.is_set()
        self.has_space.set()
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

    def do_GET(self) -> None:
        pipelines = self.server.intake.pipelines
        if self.path != "/_health_report" or pipelines is None:
            self._say(404)
            return
        inner = {
            name: {
                "status": "green" if state == "RUNNING" else "red",
                "symptom": "the pipeline is healthy" if state == "RUNNING" else "it is unhealthy",
                "details": {"status": {"state": state}},
            }
            for name, state in pipelines.items()
        }
        worst = "green" if all(s == "RUNNING" for s in pipelines.values()) else "red"
        report = {"status": worst, "indicators": {"pipelines": {"indicators": inner}}}
        self._say(200, json.dumps(report).encode())

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
        if intake.blocked():
            answer = Answer.BUSY
        if answer in _REFUSALS:
            self._say(_REFUSALS[answer])
            return
        if answer is Answer.LATE:
            time.sleep(intake.manner.slow_s)
        if answer is Answer.FULL:
            intake.fill()
        if not intake.wait_for_space():
            self._cut()
            return
        for event in events[: len(events) // 2] if answer is Answer.FAILED_PARTLY else events:
            intake.take(event)
        self._end(answer)

    def _end(self, answer: Answer) -> None:
        if answer is Answer.SLOW:
            time.sleep(self.server.intake.manner.slow_s)
        if answer is Answer.CUT_AFTER:
            self._cut()
        else:
            self._say(500 if answer is Answer.FAILED_PARTLY else 200)

    def _say(self, status: int, body: bytes | None = None) -> None:
        if body is None:
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
        with contextlib.suppress(OSError):  # the client may have closed the connection
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_args: object) -> None: ...


def events_of(text: str) -> list[Event]:
    """Returns a body's events like Logstash's json codec: one per element, or the tagged text.

    What follows the first JSON value is dropped.
    """
    try:
        read, _ = json.JSONDecoder().raw_decode(text.lstrip())
    except ValueError:
        return [_unread(text)]
    found = read if isinstance(read, list) else [read]
    return [e if isinstance(e, dict) else _unread(text) for e in found]


def _unread(text: str) -> Event:
    return {"message": text, "tags": ["_jsonparsefailure"]}
