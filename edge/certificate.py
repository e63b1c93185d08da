"""A gateway's certificate as `check` shows it: whose it is, and how long it counts.

Imports cryptography, so nothing that runs all the time may import this module: for its connections
a gateway does with the standard library's `ssl`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from contract.errors import ConfigError

__all__ = ["Certificate", "read_certificate"]

_SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a device's certificate says.

    Attributes:
        name: Common name: the device that the broker takes its holder for.
        begins_at: It counts from then on.
        ends_at: It counts until then.
    """

    name: str
    begins_at: datetime
    ends_at: datetime

    def shown(self, now: datetime) -> str:
        """In words, with the days that are left."""
        days = (self.ends_at - now) // timedelta(days=1)
        return f"certificate {self.name}, {days} days left, until {self.ends_at:%Y-%m-%d}"

    def remarks(self, device_id: str, now: datetime) -> list[str]:
        """What a person should know of it; an empty list is all well.

        Args:
            device_id: The device that will use it.
            now: The present, aware.
        """
        remarks = []
        if self.name != device_id:
            remarks.append(
                f"its name is {self.name}, device_id is {device_id}: the broker will take this "
                "gateway for another one; have one issued for it"
            )
        if now < self.begins_at:
            remarks.append(
                f"not valid before {self.begins_at:%Y-%m-%dT%H:%M:%SZ}: is the clock set?"
            )
        if now >= self.ends_at:
            remarks.append(f"expired at {self.ends_at:%Y-%m-%dT%H:%M:%SZ}: have a new one issued")
        elif self.ends_at - now < _SOON:
            remarks.append(f"expires at {self.ends_at:%Y-%m-%dT%H:%M:%SZ}: have a new one issued")
        return remarks


def read_certificate(path: Path) -> Certificate:
    """The first certificate of a PEM file, which is the device's own.

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
