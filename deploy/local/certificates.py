"""Creates a private certificate authority and issues certificates for one machine.

The certificates are for servers and clients of a demo or a test on 127.0.0.1. They are deleted with
their folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cloud.ca import files
from cloud.ca.authority import Authority, Issued

__all__ = ["CertificateFiles", "Certificates"]

_DAYS = 30
_HOSTS = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """Names the files for a client's configuration.

    Attributes:
        ca: Root certificate that signs the broker's certificate.
        certificate: The client's own certificate.
        key: The client's private key.
    """

    ca: Path
    certificate: Path
    key: Path


class Certificates:
    """Creates an authority below `folder`, and a server certificate for this machine.

    Args:
        folder: Folder for the authority and for the clients' files.
        hosts: Names and addresses that clients use for the broker.
    """

    def __init__(self, folder: Path, hosts: Sequence[str] = _HOSTS) -> None:
        self._folder = folder
        self._home = folder / "authority"
        self.authority = Authority.create(self._home, "local", _now())
        self._server = self.authority.issue_server(hosts, _now(), _DAYS)

    @property
    def ca(self) -> Path:
        """File of the root certificate by which clients check the broker."""
        return self._home / "ca.pem"

    def device(self, device_id: str) -> CertificateFiles:
        """Issues a new certificate for a gateway."""
        return self.keep(device_id, self.authority.issue_device(device_id, _now(), _DAYS))

    def service(self, name: str) -> CertificateFiles:
        """Issues a new certificate for a process of the cloud."""
        return self.keep(name, self.authority.issue_service(name, _now(), _DAYS))

    def server(self, stem: str) -> CertificateFiles:
        """Issues a new certificate for another server on this machine."""
        return self.keep(stem, self.authority.issue_server(_HOSTS, _now(), _DAYS))

    def keep(self, stem: str, issued: Issued) -> CertificateFiles:
        """Writes an issued certificate and its key as `<stem>.pem` and `<stem>.key`."""
        certificate, key = self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        files.write_whole(key, issued.key_pem, files.PRIVATE)
        files.write_whole(certificate, issued.certificate_pem, files.PUBLIC)
        return CertificateFiles(ca=self.ca, certificate=certificate, key=key)

    def install(self, folder: Path) -> None:
        """Copies a broker's files: both roots, both revocation lists, its certificate and key."""
        for name in ("ca.pem", "services.pem", "crl.pem", "services-crl.pem"):
            files.write_whole(folder / name, files.read(self._home / name), files.PUBLIC)
        files.write_whole(folder / "server.key", self._server.key_pem, files.PRIVATE)
        files.write_whole(folder / "server.pem", self._server.certificate_pem, files.PUBLIC)


def _now() -> datetime:
    return datetime.now(UTC)
