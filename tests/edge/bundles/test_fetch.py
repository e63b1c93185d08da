"""Fetching against servers on real sockets: one that behaves, and others that say anything."""

import random
import re
import socket
import ssl
import threading
import time

import pytest

from edge.bundles.fetch import Attempt, fetch
from edge.errors import FetchUnavailable, SlotsUnavailable, UpdateRefused
from transport.tls import TlsFiles

FILE = random.Random(20130101).randbytes(100_000)
HALF = len(FILE) // 2


class Server:
    """Answers each request with what `answer(request)` yields; a number is a pause in seconds."""

    def __init__(self, answer, context=None):
        self.requests = []
        self._answer = answer
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/bundles/x.dwb"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._context is not None:
                try:
                    client = self._context.wrap_socket(client, server_side=True)
                except OSError:
                    continue  # the client tells what was wrong
            with client:
                request = client.recv(65_536).decode()
                self.requests.append(request)
                try:
                    for piece in self._answer(request):
                        if isinstance(piece, bytes):
                            client.sendall(piece)
                        else:
                            time.sleep(piece)
                except OSError:
                    pass  # the client has gone

    def close(self):
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def serve():
    started = []

    def start(answer, context=None):
        started.append(Server(answer, context))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def attempt(tmp_path):
    """`attempt(server, ...)`: to fetch `FILE` from it."""

    def make(server, **keys):
        known = {"part": tmp_path / "x.part", "size_bytes": len(FILE), "timeout_s": 20.0}
        return Attempt(url=server.url, **{**known, **keys})

    return make


def asked_from(request):
    match = re.search(r"(?m)^Range: bytes=(\d+)-\r$", request)
    return int(match[1]) if match else None


def good(request):
    """Serves ranges as RFC 9110, section 14, says."""
    begin = asked_from(request)
    if begin is None:
        yield f"HTTP/1.1 200 OK\r\nContent-Length: {len(FILE)}\r\n\r\n".encode()
    else:
        yield (
            f"HTTP/1.1 206 Partial Content\r\nContent-Length: {len(FILE) - begin}\r\n"
            f"Content-Range: bytes {begin}-{len(FILE) - 1}/{len(FILE)}\r\n\r\n"
        ).encode()
    yield FILE[begin or 0 :]


def without_ranges(_request):
    yield f"HTTP/1.0 200 OK\r\nContent-Length: {len(FILE)}\r\n\r\n".encode()
    yield FILE


def without_length(_request):
    yield b"HTTP/1.0 200 OK\r\n\r\n"
    yield FILE


def in_chunks(_request):
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for begin in range(0, len(FILE), 30_000):
        piece = FILE[begin : begin + 30_000]
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    yield b"0\r\n\r\n"


def cut_in_half(request):
    """Breaks every answer off after at most half of the file."""
    head, body = good(request)
    yield head
    yield body[:HALF]


def a_little(request):
    """Ranges may be answered by less than was asked for."""
    begin = asked_from(request) or 0
    end = min(begin + 40_000, len(FILE))
    if begin == 0:
        yield from cut_in_half(request)
        return
    yield (
        f"HTTP/1.1 206 Partial Content\r\nContent-Length: {end - begin}\r\n"
        f"Content-Range: bytes {begin}-{end - 1}/{len(FILE)}\r\n\r\n"
    ).encode()
    yield FILE[begin:end]


@pytest.mark.parametrize("answer", [good, without_ranges, without_length, in_chunks])
@pytest.mark.parametrize("have_bytes", [0, 1, HALF, len(FILE) - 1])
def test_the_file_arrives_whatever_is_there_already(serve, attempt, answer, have_bytes):
    server = serve(answer)
    wanted = attempt(server)
    if have_bytes:
        wanted.part.write_bytes(FILE[:have_bytes])
    begun = fetch(wanted)
    assert wanted.part.read_bytes() == FILE
    assert begun == (answer is good and have_bytes > 0)
    assert [asked_from(r) for r in server.requests] == [have_bytes or None]


def test_a_whole_part_is_not_asked_for(serve, attempt):
    server = serve(good)
    wanted = attempt(server)
    wanted.part.write_bytes(FILE)
    assert fetch(wanted)
    assert server.requests == []


def test_a_part_that_is_too_long_is_begun_anew(serve, attempt):
    wanted = attempt(serve(good))
    wanted.part.write_bytes(FILE + b"x")
    assert not fetch(wanted)
    assert wanted.part.read_bytes() == FILE


@pytest.mark.parametrize("answer", [cut_in_half, a_little])
def test_attempts_go_on_where_the_last_one_stopped(serve, attempt, answer):
    server = serve(answer)
    wanted = attempt(server)
    with pytest.raises(FetchUnavailable, match=f"ended after {HALF} of {len(FILE)} bytes"):
        fetch(wanted)
    assert wanted.part.read_bytes() == FILE[:HALF]
    for _ in range(3):
        try:
            begun = fetch(wanted)
        except FetchUnavailable:
            continue
        break
    assert begun
    assert wanted.part.read_bytes() == FILE
    assert asked_from(server.requests[1]) == HALF


def says_nothing_late(request):
    """The head, and then silence."""
    head, _body = good(request)
    yield head
    yield 4.0


def answering(text, body=b""):
    def answer(_request):
        yield text.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body

    return answer


WRONG_SIZE = {
    "a truncated file": (answering(f"HTTP/1.1 200 OK\nContent-Length: {HALF}", FILE[:HALF]), HALF),
    "a larger one": (answering("HTTP/1.1 200 OK\nContent-Length: 4000000000", FILE), 4_000_000_000),
    "a truncated file, by range": (
        answering(f"HTTP/1.1 206 Partial\nContent-Range: bytes 1000-{HALF - 1}/{HALF}"),
        HALF,
    ),
}


@pytest.mark.parametrize("name", WRONG_SIZE)
def test_a_file_of_another_size_is_refused_before_its_bytes(serve, attempt, name):
    answer, size = WRONG_SIZE[name]
    wanted = attempt(serve(answer))
    wanted.part.write_bytes(FILE[:1000])
    with pytest.raises(UpdateRefused) as got:
        fetch(wanted)
    assert f"has {size} bytes; announced were {len(FILE)} bytes" in str(got.value)
    assert got.value.code == "wrong_size"
    assert wanted.part.stat().st_size == 1000


@pytest.mark.parametrize("head", ["HTTP/1.0 200 OK", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked"])
def test_no_more_is_written_than_was_announced(serve, attempt, head):
    """A server that says nothing of the length and never ends."""

    def endless(_request):
        yield head.replace("\n", "\r\n").encode() + b"\r\n\r\n"
        piece = b"x" * 10_000
        while True:
            yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if "chunk" in head else piece

    wanted = attempt(serve(endless))
    with pytest.raises(UpdateRefused, match="the server's file has more bytes"):
        fetch(wanted)
    assert wanted.part.stat().st_size == len(FILE)


UNAVAILABLE = {
    "not there": (answering("HTTP/1.1 404 Not Found"), "HTTP 404"),
    "an error": (answering("HTTP/1.1 500 Oh"), "HTTP 500"),
    "a redirect": (
        answering("HTTP/1.1 302 Found\nLocation: http://127.0.0.1:1/"),
        "HTTP 302; redirects are not followed",
    ),
    "no content": (answering("HTTP/1.1 204 No Content"), "HTTP 204"),
    "an encoding": (
        answering("HTTP/1.1 200 OK\nContent-Encoding: gzip", FILE),
        "has a Content-Encoding",
    ),
    "no HTTP": (answering("SSH-2.0-OpenSSH_9.2"), "SSH"),
    "nothing": (lambda _request: [], "x.dwb: "),
    "endless headers": (answering("HTTP/1.1 200 OK\n" + "a: b\n" * 1000), "more than 100 headers"),
    "another range": (
        answering(f"HTTP/1.1 206 P\nContent-Range: bytes 0-99999/{len(FILE)}", FILE),
        "cannot resume at byte 1000",
    ),
    "a range without a place": (answering("HTTP/1.1 206 P", FILE), "cannot resume at byte 1000"),
    "an impossible range": (
        answering(f"HTTP/1.1 416 Range\nContent-Range: bytes */{len(FILE)}"),
        "cannot resume at byte 1000",
    ),
}


@pytest.mark.parametrize("name", UNAVAILABLE)
def test_what_may_pass_is_tried_again(serve, attempt, name):
    answer, text = UNAVAILABLE[name]
    server = serve(answer)
    wanted = attempt(server)
    wanted.part.write_bytes(FILE[:1000])
    with pytest.raises(FetchUnavailable, match=re.escape(text)) as got:
        fetch(wanted)
    assert got.value.retryable
    assert len(server.requests) == 1  # of a redirect's target, too, nothing was asked
    # only a part that cannot be gone on from is given up
    assert wanted.part.stat().st_size == (0 if "cannot resume" in text else 1000)


def test_nobody_there(attempt, serve):
    server = serve(good)
    server.close()
    with pytest.raises(FetchUnavailable, match="refused"):
        fetch(attempt(server))


@pytest.fixture
def secret(certificates, tmp_path):
    """A server's side of TLS on this machine."""
    certificates.install(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    return context


@pytest.mark.parametrize("have_bytes", [0, HALF])
def test_over_tls_from_a_server_of_the_named_authority(
    serve, attempt, secret, tmp_path, have_bytes
):
    wanted = attempt(serve(good, secret), tls=TlsFiles(ca_file=str(tmp_path / "ca.pem")))
    wanted.part.write_bytes(FILE[:have_bytes])
    assert fetch(wanted) == (have_bytes > 0)
    assert wanted.part.read_bytes() == FILE


def test_a_server_of_another_authority_is_asked_for_nothing(serve, attempt, secret, tls_door):
    server, (_, foreign) = serve(good, secret), tls_door("good")
    for ca_file in (foreign, None):  # None: the system's, which does not know ours either
        with pytest.raises(FetchUnavailable, match="no authority in ca_file issued"):
            fetch(attempt(server, tls=TlsFiles(ca_file=ca_file)))
    assert server.requests == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("expired", "has expired"),
        ("for another name", "for another name"),
        ("not yet valid", "check the clock"),
    ],
)
def test_a_wrong_certificate_is_told_and_tried_again(tls_door, tmp_path, kind, words):
    port, ca_file = tls_door(kind)
    wanted = Attempt(
        url=f"https://127.0.0.1:{port}/x",
        part=tmp_path / "x.part",
        size_bytes=1,
        timeout_s=5.0,
        tls=TlsFiles(ca_file=ca_file),
    )
    with pytest.raises(FetchUnavailable, match=words):
        fetch(wanted)


def test_an_authority_that_is_not_there_is_told_and_tried_again(serve, attempt, secret):
    wanted = attempt(serve(good, secret), tls=TlsFiles(ca_file="/nowhere/ca.pem"))
    with pytest.raises(FetchUnavailable, match=r"\[models\] ca_file: /nowhere/ca.pem cannot be"):
        fetch(wanted)


@pytest.mark.parametrize("answer", [says_nothing_late, cut_in_half])
def test_over_tls_an_attempt_ends_as_without(serve, attempt, secret, tmp_path, answer):
    wanted = attempt(
        serve(answer, secret), tls=TlsFiles(ca_file=str(tmp_path / "ca.pem")), timeout_s=1.5
    )
    said = r"incomplete after 1\.5 s|ended after|TLS connection failed"
    with pytest.raises(FetchUnavailable, match=said):
        fetch(wanted)


def drips_headers(_request):
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"a"
        yield 0.05


def drips_bytes(_request):
    yield f"HTTP/1.1 200 OK\r\nContent-Length: {len(FILE)}\r\n\r\n".encode()
    for value in FILE:
        yield bytes([value])
        yield 0.05


def says_nothing(_request):
    yield 7.0


@pytest.mark.parametrize("answer", [drips_headers, drips_bytes, says_nothing])
def test_an_attempt_ends_in_time_whatever_drips(serve, attempt, answer):
    wanted = attempt(serve(answer), timeout_s=1.5)
    began_s = time.monotonic()
    with pytest.raises(FetchUnavailable, match=r"incomplete after 1\.5 s"):
        fetch(wanted)
    assert 1.4 < time.monotonic() - began_s < 6
    kept = wanted.part.read_bytes()
    assert kept == FILE[: len(kept)]
    assert (len(kept) > 0) == (answer is drips_bytes)


def test_something_newer_ends_an_attempt_between_two_pieces(serve, attempt):
    grown = []
    wanted = attempt(serve(good), given_up=lambda: len(grown) >= 2, step=grown.append)
    with pytest.raises(FetchUnavailable, match="interrupted by a stop or a newer desired state"):
        fetch(wanted)
    kept = wanted.part.read_bytes()
    assert 0 < len(kept) < len(FILE)
    assert kept == FILE[: len(kept)]


def test_a_part_that_cannot_be_written_is_not_the_networks_fault(serve, attempt, tmp_path, disk):
    with pytest.raises(SlotsUnavailable, match="No such file"):
        fetch(attempt(serve(good), part=tmp_path / "nowhere" / "x.part"))
    wanted = attempt(serve(good))
    disk.refuse()
    with pytest.raises(SlotsUnavailable, match="too large"):
        fetch(wanted)
    disk.take()
    assert not fetch(wanted)
