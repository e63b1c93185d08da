"""Looks at the certificates that the cloud's own processes show: how long they still count."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from cloud.health.finding import Finding, State
from contract.errors import ConfigError

__all__ = ["look_at_certificates"]

_SOON = timedelta(days=30)
_EXPECTED = "30 days left"
_RENEW = "issue a new one under the same name (`ca issue`), and restart who shows it"


def look_at_certificates(files: Mapping[str, str], now: datetime) -> Iterator[Finding]:
    """How long each still counts.

    Args:
        files: By section of the configuration, the PEM file that begins with its certificate.
        now: The present, aware.
    """
    for section, path in files.items():
        name = f"certificate of {section}"
        try:
            begins_at, ends_at = _span(Path(path))
        except ConfigError as error:
            yield _finding(name, State.FAILED, str(error), "can this account read it?")
            continue
        if now < begins_at:
            found = f"does not count before {begins_at:%Y-%m-%dT%H:%M:%SZ}"
            yield _finding(name, State.FAILED, found, "is the clock set?")
        elif now >= ends_at:
            yield _finding(name, State.FAILED, f"expired at {ends_at:%Y-%m-%dT%H:%M:%SZ}", _RENEW)
        else:
            soon = ends_at - now < _SOON
            found = f"{(ends_at - now).days} days left, until {ends_at:%Y-%m-%d}"
            yield _finding(name, State.WARNING if soon else State.OK, found, _RENEW if soon else "")


def _finding(name: str, state: State, found: str, remedy: str) -> Finding:
    return Finding(check=name, state=state, found=found, expected=_EXPECTED, remedy=remedy)


def _span(path: Path) -> tuple[datetime, datetime]:
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} holds no certificate in PEM form") from error
    return found.not_valid_before_utc, found.not_valid_after_utc
