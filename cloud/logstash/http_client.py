"""Posts documents to the intake, which is Logstash's http input.

The client sends one request at a time over a connection that stays open. It never repeats a
request: the caller gets each answer and each failure, and decides.
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

__all__ = ["HttpAddress", "HttpClient"]

_FASTEST = 1  # level of gzip: the network is near, and other programs need the processor too


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAddress:
    """Address and account of the intake.

    Attributes:
        url: `https://host:port`, or `http` on one machine.
        user: Account of the http input; None if the input needs no account.
        password: The account's password.
        ca_file: Trusted CA certificates for https; None for those of the system.
        timeout_s: Timeout of one request, seconds.
    """

    url: str
    user: str | None = None
    password: str | None = None
    ca_file: str | None = None
    timeout_s: float = 60.0


class HttpClient:
    """A client of Logstash's http input."""

    def __init__(self, address: HttpAddress) -> None:
        """Validate the address. The first request connects.

        Raises:
            ConfigError: The address is not valid, or the CA file cannot be read.
        """
        self._url = address.url
        self._path = urlsplit(address.url).path or "/"
        self._connection = _connection(address)
        self._headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        if address.user is not None:
            account = f"{address.user}:{address.password or ''}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(account).decode()}"

    def post(self, body: bytes) -> int:
        """Post a JSON text and return the HTTP status of the answer.

        Raises:
            ProjectionError: No answer; Logstash may have accepted none, a part or all of it.
            ConfigError: The server's certificate is not trusted.
        """
        try:
            return self._exchange(gzip.compress(body, _FASTEST))
        except (OSError, http.client.HTTPException) as error:
            self.close()
            failure = tls_failure(str(error)) if isinstance(error, ssl.SSLError) else None
            if failure is not None and failure.lasting:
                raise ConfigError(f"[search] logstash_url: {self._url}: {failure.text}") from error
            said = failure.text if failure else str(error) or type(error).__name__
            raise ProjectionError(
                f"{self._url}: no answer: {said}; is Logstash running?"
            ) from error

    def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        self._connection.close()

    def _exchange(self, body: bytes) -> int:
        try:
            self._connection.request("POST", self._path, body, self._headers)
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses a request may answer and close before it has read all of it.
            if self._connection.sock is None:
                raise
        response = self._connection.getresponse()
        response.read()
        return response.status


def _connection(address: HttpAddress) -> http.client.HTTPConnection:
    parts = urlsplit(address.url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:  # the port is not a number
        host = port = None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise ConfigError(
            f"[search] logstash_url: {address.url!r} is not a valid address; expected such as "
            "https://logstash.example:8443, with the account in logstash_user"
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
