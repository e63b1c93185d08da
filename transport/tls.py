"""How gateways and cloud speak TLS: which files they need, what is checked, failures in words.

TLS 1.2 or newer, the server's certificate and name are always checked. Reads files and opens no
connection; certificates are made elsewhere.
"""

import contextlib
import re
import select
import ssl
from dataclasses import dataclass
from pathlib import Path

from contract.errors import ConfigError

__all__ = [
    "TlsFailure",
    "TlsFiles",
    "client_context",
    "handshake_failure",
    "require_pair",
    "server_context",
    "tls_failure",
    "tls_files",
    "wait_for_refusal",
]


_REFUSAL_MS = 2000  # a server that lets a client in mostly sends it session tickets at once


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The PEM files of a client.

    Attributes:
        ca_file: Authorities; the server's certificate must be of one of them.
        certificate_file: The client's own certificate; None: it is known in another way.
        key_file: The private key of that certificate, not encrypted.
    """

    ca_file: str
    certificate_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class TlsFailure:
    """Why client and server did not come together.

    Attributes:
        text: In words, with what to do.
        lasting: Whether somebody must change something; false: it may pass by itself.
    """

    text: str
    lasting: bool


def tls_files(
    where: str, ca_file: str | None, certificate_file: str | None, key_file: str | None
) -> TlsFiles | None:
    """What three keys of a configuration say together; None if TLS is not wanted.

    Args:
        where: File and table, for messages.
        ca_file: As configured; so are the others.
        certificate_file: Useless without its key.
        key_file: Useless without its certificate.

    Raises:
        ConfigError: One is there without the other that it needs.
    """
    require_pair(where, certificate_file, key_file)
    if ca_file is not None:
        return TlsFiles(ca_file=ca_file, certificate_file=certificate_file, key_file=key_file)
    if certificate_file is not None:
        raise ConfigError(
            f"{where} certificate_file: ca_file is missing: set it to the certificate of the "
            "authority that the server's is checked against"
        )
    return None


def require_pair(where: str, certificate_file: str | None, key_file: str | None) -> None:
    """Refuses a certificate without its key, and a key without its certificate.

    Raises:
        ConfigError: One is None and the other is not.
    """
    if certificate_file is None and key_file is not None:
        raise ConfigError(f"{where} key_file: certificate_file is missing: set both or neither")
    if certificate_file is not None and key_file is None:
        raise ConfigError(f"{where} certificate_file: key_file is missing: set both or neither")


def client_context(files: TlsFiles, where: str) -> ssl.SSLContext:
    """What a client's connections are made with; reads the files each time it is called.

    Args:
        files: The client's files.
        where: Table of the configuration, for messages.

    Raises:
        ConfigError: A file is missing, unreadable, or not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _require_readable(f"{where} ca_file", files.ca_file)
    try:
        context.load_verify_locations(files.ca_file)
    except ssl.SSLError as error:
        raise ConfigError(
            f"{where} ca_file: {files.ca_file} holds no certificate in PEM form: "
            "copy the authority's certificate there"
        ) from error
    if files.certificate_file is not None and files.key_file is not None:
        _load_pair(context, files.certificate_file, files.key_file, where)
    return context


def server_context(certificate_file: str, key_file: str, where: str) -> ssl.SSLContext:
    """What a server's connections are made with.

    Args:
        certificate_file: Its certificate in PEM form, with those of authorities between.
        key_file: The private key, not encrypted.
        where: Table of the configuration, for messages.

    Raises:
        ConfigError: A file is missing, unreadable, or not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_pair(context, certificate_file, key_file, where)
    return context


def wait_for_refusal(sock: object) -> None:
    """Waits, after the handshake, for what the server says to this client's certificate.

    By TLS 1.3 a client is through before the server has looked at its certificate. If it is
    refused, whatever it sends first finds the line closed, and the alert that says why is lost.
    For protocols in which the client speaks first.

    Args:
        sock: A socket that does not block; one without TLS is left alone.

    Raises:
        OSError: The server's alert, or that it hung up.
    """
    if not isinstance(sock, ssl.SSLSocket) or sock.version() != "TLSv1.3":
        return
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    poller.poll(_REFUSAL_MS)
    with contextlib.suppress(ssl.SSLWantReadError):  # tickets, or nothing yet: no refusal
        raise OSError("the server spoke first" if sock.recv(1) else "the server hung up")


def _load_pair(context: ssl.SSLContext, certificate: str, key: str, where: str) -> None:
    _require_readable(f"{where} certificate_file", certificate)
    _require_readable(f"{where} key_file", key)
    try:
        # the password: for an encrypted key OpenSSL would ask the terminal, for ever
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError) as error:
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            text = f"{where} key_file: {key} is not the key of {certificate}: copy the right one"
        else:
            text = (
                f"{where} certificate_file: {certificate} and {key} cannot be used: expected a "
                f"certificate and its key, not encrypted, in PEM form: {_shown(error)}"
            )
        raise ConfigError(text) from error


def _require_readable(key: str, path: str) -> None:
    """Names the file, as the errors of `ssl` do not."""
    try:
        with Path(path).open("rb") as file:
            file.read(1)
    except OSError as error:
        raise ConfigError(
            f"{key}: {path} cannot be read: {error.strerror}; copy it there, or give this "
            "program's account the right to read it"
        ) from error


# What Python and OpenSSL say of the server's certificate, what that means, whether it lasts
_OF_THE_SERVER = (
    (
        r"not yet valid",
        "the server's certificate is not yet valid by this machine's clock: is it set?",
        False,
    ),
    (
        r"has expired",
        "the server's certificate has expired by this machine's clock: renew it",
        True,
    ),
    (
        r"mismatch",
        "the server's certificate is for another name: use a name that it holds as host",
        True,
    ),
    (
        r"self.signed|local issuer",
        "the server's certificate is not of an authority in ca_file: is this the right server?",
        True,
    ),
)
# The alerts of RFC 8446, section 6.2, by which a server tells what it thinks of the client
_OF_THE_CLIENT = (
    (
        r"CERTIFICATE_EXPIRED",
        "the server takes this client's certificate, or its own list of revoked ones, for expired",
    ),
    (
        r"CERTIFICATE_REVOKED",
        "this client's certificate has been revoked: have a new one issued",
    ),
    (
        r"UNKNOWN_CA",
        "the server does not know the authority of this client's certificate",
    ),
    (
        r"CERTIFICATE_REQUIRED",
        "the server wants a certificate: set certificate_file and key_file",
    ),
    (
        r"(BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_UNKNOWN|ACCESS_DENIED|DECRYPT_ERROR",
        "the server refuses this client's certificate",
    ),
    (
        r"HANDSHAKE_FAILURE|PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_SHARED_CIPHER",
        "client and server have no version or method in common, or it wants a certificate",
    ),
    (
        r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|HTTP_REQUEST|UNKNOWN_PROTOCOL|PACKET_LENGTH",
        "the server does not speak TLS at this port",
    ),
)
_VERIFY = re.compile(r"certificate verify failed: (?P<said>.*?)(?: \(_ssl\.c:\d+\))?[')]*$")
_REASON = re.compile(r"\[SSL(?:: (?P<name>[\w/]+))?\]")


def tls_failure(text: str) -> TlsFailure | None:
    """What the text of an error of `ssl` means; None if it is none.

    The text and not the error: libraries hand on the text and often nothing else.
    """
    if (verify := _VERIFY.search(text)) is not None:
        said = verify["said"]
        for pattern, words, lasting in _OF_THE_SERVER:
            if re.search(pattern, said):
                return TlsFailure(f"{words} ({said.rstrip('.')})", lasting)
        return TlsFailure(f"the server's certificate is refused: {said}", lasting=True)
    if (reason := _REASON.search(text)) is None:
        return None
    name = reason["name"] or ""
    for pattern, words in _OF_THE_CLIENT:
        if re.search(pattern, name):
            return TlsFailure(f"{words} ({name.lower().replace('_', ' ')})", lasting=True)
    return TlsFailure(f"TLS broke off: {_shown(text)}", lasting=False)


def handshake_failure(error: Exception) -> TlsFailure | None:
    """What an error means that a connection with TLS met while it was made.

    A server that hangs up is told by two errors, by turns; here it is one failure.
    """
    if isinstance(error, ConnectionResetError | ssl.SSLEOFError):
        return TlsFailure("broken off in the handshake: is this a port for TLS?", lasting=False)
    return tls_failure(str(error))


def _shown(error: object) -> str:
    return re.sub(r" \(_ssl\.c:\d+\)", "", str(error))[:200]
