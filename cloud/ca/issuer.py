"""Signs certificates and revocation lists (CRLs) with one root certificate and its key.

Uses neither folders nor the register; time is an argument.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloud.ca.register import RegisteredCertificate, Role
from cloud.errors import AuthorityError

__all__ = ["Issued", "Issuer"]

# A board without a clock battery boots with the time of its last shutdown, and may reach NTP only
# through the network that needs this certificate. So a new certificate must be valid earlier too.
_EARLY = timedelta(days=1)
_LONGEST_COMMON_NAME = 64  # RFC 5280, ub-common-name


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new certificate with its key and its row for the register."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)
    listed: RegisteredCertificate


class Issuer:
    """A root; use `generate` or `load`."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def generate(cls, name: str, now: datetime, days: int) -> "Issuer":
        """Makes a new root that is valid for `days`; `name` is its common name.

        Raises:
            AuthorityError: The name or the number of days is not valid.
        """
        key = _new_key()
        subject = _subject(name)
        draft = _draft(key, subject, subject, (now - _EARLY, _end(now, days)))
        draft = draft.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        draft = draft.add_extension(_usage(signs_others=True), critical=True)
        return cls(draft.sign(key, SHA256()), key)

    @classmethod
    def load(cls, certificate_pem: bytes, key_pem: bytes, where: str) -> "Issuer":
        """Loads a root from its certificate and its key.

        Raises:
            AuthorityError: They are not PEM, or do not belong together.
        """
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
            key = load_pem_private_key(key_pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise AuthorityError(
                f"{where}: expected PEM files of a certificate and a key without password: {error}"
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or (
            key.public_key() != certificate.public_key()
        ):
            raise AuthorityError(
                f"{where}: certificate and key do not belong together; restore both from a copy"
            )
        return cls(certificate, key)

    @property
    def certificate_pem(self) -> bytes:
        """The root's own certificate, which peers trust."""
        return self._certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The root's key, PKCS#8, not encrypted."""
        return _pem(self._key)

    @property
    def not_after(self) -> datetime:
        """When the root expires, UTC; no certificate that it signs is valid longer."""
        return self._certificate.not_valid_after_utc

    def client(self, name: str, role: Role, now: datetime, days: int) -> Issued:
        """Issues a certificate with which client `name` authenticates itself to servers.

        Raises:
            AuthorityError: The certificate would be valid longer than the root.
        """
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return self._issue(name, role, (now, days), (usage,))

    def server(self, hosts: Sequence[str], now: datetime, days: int) -> Issued:
        """Issues a certificate with which a server authenticates itself under any of `hosts`.

        Raises:
            AuthorityError: The certificate would be valid longer than the root.
        """
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        names = x509.SubjectAlternativeName([_alternative(host) for host in hosts])
        return self._issue(hosts[0], Role.SERVER, (now, days), (usage, names))

    def crl_pem(self, revoked: Iterable[RegisteredCertificate], now: datetime, days: int) -> bytes:
        """Returns the list of these revoked certificates, valid for `days`."""
        draft = x509.CertificateRevocationListBuilder()
        draft = draft.issuer_name(self._certificate.subject)
        draft = draft.last_update(now - _EARLY).next_update(_end(now, days))
        draft = draft.add_extension(self._authority_id(), critical=False)
        # A CRL number only has to grow, so that two lists can be compared.
        draft = draft.add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(int(one.serial, 16))
            entry = entry.revocation_date(one.revoked_at or now)
            draft = draft.add_revoked_certificate(entry.build())
        return draft.sign(self._key, SHA256()).public_bytes(Encoding.PEM)

    def _issue(
        self,
        name: str,
        role: Role,
        term: tuple[datetime, int],
        extensions: Sequence[x509.ExtensionType],
    ) -> Issued:
        now, days = term
        begin = max(now - _EARLY, self._certificate.not_valid_before_utc)
        end = _end(now, days)
        if end > self.not_after:
            left = (self.not_after - now).days
            raise AuthorityError(
                f"{name}: {days} days are too long: the authority expires on "
                f"{self.not_after:%Y-%m-%d}; use --days {left} or less"
            )
        if end <= begin:
            raise AuthorityError(
                f"{name}: this machine's clock says {now:%Y-%m-%d}, but the authority was "
                f"created later ({begin:%Y-%m-%d}): set the clock"
            )
        return self._sign(name, role, (begin, end), extensions)

    def _sign(
        self,
        name: str,
        role: Role,
        span: tuple[datetime, datetime],
        extensions: Sequence[x509.ExtensionType],
    ) -> Issued:
        key = _new_key()
        draft = _draft(key, _subject(name), self._certificate.subject, span)
        draft = draft.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        draft = draft.add_extension(_usage(signs_others=False), critical=True)
        draft = draft.add_extension(self._authority_id(), critical=False)
        for extension in extensions:
            draft = draft.add_extension(extension, critical=False)
        signed = draft.sign(self._key, SHA256())
        return Issued(
            certificate_pem=signed.public_bytes(Encoding.PEM),
            key_pem=_pem(key),
            listed=_listed(signed, name, role),
        )

    def _authority_id(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())


def _listed(signed: x509.Certificate, name: str, role: Role) -> RegisteredCertificate:
    return RegisteredCertificate(
        serial=f"{signed.serial_number:040x}",
        name=name,
        role=role,
        not_before=signed.not_valid_before_utc,
        not_after=signed.not_valid_after_utc,
    )


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _subject(name: str) -> x509.Name:
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_LONGEST_COMMON_NAME])])
    except ValueError as error:
        raise AuthorityError(f"name {name!r} is not allowed in a certificate: {error}") from error


def _end(now: datetime, days: int) -> datetime:
    try:
        end = now + timedelta(days=days)
    except OverflowError as error:
        raise AuthorityError(f"{days} days end after the year 9999: use fewer") from error
    if end <= now:
        raise AuthorityError(f"a certificate must be valid for at least 1 day, not for {days}")
    return end


def _draft(
    key: ec.EllipticCurvePrivateKey,
    subject: x509.Name,
    issuer: x509.Name,
    span: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    draft = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
    draft = draft.public_key(key.public_key()).serial_number(x509.random_serial_number())
    draft = draft.not_valid_before(span[0]).not_valid_after(span[1])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return draft.add_extension(identifier, critical=False)


def _usage(*, signs_others: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_others,
        key_cert_sign=signs_others,
        crl_sign=signs_others,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
