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
from contract.errors import ConfigError, DewlineError
from transport.tls import TlsFiles, client_context, tls_failure

__all__ = ["HttpAddress", "HttpClient", "open_connection"]

_FASTEST = 1  # level of gzip: the network is near, and other programs need the processor too


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAddress:
    """Address and account of the intake.

    Attributes:
        url: `https://host:port`, or `http` on one machine.
        user: Account of the http input; None if the input needs no account.
        password: The account's password.
        ca_file: Trusted CA certificates for https; None for those of the system.
        timeout_s: Timeout of one request, seconds. Logstash does not answer a post into a full
            queue, and after 10 s answers 429 to other posts. A longer timeout only delays the
            message; a shorter one repeats posts that a slow disk would still accept.
    """

    url: str
    user: str | None = None
    password: str | None = None
    ca_file: str | None = None
    timeout_s: float = 30.0


class HttpClient:
    """A client of Logstash's http input."""

    def __init__(self, address: HttpAddress) -> None:
        """Validate the address. The first request connects.

        Raises:
            ConfigError: The address or the account is not valid, or the CA file cannot be read.
        """
        _check_account(address)
        self._url = address.url
        self._timeout_s = address.timeout_s
        self._path = urlsplit(address.url).path or "/"
        self._connection = open_connection(
            address.url, "logstash_url", ca_file=address.ca_file, timeout_s=address.timeout_s
        )
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
            connected = self._connection.sock is not None
            self.close()
            raise self._failure(error, connected=connected) from error

    def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        self._connection.close()

    def _failure(self, error: Exception, *, connected: bool) -> DewlineError:
        if isinstance(error, TimeoutError) and connected:
            return ProjectionError(
                f"{self._url}: no answer within {self._timeout_s:g} s: Logstash's queue is full, "
                "or Logstash hangs; check that Elasticsearch takes documents"
            )
        failure = tls_failure(str(error)) if isinstance(error, ssl.SSLError) else None
        if failure is not None and failure.lasting:
            return ConfigError(f"[search] logstash_url: {self._url}: {failure.text}")
        said = failure.text if failure else str(error) or type(error).__name__
        return ProjectionError(f"{self._url}: no answer: {said}; is Logstash running?")

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


def _check_account(address: HttpAddress) -> None:
    given = {"logstash_user": address.user, "logstash_password_file": address.password}
    for key, value in given.items():
        if value is not None and "${" in value:
            raise ConfigError(
                f"[search] {key}: the value contains `${{`, which Logstash would replace by a "
                "variable: use another one, also in Logstash's environment or keystore"
            )


def open_connection(
    url: str, key: str, *, ca_file: str | None, timeout_s: float
) -> http.client.HTTPConnection:
    """Return a connection to the address in a key of `[search]`; the first request connects.

    Raises:
        ConfigError: The address is not valid, or the CA file cannot be read.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:  # the port is not a number
        host = port = None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise ConfigError(
            f"[search] {key}: {url!r} is not a valid address; expected such as "
            "https://logstash.example:8443, with no account in it"
        )
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=_context(ca_file))


def _context(ca_file: str | None) -> ssl.SSLContext:
    if ca_file is None:
        return ssl.create_default_context()
    return client_context(TlsFiles(ca_file=ca_file), "[search] logstash")
