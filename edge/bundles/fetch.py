"""Fetches one file over HTTP into a part file and resumes an interrupted download.

An attempt is one request. It never writes more than the announced size, never follows a redirect
and never lasts longer than its limit. The caller verifies the bytes.
"""

import http.client
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from contract.errors import ConfigError
from edge.errors import FetchUnavailable, SlotsUnavailable, UpdateRefused
from transport.tls import TlsFiles, client_context, tls_failure, wait_for_refusal

__all__ = ["Attempt", "fetch"]

_CHUNK_BYTES = 16_384
_SILENCE_S = 30.0  # longest time without a byte before the connection is given up
_REASON_BYTES = 500
_SYSTEM = TlsFiles(ca_file=None)
_PART_OF = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_OK, _PARTIAL, _BAD_RANGE = 200, 206, 416


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Says what to fetch, and within which limits.

    Attributes:
        url: Address of the file, http or https.
        part: File that is filled; bytes that it already contains are not requested again.
        size_bytes: The whole file's announced size.
        timeout_s: Longest time from connecting to the last byte, seconds.
        tls: For https: CA certificates that replace the system's, and this device's certificate.
        token_file: For https: file with the token that the server asks for, read at each attempt.
        given_up: Called between two pieces; true ends the attempt.
        step: Called with `answered`, then with `part_grown` after each piece.
    """

    url: str
    part: Path
    size_bytes: int
    timeout_s: float
    tls: TlsFiles = _SYSTEM
    token_file: str | None = None
    given_up: Callable[[], bool] = lambda: False
    step: Callable[[str], None] = lambda _name: None


def fetch(attempt: Attempt) -> bool:
    """Completes the part file.

    Returns:
        Whether an earlier attempt fetched the first bytes.

    Raises:
        FetchUnavailable: The download is incomplete; the received bytes are kept.
        UpdateRefused: `wrong_size`: the server's file does not have the announced size.
        SlotsUnavailable: The part file cannot be written.
    """
    have_bytes = _have(attempt.part, attempt.size_bytes)
    if have_bytes == attempt.size_bytes:
        return True
    with closing(_PartFile(attempt.part)) as part, _answer(attempt, have_bytes) as response:
        attempt.step("answered")
        begin = _begin(response, attempt, have_bytes)
        if begin is None:
            part.go_to(0)
            raise FetchUnavailable(
                f"{attempt.url}: the server cannot resume at byte {have_bytes}. The next attempt "
                "starts at byte 0"
            )
        part.go_to(begin)
        _copy(response, part, attempt, attempt.size_bytes - begin)
        return begin > 0


def _have(part: Path, size_bytes: int) -> int:
    """Returns the number of bytes already fetched; 0 if the part is longer than announced."""
    try:
        have = part.stat().st_size
    except FileNotFoundError:
        return 0
    return have if have <= size_bytes else 0


class _PartFile:
    """Writes the part file; its errors are SlotsUnavailable, apart from those of the network."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._disk():
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)

    def close(self) -> None:
        os.close(self._descriptor)

    def go_to(self, begin: int) -> None:
        with self._disk():
            os.truncate(self._descriptor, begin)
            os.lseek(self._descriptor, begin, os.SEEK_SET)

    def write(self, piece: bytes) -> None:
        with self._disk():
            while piece:
                piece = piece[os.write(self._descriptor, piece) :]

    @contextmanager
    def _disk(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise SlotsUnavailable(f"{self._path}: {error.strerror}") from error


@contextmanager
def _answer(attempt: Attempt, have_bytes: int) -> Generator[http.client.HTTPResponse]:
    """Yields the server's answer; closes the connection at the deadline."""
    deadline_s = time.monotonic() + attempt.timeout_s
    try:
        with closing(_connection(attempt)) as connection:
            _connect(connection, attempt.tls)
            with (
                _cut_at(deadline_s, connection.sock),
                _ask(connection, attempt, have_bytes) as response,
            ):
                yield response
    except (OSError, ValueError, ConfigError, http.client.HTTPException) as error:
        raise _unavailable(attempt, str(error) or type(error).__name__, deadline_s) from error


def _connection(attempt: Attempt) -> http.client.HTTPConnection:
    url, timeout_s = urlsplit(attempt.url), min(attempt.timeout_s, _SILENCE_S)
    if url.scheme != "https":
        return http.client.HTTPConnection(url.netloc, timeout=timeout_s)
    context = client_context(attempt.tls, "[models]")
    return http.client.HTTPSConnection(url.netloc, timeout=timeout_s, context=context)


def _connect(connection: http.client.HTTPConnection, tls: TlsFiles) -> None:
    """Connects; with a certificate of its own, waits for a server that refuses it."""
    connection.connect()
    if isinstance(connection, http.client.HTTPSConnection) and tls.certificate_file is not None:
        connection.sock.settimeout(0)
        try:
            wait_for_refusal(connection.sock)
        finally:
            connection.sock.settimeout(connection.timeout)


@contextmanager
def _cut_at(deadline_s: float, sock: socket.socket) -> Generator[None]:
    def cut() -> None:
        with suppress(OSError):  # the socket may be closed already
            # SSLSocket.shutdown would discard the TLS state that the reading thread still uses.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(deadline_s - time.monotonic(), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _unavailable(attempt: Attempt, text: str, deadline_s: float) -> FetchUnavailable:
    if time.monotonic() >= deadline_s:
        text = (
            f"the download is incomplete after {attempt.timeout_s:g} s ([models] fetch_timeout_s)"
        )
    elif (failure := tls_failure(text)) is not None:
        text = failure.text
    return FetchUnavailable(f"{attempt.url}: {text[:200]}")


def _ask(
    connection: http.client.HTTPConnection, attempt: Attempt, have_bytes: int
) -> http.client.HTTPResponse:
    headers = {"Accept-Encoding": "identity", "Connection": "close"}
    if have_bytes:
        headers["Range"] = f"bytes={have_bytes}-"
    if attempt.token_file is not None:
        headers["Authorization"] = f"Bearer {_token(attempt.token_file)}"
    connection.request("GET", urlsplit(attempt.url).path, headers=headers)
    return connection.getresponse()


def _token(path: str) -> str:
    try:
        token = Path(path).read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"[models] token_file: {path} cannot be read: {error}") from error
    if not token.isprintable() or " " in token or not token:
        raise ConfigError(f"[models] token_file: {path}: expected one token and nothing else")
    return token


def _begin(response: http.client.HTTPResponse, attempt: Attempt, have_bytes: int) -> int | None:
    """Returns the position of the answer's first byte in the file; None if we cannot resume."""
    if response.getheader("Content-Encoding", "identity") != "identity":
        raise FetchUnavailable(f"{attempt.url}: the answer has a Content-Encoding; expected none")
    if response.status == _OK:  # the server does not support ranges and sends the whole file
        _require_size(response.getheader("Content-Length"), attempt)
        return 0
    if response.status == _BAD_RANGE and have_bytes:
        return None
    if response.status == _PARTIAL and have_bytes:
        found = _PART_OF.fullmatch(response.getheader("Content-Range", ""))
        if found is not None:
            _require_size(found[3], attempt)
        return have_bytes if found is not None and int(found[1]) == have_bytes else None
    hint = "; redirects are not followed" if 300 <= response.status < 400 else _reason(response)
    raise FetchUnavailable(f"{attempt.url}: the server answered HTTP {response.status}{hint}")


def _reason(response: http.client.HTTPResponse) -> str:
    """Returns the reason that a refusal's plain text states, with a colon before it."""
    if response.headers.get_content_type() != "text/plain":
        return ""
    text = response.read1(_REASON_BYTES).decode("utf-8", "replace").split("\n", 1)[0]
    return ": " + "".join(c if c.isprintable() else " " for c in text) if text else ""


def _require_size(said: str | None, attempt: Attempt) -> None:
    if said is not None and said != str(attempt.size_bytes):
        raise _wrong_size(attempt, f"has {said[:20]} bytes")


def _wrong_size(attempt: Attempt, text: str) -> UpdateRefused:
    return UpdateRefused(
        "wrong_size", f"the server's file {text}; announced were {attempt.size_bytes} bytes"
    )


def _copy(
    response: http.client.HTTPResponse, part: _PartFile, attempt: Attempt, left_bytes: int
) -> None:
    while left_bytes:
        if attempt.given_up():
            raise FetchUnavailable(
                f"{attempt.url}: the download was interrupted by a stop or a newer desired state"
            )
        piece = response.read1(min(_CHUNK_BYTES, left_bytes))
        if not piece:
            have_bytes = attempt.size_bytes - left_bytes
            raise http.client.HTTPException(  # `_answer` checks if our own deadline was the cause
                f"the connection ended after {have_bytes} of {attempt.size_bytes} bytes"
            )
        part.write(piece)
        left_bytes -= len(piece)
        attempt.step("part_grown")
    if response.read1(1):
        raise _wrong_size(attempt, "has more bytes")
