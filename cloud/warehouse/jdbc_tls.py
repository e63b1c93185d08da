"""Gives Connector/J the CA certificates of `[warehouse] ca_file`, in a form that Java reads."""

import tempfile
from pathlib import Path
from typing import IO

from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PKCS12Certificate,
    serialize_java_truststore,
)

from contract.errors import ConfigError

__all__ = ["JdbcTls"]

# Without CA certificates the network is trusted: encryption if the server supports TLS, else the
# server's public key protects the password.
_UNCHECKED = "sslMode=PREFERRED&allowPublicKeyRetrieval=true"
_CHECKED = "sslMode=VERIFY_IDENTITY&allowPublicKeyRetrieval=false"


class JdbcTls:
    """The TLS parameters of a JDBC URL for MySQL.

    Connector/J reads CA certificates only from a Java trust store, so this object keeps one in a
    temporary file. The file exists as long as the object.

    Attributes:
        parameters: Part of the URL's query.
    """

    def __init__(self, ca_file: str | None, *, local: bool = True) -> None:
        """Writes the trust store if it is needed.

        Args:
            ca_file: Trusted CA certificates (PEM); None: the server's identity is not checked.
            local: Whether Spark's executors run on this host. Elsewhere they cannot read the
                temporary file, so the system trust store of each host's Java must have the CA.

        Raises:
            ConfigError: `ca_file` cannot be read, or has no certificate.
        """
        self._store: IO[bytes] | None = None
        self.parameters = _UNCHECKED if ca_file is None else _CHECKED
        if ca_file is not None and local:
            self._store = _trust_store(ca_file)
            self.parameters += (
                f"&trustCertificateKeyStoreUrl=file:{self._store.name}"
                "&trustCertificateKeyStoreType=PKCS12&fallbackToSystemTrustStore=false"
            )


def _trust_store(ca_file: str) -> IO[bytes]:
    try:
        found = x509.load_pem_x509_certificates(Path(ca_file).read_bytes())
    except OSError as error:
        raise ConfigError(
            f"[warehouse] ca_file: {ca_file} cannot be read: {error.strerror}"
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"[warehouse] ca_file: {ca_file} has no valid certificate in PEM form"
        ) from error
    entries = [PKCS12Certificate(ca, f"ca-{n}".encode()) for n, ca in enumerate(found)]
    store = tempfile.NamedTemporaryFile(prefix="dewline-ca-", suffix=".p12")  # noqa: SIM115 - the object owns it
    store.write(serialize_java_truststore(entries, NoEncryption()))
    store.flush()
    return store
