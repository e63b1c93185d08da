"""A gateway's certificate as `check` shows it, and what is wrong with it.

Imports cryptography through `transport.certificates`: only for `check`, never while measuring.
"""

from datetime import datetime

from transport.certificates import Certificate, Validity, read_certificate

__all__ = ["read_certificate", "remarks_on", "shown"]


def shown(certificate: Certificate, now: datetime) -> str:
    """In words, with the days that are left."""
    days, until = certificate.days_left(now), f"{certificate.ends_at:%Y-%m-%d}"
    return f"certificate {certificate.name}, {days} days left, until {until}"


def remarks_on(certificate: Certificate, device_id: str, now: datetime) -> list[str]:
    """What the operator should change; an empty list is all well.

    Args:
        certificate: What the gateway shows the broker.
        device_id: The device that will use it.
        now: The present, aware.
    """
    remarks = []
    if certificate.name != device_id:
        remarks.append(
            f"its name is {certificate.name}, device_id is {device_id}: the broker will take this "
            "gateway for another one; have one issued for it"
        )
    begins, ends = (
        f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (certificate.begins_at, certificate.ends_at)
    )
    text = {
        Validity.NOT_YET: f"not valid before {begins}: is the clock set?",
        Validity.SOON: f"expires at {ends}: have a new one issued",
        Validity.EXPIRED: f"expired at {ends}: have a new one issued",
        Validity.VALID: None,
    }[certificate.validity(now)]
    return remarks if text is None else [*remarks, text]
