"""What a certificate's file says: whose it is, from when and until when it is valid.

Imports cryptography, so no process that runs all the time on a gateway may import this module: for
its connections a gateway does with the standard library's `ssl`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from contract.errors import ConfigError

__all__ = ["WARN_BEFORE", "Certificate", "Validity", "read_certificate"]

WARN_BEFORE = timedelta(days=30)


class Validity(Enum):
    """What a certificate's dates mean at an instant; SOON: it expires within `WARN_BEFORE`."""

    NOT_YET = "not yet"
    VALID = "valid"
    SOON = "soon"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a certificate says.

    Attributes:
        name: Common name: whom a broker or server takes its holder for.
        begins_at: It is valid from then on.
        ends_at: It is valid until then.
    """

    name: str
    begins_at: datetime
    ends_at: datetime

    def days_left(self, now: datetime) -> int:
        """Whole days until it expires; negative afterwards."""
        return (self.ends_at - now) // timedelta(days=1)

    def validity(self, now: datetime) -> Validity:
        """What its dates mean at an instant, which is aware."""
        if now < self.begins_at:
            return Validity.NOT_YET
        if now >= self.ends_at:
            return Validity.EXPIRED
        return Validity.SOON if self.ends_at - now < WARN_BEFORE else Validity.VALID


def read_certificate(path: Path) -> Certificate:
    """The first certificate of a PEM file, which is the holder's own.

    Raises:
        ConfigError: The file cannot be read, or holds none.
    """
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} holds no certificate in PEM form") from error
    names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Certificate(
        name=str(names[0].value) if names else "(no name)",
        begins_at=found.not_valid_before_utc,
        ends_at=found.not_valid_after_utc,
    )
