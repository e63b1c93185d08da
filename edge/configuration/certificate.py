"""Describes a gateway's certificate for `check`, and lists its problems.

Imports cryptography through `transport.certificates`. Only `check` imports this module: `run` does
not load cryptography.
"""

from datetime import datetime

from transport.certificates import Certificate, Validity, read_certificate

__all__ = ["read_certificate", "remarks_on", "shown"]


def shown(certificate: Certificate, now: datetime) -> str:
    """Returns the certificate's name, days left and last day, as one line."""
    days, until = certificate.days_left(now), f"{certificate.ends_at:%Y-%m-%d}"
    return f"certificate {certificate.name}, {days} days left, until {until}"


def remarks_on(certificate: Certificate, device_id: str, now: datetime) -> list[str]:
    """Returns the certificate's problems; an empty list if there are none.

    Args:
        certificate: The certificate that the gateway shows to the broker.
        device_id: The device that will use the certificate.
        now: The current time, with a time zone.
    """
    remarks = []
    if certificate.name != device_id:
        remarks.append(
            f"the certificate is for {certificate.name}, but device_id is {device_id}. The broker "
            "would treat this gateway as another one. Request a certificate for this device_id"
        )
    begins, ends = (
        f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (certificate.begins_at, certificate.ends_at)
    )
    text = {
        Validity.NOT_YET: f"the certificate is not valid before {begins}. Check the clock",
        Validity.SOON: f"the certificate expires at {ends}. Request a new one",
        Validity.EXPIRED: f"the certificate expired at {ends}. Request a new one",
        Validity.VALID: None,
    }[certificate.validity(now)]
    return remarks if text is None else [*remarks, text]
