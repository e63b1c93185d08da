"""Checks how long the certificates of the cloud's own processes are still valid."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from cloud.health.finding import Finding, State
from transport.certificates import Certificate, Validity, read_certificate

__all__ = ["look_at_certificate"]

_RENEW = "issue a new one under the same name (`ca issue`), and restart the process that uses it"


def look_at_certificate(check: str, path: Path, now: datetime) -> Iterator[Finding]:
    """Checks how long the first certificate of a PEM file is still valid.

    Args:
        check: Name of the finding.
        path: The PEM file.
        now: The current time, with a time zone.

    Raises:
        ConfigError: The file cannot be read, or has no certificate.
    """
    certificate = read_certificate(path)
    validity = certificate.validity(now)
    state, remedy = {
        Validity.NOT_YET: (State.FAILED, "check this machine's clock"),
        Validity.EXPIRED: (State.FAILED, _RENEW),
        Validity.SOON: (State.WARNING, _RENEW),
        Validity.VALID: (State.OK, ""),
    }[validity]
    found = _found(certificate, validity, now)
    yield Finding(check=check, state=state, found=found, expected="30 days left", remedy=remedy)


def _found(certificate: Certificate, validity: Validity, now: datetime) -> str:
    if validity is Validity.NOT_YET:
        return f"not valid before {certificate.begins_at:%Y-%m-%dT%H:%M:%SZ}"
    if validity is Validity.EXPIRED:
        return f"expired at {certificate.ends_at:%Y-%m-%dT%H:%M:%SZ}"
    return f"{certificate.days_left(now)} days left, until {certificate.ends_at:%Y-%m-%d}"
