"""The intake's HTTP: the one file that speaks it.

One request at a time over a connection that stays open. It never repeats a request by itself:
whoever calls decides, and sees every answer and every failure.
"""

import base64
import gzip
import http.client
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from cloud.errors import ProjectionError
from contract.errors import ConfigError
from transport.tls import TlsFiles, client_context, tls_failure

__all__ = ["DoorAddress", "HttpDoor"]

_FASTEST = 1  # level of gzip: the network is near, the processor is not ours alone


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorAddress:
    """Where the intake is and how it knows us.

    Attributes:
        url: `https://host:port`, or `http` on one machine.
        user: Account of the http input; None: it asks for none.
        password: Its password.
        ca_file: For https: authorities that the server's certificate must be of; None: those of
            the system.
        timeout_s: Patience with one request, seconds.
    """

    url: str
    user: str | None = None
    password: str | None = None
    ca_file: str | None = None
    timeout_s: float = 60.0


class HttpDoor:
    """A client of Logstash's http input."""

    def __init__(self, address: DoorAddress) -> None:
        """Validates the address; nothing connects yet.

        Raises:
            ConfigError: The address cannot be used, or a file that it names.
        """
        self._url = address.url
        self._path = urlsplit(address.url).path or "/"
        self._connection = _connection(address)
        self._headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        if address.user is not None:
            account = f"{address.user}:{address.password or ''}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(account).decode()}"

    def post(self, body: bytes) -> int:
        """Hands a JSON text over; returns the answer's status.

        Raises:
            ProjectionError: No answer: nobody knows how much of it was taken.
            ConfigError: The certificate is not to be trusted.
        """
        try:
            return self._exchange(gzip.compress(body, _FASTEST))
        except (OSError, http.client.HTTPException) as error:
            self.close()
            failure = tls_failure(str(error)) if isinstance(error, ssl.SSLError) else None
            if failure is not None and failure.lasting:
                raise ConfigError(f"[search] logstash_url: {self._url}: {failure.text}") from error
            said = failure.text if failure else str(error) or type(error).__name__
            raise ProjectionError(f"{self._url}: no answer: {said}; is Logstash up?") from error

    def close(self) -> None:
        """Lets go of the connection; the next request makes a new one."""
        self._connection.close()

    def _exchange(self, body: bytes) -> int:
        try:
            self._connection.request("POST", self._path, body, self._headers)
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses may answer and close before it has read everything.
            if self._connection.sock is None:
                raise
        response = self._connection.getresponse()
        response.read()
        return response.status


def _connection(address: DoorAddress) -> http.client.HTTPConnection:
    parts = urlsplit(address.url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:  # a port that is no number
        host = port = None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise ConfigError(
            f"[search] logstash_url: {address.url!r} is no address; expected such as "
            "https://logstash.example:8443, the account in logstash_user"
        )
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=address.timeout_s)
    return http.client.HTTPSConnection(
        host, port, timeout=address.timeout_s, context=_context(address.ca_file)
    )


def _context(ca_file: str | None) -> ssl.SSLContext:
    if ca_file is None:
        return ssl.create_default_context()
    return client_context(TlsFiles(ca_file=ca_file), "[search] logstash")
