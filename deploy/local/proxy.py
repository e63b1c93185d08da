"""Runs a TCP proxy on loopback that can cut and restore connections, to simulate a bad network."""

import contextlib
import socket
import threading

__all__ = ["Proxy"]


class Proxy:
    """Forwards connections to a port; after `cut` it closes them and refuses new ones.

    Args:
        target_port: Port on 127.0.0.1 to which connections are forwarded.
    """

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._mended = threading.Event()
        self._mended.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def cut(self) -> None:
        """Closes every connection and refuses new ones."""
        self._mended.clear()
        with self._lock:
            sockets, self._open = self._open, set()
        for sock in sockets:
            _break(sock)

    def mend(self) -> None:
        """Forwards connections again."""
        self._mended.set()

    def close(self) -> None:
        """Stops the proxy and closes its connections."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # the proxy was stopped
            if not self._mended.is_set():
                near.close()
                continue
            try:
                far = socket.create_connection(self._target, timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                self._open |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # an error on one side closes both
            while data := source.recv(65_536):
                sink.sendall(data)
        for sock in (source, sink):
            _break(sock)
            with self._lock:
                self._open.discard(sock)


def _break(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the peer may have closed the connection
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
