"""Prepares TLS for gateways and cloud: checks files, makes contexts, explains failures.

TLS is 1.2 or newer, and clients always check the server's certificate and name. This module reads
files, but opens no connection and makes no certificates.
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
    "trust_clients",
    "wait_for_refusal",
]


_REFUSAL_MS = 2000  # a server that accepts a client usually sends session tickets at once


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Names the PEM files of a client.

    Attributes:
        ca_file: Certificates of authorities; one of them must have issued the server's certificate.
            None: the system's authorities.
        certificate_file: The client's own certificate; None if the client has none.
        key_file: The private key of that certificate, not encrypted.
    """

    ca_file: str | None
    certificate_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class TlsFailure:
    """Says why client and server could not connect.

    Attributes:
        text: Message with the reason and what to do.
        lasting: Whether the operator must change something; False if a retry may succeed.
    """

    text: str
    lasting: bool


def tls_files(
    where: str, ca_file: str | None, certificate_file: str | None, key_file: str | None
) -> TlsFiles | None:
    """Returns the files that three keys of a configuration name; None if TLS is not configured.

    Args:
        where: File and table, for messages.
        ca_file: Value of the key `ca_file`.
        certificate_file: Value of the key `certificate_file`; requires `key_file`.
        key_file: Value of the key `key_file`; requires `certificate_file`.

    Raises:
        ConfigError: A key is set without another key that it requires.
    """
    require_pair(where, certificate_file, key_file)
    if ca_file is not None:
        return TlsFiles(ca_file=ca_file, certificate_file=certificate_file, key_file=key_file)
    if certificate_file is not None:
        raise ConfigError(
            f"{where} certificate_file: ca_file is missing. Set ca_file to the certificate of the "
            "authority that issued the server's certificate"
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
    """Returns the TLS context of a client; reads the files at each call.

    Args:
        files: The client's files.
        where: Table of the configuration, for messages.

    Raises:
        ConfigError: A file is missing, unreadable or not in the expected format.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.ca_file is None:
        context.load_default_certs()
    else:
        _load_trusted(context, files.ca_file, f"{where} ca_file", "certificate")
    if files.certificate_file is not None and files.key_file is not None:
        _load_pair(context, files.certificate_file, files.key_file, where)
    return context


def server_context(certificate_file: str, key_file: str, where: str) -> ssl.SSLContext:
    """Returns the TLS context of a server.

    Args:
        certificate_file: The server's certificate in PEM format, then intermediate certificates.
        key_file: The private key, not encrypted.
        where: Table of the configuration, for messages.

    Raises:
        ConfigError: A file is missing, unreadable or not in the expected format.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_pair(context, certificate_file, key_file, where)
    return context


def trust_clients(
    context: ssl.SSLContext, ca_file: str, crl_file: str, where: str
) -> frozenset[object]:
    """Lets a server accept clients whose certificates an authority issued and did not revoke.

    Clients without a certificate are accepted too: the caller decides what they may do. OpenSSL
    refuses every other certificate during the handshake, and all of an authority whose revocation
    list (CRL) is missing or has expired.

    Args:
        context: The server's context.
        ca_file: The authority's certificate in PEM format.
        crl_file: The authority's revocation list in PEM format.
        where: Table of the configuration and first part of the keys, for messages.

    Returns:
        The names of the added authorities, in the form of `issuer` in `getpeercert`.

    Raises:
        ConfigError: A file is missing, unreadable or not in the expected format.
    """
    known = _authorities(context)
    _load_trusted(context, ca_file, f"{where}ca_file", "certificate")
    _load_trusted(context, crl_file, f"{where}crl_file", "revocation list (CRL)")
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return _authorities(context) - known


def wait_for_refusal(sock: object) -> None:
    """Waits after the handshake for a server that refuses this client's certificate.

    In TLS 1.3 the handshake ends for the client before the server has checked its certificate. If
    the server refuses the certificate, the client's first message meets a closed connection, and
    the alert with the reason is lost. Use this for protocols in which the client sends first.

    Args:
        sock: A non-blocking socket; without TLS the function does nothing.

    Raises:
        OSError: The server sent an alert or closed the connection.
    """
    if not isinstance(sock, ssl.SSLSocket) or sock.version() != "TLSv1.3":
        return
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    poller.poll(_REFUSAL_MS)
    with contextlib.suppress(ssl.SSLWantReadError):  # only tickets or nothing yet: not refused
        raise OSError(
            "the server sent data first" if sock.recv(1) else "the server closed the connection"
        )


def _authorities(context: ssl.SSLContext) -> frozenset[object]:
    return frozenset(found["subject"] for found in context.get_ca_certs())


def _load_trusted(context: ssl.SSLContext, path: str, key: str, content: str) -> None:
    _require_readable(key, path)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise ConfigError(
            f"{key}: {path} contains no {content} in PEM format. Copy the authority's {content} "
            "there"
        ) from error


def _load_pair(context: ssl.SSLContext, certificate: str, key: str, where: str) -> None:
    _require_readable(f"{where} certificate_file", certificate)
    _require_readable(f"{where} key_file", key)
    try:
        # Without a password, OpenSSL would wait on the terminal for that of an encrypted key.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError) as error:
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            text = (
                f"{where} key_file: {key} is not the key of {certificate}. "
                "Copy the matching key there"
            )
        else:
            text = (
                f"{where} certificate_file: {certificate} and {key} cannot be used: expected a "
                f"certificate and its key, not encrypted, in PEM format: {_shown(error)}"
            )
        raise ConfigError(text) from error


def _require_readable(key: str, path: str) -> None:
    """Reads a byte of the file, because the errors of `ssl` do not name the file."""
    try:
        with Path(path).open("rb") as file:
            file.read(1)
    except OSError as error:
        raise ConfigError(
            f"{key}: {path} cannot be read: {error.strerror}. Copy the file there, or give this "
            "program's account the right to read it"
        ) from error


# Text of Python and OpenSSL about the server's certificate, our message, whether the failure lasts
_OF_THE_SERVER = (
    (
        r"not yet valid",
        "the server's certificate is not yet valid by this machine's clock; check the clock",
        False,
    ),
    (
        r"has expired",
        "the server's certificate has expired by this machine's clock; renew the certificate",
        True,
    ),
    (
        r"mismatch",
        "the server's certificate is for another name; set host to a name in the certificate",
        True,
    ),
    (
        r"self.signed|local issuer",
        "no authority in ca_file issued the server's certificate; check host and ca_file",
        True,
    ),
)
# Alerts of RFC 8446, section 6.2, that a server sends about the client, and our messages
_OF_THE_CLIENT = (
    (
        r"CERTIFICATE_EXPIRED",
        "the server reports this client's certificate, or its own revocation list, as expired",
    ),
    (
        r"CERTIFICATE_REVOKED",
        "this client's certificate has been revoked; issue a new one",
    ),
    (
        r"UNKNOWN_CA",
        "the server does not trust the authority that issued this client's certificate",
    ),
    (
        r"CERTIFICATE_REQUIRED",
        "the server requires a certificate; set certificate_file and key_file",
    ),
    (
        r"(BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_UNKNOWN|ACCESS_DENIED|DECRYPT_ERROR",
        "the server refuses this client's certificate",
    ),
    (
        r"HANDSHAKE_FAILURE|PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_SHARED_CIPHER",
        "client and server have no TLS version or cipher in common, or a certificate is required",
    ),
    (
        r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|HTTP_REQUEST|UNKNOWN_PROTOCOL|PACKET_LENGTH",
        "the server does not use TLS on this port",
    ),
)
_VERIFY = re.compile(r"certificate verify failed: (?P<said>.*?)(?: \(_ssl\.c:\d+\))?[')]*$")
_REASON = re.compile(r"\[SSL(?:: (?P<name>[\w/]+))?\]")


def tls_failure(text: str) -> TlsFailure | None:
    """Returns the failure that an error text of `ssl` means; None if it is another text.

    The argument is the text and not the error, because libraries often pass on only the text.
    """
    if (verify := _VERIFY.search(text)) is not None:
        said = verify["said"]
        for pattern, words, lasting in _OF_THE_SERVER:
            if re.search(pattern, said):
                return TlsFailure(f"{words} ({said.rstrip('.')})", lasting)
        return TlsFailure(f"the server's certificate was refused: {said}", lasting=True)
    if (reason := _REASON.search(text)) is None:
        return None
    name = reason["name"] or ""
    for pattern, words in _OF_THE_CLIENT:
        if re.search(pattern, name):
            return TlsFailure(f"{words} ({name.lower().replace('_', ' ')})", lasting=True)
    return TlsFailure(f"the TLS connection failed: {_shown(text)}", lasting=False)


def handshake_failure(error: Exception) -> TlsFailure | None:
    """Returns the failure that an error during the TLS handshake means; None for other errors.

    Two different errors report that the server closed the connection; both give the same failure.
    """
    if isinstance(error, ConnectionResetError | ssl.SSLEOFError):
        return TlsFailure(
            "the server closed the connection during the handshake; check that the port uses TLS",
            lasting=False,
        )
    return tls_failure(str(error))


def _shown(error: object) -> str:
    return re.sub(r" \(_ssl\.c:\d+\)", "", str(error))[:200]
