"""Issues and revokes the fleet's certificates, in a folder with roots, register and CRLs.

`ca.pem` signs servers and devices, `services.pem` signs the cloud's own processes. There are two
roots because a client of a trusted root can take over any client id on a broker's listener. The
services' listener trusts only `services.pem`, so no gateway can disconnect ingest. This module does
not use the network.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cloud.ca import files
from cloud.ca.issuer import Issued, Issuer
from cloud.ca.register import SERIAL_DIGITS, RegisteredCertificate, Role, decode, encode
from cloud.errors import AuthorityError
from contract.errors import ContractError
from contract.typed import Id, build

__all__ = ["CRL_DAYS", "SERVICES", "Authority", "Issued", "RegisteredCertificate", "Role"]

SERVICES: Final = ("ingest", "rollout", "observer")  # the names in the broker's access rules

# With an expired revocation list (CRL) Mosquitto refuses every client, so the whole fleet is cut
# off. An old list admits one revoked device at worst. So lists are valid for a long time.
CRL_DAYS: Final = 3650

_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
)
_LONGEST_NAME = 50


@dataclass(frozen=True, slots=True)
class _Named:
    device_id: Id


class Authority:
    """The authority in one folder; use `create` or `open`.

    Several processes may use one folder: changes are made under a lock.

    Args:
        folder: The folder.
        devices: Root of servers and devices.
        services: Root of the cloud's processes.
        crl_days: Days until a revocation list expires.
    """

    def __init__(self, folder: Path, devices: Issuer, services: Issuer, crl_days: int) -> None:
        self._folder = folder
        self._devices = devices
        self._services = services
        self._crl_days = crl_days

    @classmethod
    def create(
        cls, folder: Path, name: str, now: datetime, days: int = 3650, crl_days: int = CRL_DAYS
    ) -> "Authority":
        """Creates an authority in an empty or new folder, whose parent must exist.

        Raises:
            AuthorityError: The folder already has an authority, or cannot be written.
        """
        if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
            raise AuthorityError(f"name {name!r}: expected 1 to {_LONGEST_NAME} characters")
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise AuthorityError(
                f"{folder} cannot be created: {error.strerror or error}; its parent must exist"
            ) from error
        at = _whole(now)
        with files.locked(folder):
            _refuse_used(folder)
            roots = [
                Issuer.generate(f"{name} {what}", at, days) for what in ("devices", "services")
            ]
            authority = cls(folder, roots[0], roots[1], crl_days)
            authority._write_all(at)
        return authority

    @classmethod
    def open(cls, folder: Path, crl_days: int = CRL_DAYS) -> "Authority":
        """Opens an authority that `create` made.

        Raises:
            AuthorityError: The folder has no authority, or its files cannot be used.
        """
        if not (folder / "ca.pem").exists():
            raise AuthorityError(f"{folder} has no authority (ca.pem): run `ca init` first")
        pair = [_load(folder, stem) for stem in ("ca", "services")]
        authority = cls(folder, pair[0], pair[1], crl_days)
        authority.certificates()
        return authority

    def issue_device(self, device_id: str, now: datetime, days: int) -> Issued:
        """Issues a client certificate for a gateway, which may have others already.

        Raises:
            AuthorityError: The device id is not valid, or is a service's name.
        """
        try:
            build(_Named, {"device_id": device_id}, "certificate")
        except ContractError as error:
            raise AuthorityError(str(error).removeprefix(f"{error.code}: ")) from error
        if device_id in SERVICES:
            raise AuthorityError(
                f"{device_id} is a service's name, and the broker grants rights by name: "
                "choose another device id"
            )
        return self._list(self._devices.client(device_id, Role.DEVICE, _whole(now), days))

    def issue_service(self, name: str, now: datetime, days: int) -> Issued:
        """Issues a client certificate for a process of the cloud; each host may have its own.

        Raises:
            AuthorityError: The broker's rules have no such service.
        """
        if name not in SERVICES:
            raise AuthorityError(f"{name!r} is not a service: use one of {', '.join(SERVICES)}")
        return self._list(self._services.client(name, Role.SERVICE, _whole(now), days))

    def issue_server(self, hosts: Sequence[str], now: datetime, days: int) -> Issued:
        """Issues a certificate for a server that clients reach by these names and IP addresses.

        Raises:
            AuthorityError: `hosts` is empty, or one is neither a name nor an address.
        """
        if not hosts:
            raise AuthorityError(
                "a server needs at least one host: its name or IP address, as clients use it"
            )
        for host in hosts:
            if not _is_address(host) and not _HOST.fullmatch(host):
                raise AuthorityError(
                    f"{host!r} is not a host: use a name of a-z, 0-9, - and dots, or an IP address"
                )
        return self._list(self._devices.server(hosts, _whole(now), days))

    def revoke(self, name_or_serial: str, now: datetime) -> tuple[RegisteredCertificate, ...]:
        """Revokes one certificate by serial, or all of a name, and writes the revocation lists.

        Returns the newly revoked ones. A repeated call changes no row but writes the lists again,
        which completes a call that was killed in between.

        Raises:
            AuthorityError: No certificate has this name or serial, or several roles use the name.
        """
        at = _whole(now)
        with files.locked(self._folder):
            rows = self.certificates()
            meant = _meant(rows, name_or_serial)
            new = {one.serial for one in meant if one.revoked_at is None}
            after = [replace(row, revoked_at=at) if row.serial in new else row for row in rows]
            if new:
                self._write_register(after)
            self._write_crls(after, at)
        return tuple(row for row in after if row.serial in new)

    def certificates(self) -> tuple[RegisteredCertificate, ...]:
        """Returns all issued certificates, in that order.

        Raises:
            AuthorityError: The register cannot be read.
        """
        path = self._folder / "register.json"
        return decode(files.read(path), str(path))

    def crl_pem(self, now: datetime) -> bytes:
        """Returns `crl.pem` as of now: the list of revoked devices and servers."""
        return self._crl(self._devices, (Role.DEVICE, Role.SERVER), self.certificates(), now)

    def services_crl_pem(self, now: datetime) -> bytes:
        """Returns `services-crl.pem` as of now: the list of revoked services."""
        return self._crl(self._services, (Role.SERVICE,), self.certificates(), now)

    def renew_crls(self, now: datetime) -> None:
        """Writes both revocation lists again, with a later expiry.

        Raises:
            AuthorityError: The folder cannot be written.
        """
        with files.locked(self._folder):
            self._write_crls(self.certificates(), _whole(now))

    def _list(self, issued: Issued) -> Issued:
        """Registers a certificate before it is handed out, so that it can always be revoked."""
        with files.locked(self._folder):
            self._write_register([*self.certificates(), issued.listed])
        return issued

    def _crl(
        self,
        issuer: Issuer,
        roles: Sequence[Role],
        rows: Sequence[RegisteredCertificate],
        now: datetime,
    ) -> bytes:
        revoked = [row for row in rows if row.role in roles and row.revoked_at is not None]
        return issuer.crl_pem(revoked, _whole(now), self._crl_days)

    def _write_register(self, rows: Sequence[RegisteredCertificate]) -> None:
        files.write_whole(self._folder / "register.json", encode(rows), files.PRIVATE)

    def _write_crls(self, rows: Sequence[RegisteredCertificate], now: datetime) -> None:
        devices = self._crl(self._devices, (Role.DEVICE, Role.SERVER), rows, now)
        services = self._crl(self._services, (Role.SERVICE,), rows, now)
        files.write_whole(self._folder / "crl.pem", devices, files.PUBLIC)
        files.write_whole(self._folder / "services-crl.pem", services, files.PUBLIC)

    def _write_all(self, now: datetime) -> None:
        """Writes a new authority; `ca.pem` last, so that an aborted `create` can be repeated."""
        write, at = files.write_whole, self._folder
        write(at / "services.key", self._services.key_pem, files.PRIVATE)
        write(at / "ca.key", self._devices.key_pem, files.PRIVATE)
        write(at / "services.pem", self._services.certificate_pem, files.PUBLIC)
        self._write_crls((), now)
        self._write_register(())
        write(at / "ca.pem", self._devices.certificate_pem, files.PUBLIC)


def _whole(now: datetime) -> datetime:
    """Converts to UTC with whole seconds, the resolution of certificates."""
    return now.astimezone(UTC).replace(microsecond=0)


def _refuse_used(folder: Path) -> None:
    if (folder / "ca.pem").exists():
        raise AuthorityError(f"{folder} already has an authority, which is never overwritten")
    register = folder / "register.json"
    if register.exists() and decode(files.read(register), str(register)):
        raise AuthorityError(
            f"{folder} has the register of an authority but not its ca.pem: "
            "restore ca.pem from a copy, or choose another folder"
        )


def _load(folder: Path, stem: str) -> Issuer:
    certificate, key = folder / f"{stem}.pem", folder / f"{stem}.key"
    return Issuer.load(files.read(certificate), files.read(key), f"{certificate} and {key.name}")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _meant(
    rows: Sequence[RegisteredCertificate], name_or_serial: str
) -> list[RegisteredCertificate]:
    # OpenSSL prints capitals without leading zero bytes, browsers print colons between bytes.
    serial = name_or_serial.replace(":", "").lower().zfill(SERIAL_DIGITS)
    meant = [row for row in rows if row.serial == serial]
    meant = meant or [row for row in rows if row.name == name_or_serial]
    if not meant:
        raise AuthorityError(
            f"no certificate has the name or serial {name_or_serial!r}: see `ca list`"
        )
    roles = sorted({row.role for row in meant})
    if len(roles) > 1:
        raise AuthorityError(
            f"{name_or_serial} is the name of a {' and a '.join(roles)}: pass the serial instead"
        )
    return meant
