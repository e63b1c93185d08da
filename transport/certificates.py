"""Reads a certificate's name and validity from its file.

This module imports cryptography, which needs much memory. So no permanent process of a gateway may
import it; for its connections a gateway uses `ssl` from the standard library.
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
    """Says whether a certificate is valid at an instant; SOON: it expires within `WARN_BEFORE`."""

    NOT_YET = "not yet"
    VALID = "valid"
    SOON = "soon"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Holds the name and the dates of a certificate.

    Attributes:
        name: Common name, by which a broker or server identifies the holder.
        begins_at: Begin of the validity.
        ends_at: End of the validity.
    """

    name: str
    begins_at: datetime
    ends_at: datetime

    def days_left(self, now: datetime) -> int:
        """Returns the whole days until the certificate expires; negative afterwards."""
        return (self.ends_at - now) // timedelta(days=1)

    def validity(self, now: datetime) -> Validity:
        """Returns the validity at `now`, a datetime with a time zone."""
        if now < self.begins_at:
            return Validity.NOT_YET
        if now >= self.ends_at:
            return Validity.EXPIRED
        return Validity.SOON if self.ends_at - now < WARN_BEFORE else Validity.VALID


def read_certificate(path: Path) -> Certificate:
    """Returns the first certificate of a PEM file, which is the holder's own.

    Raises:
        ConfigError: The file cannot be read, or does not contain a certificate.
    """
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} contains no certificate in PEM format") from error
    names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Certificate(
        name=str(names[0].value) if names else "(no name)",
        begins_at=found.not_valid_before_utc,
        ends_at=found.not_valid_after_utc,
    )
