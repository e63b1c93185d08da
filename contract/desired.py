"""The desired state: the cloud says which bundles a device should run.

Signed, and retained on the device's own topic, so that a gateway that was away gets the latest at
its next connect. The envelope carries the state as text, since what is signed are bytes and not a
parser's idea of them; nothing in it is believed before the signature is verified. Who signs and
verifies is the caller's affair: this module knows no cryptography.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NoReturn

from contract.errors import ContractError
from contract.typed import Between, Id, Pattern, Seq, UtcMs, build, plain

__all__ = [
    "MAX_BUNDLES",
    "MAX_BUNDLE_BYTES",
    "MAX_DESIRED_BYTES",
    "Desired",
    "DesiredBundle",
    "KeyId",
    "Sha256",
    "SignatureText",
    "decode_desired",
    "encode_desired",
]

MAX_DESIRED_BYTES = 65_536
MAX_BUNDLES = 200
MAX_BUNDLE_BYTES = 4_194_304  # of a bundle's file

KeyId = Annotated[str, Pattern(r"[0-9a-f]{16}", "16 hexadecimal digits")]
Sha256 = Annotated[str, Pattern(r"[0-9a-f]{64}", "64 hexadecimal digits")]
SignatureText = Annotated[str, Pattern(r"[A-Za-z0-9+/]{86}==", "64 bytes in base64")]


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredBundle:
    """One bundle that a device should run.

    Attributes:
        condition_id: The condition that it forecasts; at most one bundle for each.
        model: Name of the model.
        version: Its version.
        counter: Grows with each bundle of the condition.
        sha256: Of the bundle's file, which it is fetched by.
        size_bytes: Of the bundle's file.
    """

    condition_id: Id
    model: Id
    version: Id
    counter: Seq
    sha256: Sha256
    size_bytes: Annotated[int, Between(1, MAX_BUNDLE_BYTES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What one device should run, for each condition at most one bundle.

    A condition that is not named asks for nothing new: what runs for it goes on.

    Attributes:
        device_id: The device; another one refuses it.
        counter: Grows with each change; a device refuses one below the highest that it took.
        issued_at: When it was decided, ms since 1970 UTC.
        bundles: The bundles.
    """

    device_id: Id
    counter: Seq
    issued_at: UtcMs
    bundles: tuple[DesiredBundle, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Envelope:
    desired: str
    key_id: KeyId
    signature: SignatureText


def encode_desired(desired: Desired, sign: Callable[[bytes], tuple[str, bytes]]) -> bytes:
    """The message as it travels: JSON, UTF-8; the same for the same state and key.

    Args:
        desired: The state.
        sign: From bytes to the signing key's id and its signature of them.

    Raises:
        ContractError: `bad_desired`; it is more than a message may hold, or contradicts itself.
    """
    _check(desired)
    text = _dumped(plain(desired))
    key_id, signature = sign(text.encode())
    envelope = _Envelope(
        desired=text, key_id=key_id, signature=base64.b64encode(signature).decode("ascii")
    )
    payload = _dumped(plain(envelope)).encode()
    _check_size(payload)
    return payload


def decode_desired(payload: bytes, verify: Callable[[str, bytes, bytes], None]) -> Desired:
    """The state in a message.

    Args:
        payload: The message.
        verify: Given key id, bytes and signature, raises if they do not belong together or the
            key is not trusted; what it raises goes through.

    Raises:
        ContractError: `bad_desired`, or `bad_field` with the place.
    """
    _check_size(payload)
    try:
        envelope = build(_Envelope, _parsed(payload), "envelope", ignore_unknown=True)
        signed = _encoded(envelope.desired)
        verify(envelope.key_id, signed, base64.b64decode(envelope.signature))
        desired = build(Desired, _parsed(signed), "desired", ignore_unknown=True)
    except RecursionError as error:  # of the parser, or of showing what it found in a message
        raise ContractError("bad_desired", "nested too deeply") from error
    _check(desired)
    return desired


def _check(desired: Desired) -> None:
    bundles = desired.bundles
    if len(bundles) > MAX_BUNDLES:
        raise ContractError("bad_desired", f"{len(bundles)} bundles, at most {MAX_BUNDLES}")
    if len({bundle.condition_id for bundle in bundles}) < len(bundles):
        raise ContractError("bad_desired", "two bundles for one condition")


def _check_size(payload: bytes) -> None:
    if len(payload) > MAX_DESIRED_BYTES:
        raise ContractError("bad_desired", f"{len(payload)} bytes, at most {MAX_DESIRED_BYTES}")


def _dumped(table: object) -> str:
    return json.dumps(table, separators=(",", ":"), allow_nan=False)


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise ContractError("bad_desired", "envelope: desired: is no text in UTF-8") from error


def _parsed(payload: bytes) -> object:
    try:
        return json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
    except ValueError as error:
        raise ContractError("bad_desired", f"not JSON: {str(error)[:200]}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ContractError("bad_desired", f"{name} is no number of JSON")
