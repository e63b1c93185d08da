"""The line that can be cut, between real sockets."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from deploy.local.proxy import Proxy


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A server that says everything back."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                while data := peer.recv(1000):
                    peer.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.close()


def said_back(port: int) -> bytes:
    """What comes back through the port; empty if the line is dead."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
            line.sendall(b"hello")
            return line.recv(5)
    except OSError:
        return b""


def test_it_forwards_breaks_refuses_and_forwards_again(
    echo_port: int, wait_until: Callable[..., None]
) -> None:
    proxy = Proxy(echo_port)
    assert said_back(proxy.port) == b"hello"
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as line:
        line.sendall(b"x")
        assert line.recv(1) == b"x"
        proxy.cut()
        try:
            rest = line.recv(1)
        except ConnectionError:
            rest = b""
        assert rest == b""  # an open connection breaks
    assert said_back(proxy.port) == b""
    proxy.mend()
    wait_until(lambda: said_back(proxy.port) == b"hello")
    proxy.close()
    assert said_back(proxy.port) == b""


def test_a_target_that_is_away_is_a_refused_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = listener.getsockname()[1]
    proxy = Proxy(nobody)
    assert said_back(proxy.port) == b""
    proxy.close()
