"""Encodes and decodes the register: a file of all certificates that were ever issued. Pure.

Rows are added and marked as revoked, never removed: only a registered certificate can be revoked.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final

from cloud.errors import AuthorityError
from contract.errors import ContractError
from contract.typed import Between, Pattern, build, plain

__all__ = ["SERIAL_DIGITS", "RegisteredCertificate", "Role", "decode", "encode", "shown"]

SERIAL_DIGITS: Final = 40  # RFC 5280 section 4.1.2.2: at most 20 bytes


class Role(StrEnum):
    """Role of a certificate's owner."""

    DEVICE = "device"
    SERVICE = "service"
    SERVER = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredCertificate:
    """One issued certificate; instants are UTC with whole seconds.

    Attributes:
        serial: 40 hexadecimal digits, unique.
        name: Common name; for a server, the first of its hosts.
        role: Role of the owner.
        not_before: Begin of validity.
        not_after: End of validity.
        revoked_at: When it was revoked; None if it was not.
    """

    serial: str
    name: str
    role: Role
    not_before: datetime
    not_after: datetime
    revoked_at: datetime | None = None


_Serial = Annotated[str, Pattern(rf"[0-9a-f]{{{SERIAL_DIGITS}}}", "40 of 0-9 and a-f")]
_Instant = Annotated[
    str, Pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "an instant such as 2026-01-31T12:00:00Z")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    serial: _Serial
    name: str
    role: Role
    not_before: _Instant
    not_after: _Instant
    revoked_at: _Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    version: Annotated[int, Between(1, 1)]
    certificates: tuple[_Written, ...]


def encode(certificates: Sequence[RegisteredCertificate]) -> bytes:
    """Returns the bytes of the register's file."""
    rows = [
        _Written(
            serial=one.serial,
            name=one.name,
            role=one.role,
            not_before=shown(one.not_before),
            not_after=shown(one.not_after),
            revoked_at=None if one.revoked_at is None else shown(one.revoked_at),
        )
        for one in certificates
    ]
    table = {"version": 1, "certificates": [plain(row) for row in rows]}
    return json.dumps(table, indent=1).encode() + b"\n"


def decode(data: bytes, where: str) -> tuple[RegisteredCertificate, ...]:
    """Returns the certificates in a register's file.

    Args:
        data: The file's bytes.
        where: The file's name, for messages.

    Raises:
        AuthorityError: The bytes are not a register.
    """
    try:
        rows = build(_File, json.loads(data), where).certificates
        return tuple(_certificate(row) for row in rows)
    except (ValueError, RecursionError, ContractError) as error:
        raise AuthorityError(
            f"{where}: not a register of certificates ({error}). Restore it from a copy: "
            "without it no certificate can be issued or revoked"
        ) from error


def shown(at: datetime) -> str:
    """Formats as RFC 3339 with `Z`, whole seconds."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _certificate(row: _Written) -> RegisteredCertificate:
    return RegisteredCertificate(
        serial=row.serial,
        name=row.name,
        role=row.role,
        not_before=datetime.fromisoformat(row.not_before),
        not_after=datetime.fromisoformat(row.not_after),
        revoked_at=None if row.revoked_at is None else datetime.fromisoformat(row.revoked_at),
    )
