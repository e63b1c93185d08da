"""Encodes and decodes the desired state: the model bundles that a device should run.

The cloud signs the state and retains it on the device's own topic, so a gateway gets the latest
state at its next connect. The envelope contains the state as text, because the signature covers
bytes. The text is parsed only after its signature is verified. The caller passes the functions that
sign and verify: this module uses no cryptography.
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
MAX_BUNDLE_BYTES = 4_194_304  # largest size of a bundle's file

KeyId = Annotated[str, Pattern(r"[0-9a-f]{16}", "16 hexadecimal digits")]
Sha256 = Annotated[str, Pattern(r"[0-9a-f]{64}", "64 hexadecimal digits")]
SignatureText = Annotated[str, Pattern(r"[A-Za-z0-9+/]{86}==", "64 bytes in base64")]


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredBundle:
    """Names one bundle that a device should run.

    Attributes:
        condition_id: The condition that the bundle forecasts; at most one bundle for each.
        model: Name of the model.
        version: Version of the model.
        counter: Number that grows with each bundle of the condition.
        sha256: SHA-256 of the bundle's file; the gateway fetches the file by it.
        size_bytes: Size of the bundle's file.
    """

    condition_id: Id
    model: Id
    version: Id
    counter: Seq
    sha256: Sha256
    size_bytes: Annotated[int, Between(1, MAX_BUNDLE_BYTES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """Lists the bundles that one device should run, at most one for each condition.

    For a condition that is not named nothing changes: its current bundle continues to run.

    Attributes:
        device_id: The device; any other device refuses the state.
        counter: Number that grows with each change; a device refuses a state whose counter is lower
            than the highest one it accepted.
        issued_at: Time of the decision, ms since 1970 UTC.
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
    """Returns the message: JSON in UTF-8, the same bytes for the same state and key.

    Args:
        desired: The state.
        sign: Function that returns, for bytes, the id of the signing key and the signature.

    Raises:
        ContractError: `bad_desired`; the state is too large, or names a condition twice.
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
    """Returns the state in a message.

    Args:
        payload: The message.
        verify: Function that takes key id, bytes and signature. It raises if the key is not trusted
            or the signature is wrong; its errors are passed on.

    Raises:
        ContractError: `bad_desired`, or `bad_field` with the field's path.
    """
    _check_size(payload)
    try:
        envelope = build(_Envelope, _parsed(payload), "envelope", ignore_unknown=True)
        signed = _encoded(envelope.desired)
        verify(envelope.key_id, signed, base64.b64decode(envelope.signature))
        desired = build(Desired, _parsed(signed), "desired", ignore_unknown=True)
    except RecursionError as error:  # raised by the parser, or by repr() for an error message
        raise ContractError("bad_desired", "desired state is nested too deeply") from error
    _check(desired)
    return desired


def _check(desired: Desired) -> None:
    bundles = desired.bundles
    if len(bundles) > MAX_BUNDLES:
        raise ContractError(
            "bad_desired", f"desired: {len(bundles)} bundles, at most {MAX_BUNDLES}"
        )
    if len({bundle.condition_id for bundle in bundles}) < len(bundles):
        raise ContractError("bad_desired", "desired: two bundles for one condition")


def _check_size(payload: bytes) -> None:
    if len(payload) > MAX_DESIRED_BYTES:
        raise ContractError(
            "bad_desired", f"envelope: {len(payload)} bytes, at most {MAX_DESIRED_BYTES}"
        )


def _dumped(table: object) -> str:
    return json.dumps(table, separators=(",", ":"), allow_nan=False)


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:  # raised for half of a surrogate pair
        raise ContractError(
            "bad_desired", "envelope: desired: the text cannot be encoded in UTF-8"
        ) from error


def _parsed(payload: bytes) -> object:
    try:
        return json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
    except ValueError as error:
        raise ContractError(
            "bad_desired", f"desired state is not JSON: {str(error)[:200]}"
        ) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ContractError("bad_desired", f"desired state: {name} is not a JSON number")
