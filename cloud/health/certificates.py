"""Looks at the certificates that the cloud's own processes show: how long they still count."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from cloud.health.finding import Finding, State
from contract.errors import ConfigError

__all__ = ["look_at_certificate"]

_SOON = timedelta(days=30)
_RENEW = "issue a new one under the same name (`ca issue`), and restart who shows it"


def look_at_certificate(check: str, path: Path, now: datetime) -> Iterator[Finding]:
    """How long the first certificate of a PEM file still counts.

    Args:
        check: Name of the finding.
        path: The file.
        now: The present, aware.

    Raises:
        ConfigError: The file cannot be read, or holds none.
    """
    begins_at, ends_at = _span(path)
    state, remedy = State.FAILED, _RENEW
    if now < begins_at:
        found, remedy = f"does not count before {begins_at:%Y-%m-%dT%H:%M:%SZ}", "is the clock set?"
    elif now >= ends_at:
        found = f"expired at {ends_at:%Y-%m-%dT%H:%M:%SZ}"
    else:
        found = f"{(ends_at - now).days} days left, until {ends_at:%Y-%m-%d}"
        state, remedy = (State.WARNING, _RENEW) if ends_at - now < _SOON else (State.OK, "")
    yield Finding(check=check, state=state, found=found, expected="30 days left", remedy=remedy)


def _span(path: Path) -> tuple[datetime, datetime]:
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} holds no certificate in PEM form") from error
    return found.not_valid_before_utc, found.not_valid_after_utc
