"""An authority of this machine's own, and the files of what it has issued.

For servers and clients of a demo or a test on 127.0.0.1; everything is thrown away with the folder.
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
    """What a client's configuration names.

    Attributes:
        ca: Root that signs the broker's certificate.
        certificate: The client's own.
        key: Its private key.
    """

    ca: Path
    certificate: Path
    key: Path


class Certificates:
    """A new authority below `folder`, and a server certificate for this machine.

    Args:
        folder: Where; files of clients go there too.
        hosts: Names and addresses by which clients call the broker.
    """

    def __init__(self, folder: Path, hosts: Sequence[str] = _HOSTS) -> None:
        self._folder = folder
        self._home = folder / "authority"
        self.authority = Authority.create(self._home, "local", _now())
        self._server = self.authority.issue_server(hosts, _now(), _DAYS)

    @property
    def ca(self) -> Path:
        """Root by which clients know the broker."""
        return self._home / "ca.pem"

    def device(self, device_id: str) -> CertificateFiles:
        """Returns a new certificate of a gateway."""
        return self.keep(device_id, self.authority.issue_device(device_id, _now(), _DAYS))

    def service(self, name: str) -> CertificateFiles:
        """Returns a new certificate of a process of the cloud."""
        return self.keep(name, self.authority.issue_service(name, _now(), _DAYS))

    def server(self, stem: str) -> CertificateFiles:
        """Returns a new certificate of another server on this machine."""
        return self.keep(stem, self.authority.issue_server(_HOSTS, _now(), _DAYS))

    def keep(self, stem: str, issued: Issued) -> CertificateFiles:
        """Writes what was issued as `<stem>.pem` and `<stem>.key`."""
        certificate, key = self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        files.write_whole(key, issued.key_pem, files.PRIVATE)
        files.write_whole(certificate, issued.certificate_pem, files.PUBLIC)
        return CertificateFiles(ca=self.ca, certificate=certificate, key=key)

    def install(self, folder: Path) -> None:
        """Copies what a broker needs: both roots, both lists of the revoked, its own pair."""
        for name in ("ca.pem", "services.pem", "crl.pem", "services-crl.pem"):
            files.write_whole(folder / name, files.read(self._home / name), files.PUBLIC)
        files.write_whole(folder / "server.key", self._server.key_pem, files.PRIVATE)
        files.write_whole(folder / "server.pem", self._server.certificate_pem, files.PUBLIC)


def _now() -> datetime:
    return datetime.now(UTC)
