"""Packs and unpacks bundles: one signed file with a model, its manifest and its golden vectors.

Golden vectors are inputs with the answers that the model must give. The signature covers the
manifest's bytes, and the manifest names the sha256 of every other member; nothing is parsed before
its signature or hash is verified. Only `unpack` makes a `Bundle`, so each instance is verified. The
caller checks that the bundle suits the gateway and answers correctly (`check_golden`).
"""

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from contract.desired import MAX_BUNDLE_BYTES, KeyId, Sha256, SignatureText
from contract.errors import ConfigError, ContractError
from contract.typed import LARGEST, Between, Id, Pattern, Seq, UtcMs, build, plain
from models.conditions import Condition, load_conditions
from models.container import pack_members, unpack_members
from models.errors import BundleRefused, SignatureRefused
from models.features import FEATURE_NAMES, FEATURES_VERSION
from models.golden import Agreement, Golden, check_golden, decode_golden, encode_golden
from models.signing import Signer, TrustedKeys

__all__ = [
    "MAX_BUNDLE_BYTES",
    "SCHEMA",
    "Agreement",
    "Bundle",
    "BundleRefused",
    "Family",
    "Golden",
    "Lineage",
    "Manifest",
    "Member",
    "check_golden",
    "pack",
    "unpack",
]

SCHEMA = 1
_MANIFEST, _SIGNATURE = "manifest.json", "manifest.sig"
_MODEL, _GOLDEN, _CARD = "model.onnx", "golden.json", "card.md"
_HASHED = (_MODEL, _GOLDEN, _CARD)
_LIMITS_BYTES = {  # sizes after inflating; 2.2 MB in total
    _MANIFEST: 65_536,
    _SIGNATURE: 1_024,
    _MODEL: 1_048_576,
    _GOLDEN: 1_048_576,
    _CARD: 65_536,
}

T = TypeVar("T")
Word = Annotated[str, Pattern(r"[ -~]{1,4000}", "1 to 4000 printable characters of ASCII")]
FeatureName = Annotated[str, Pattern(r"[a-z0-9][a-z0-9_-]{0,62}", "a name of a-z, 0-9, _ and -")]


class Family(StrEnum):
    """Says how a model was made."""

    BASELINE = "baseline"
    SKLEARN = "sklearn"
    BLEND = "blend"
    MLLIB = "mllib"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Describes the origin of a model, for people and the registry.

    Attributes:
        dataset_version: State of the lake that the model was trained on.
        code_version: Version of the program that trained the model.
        trained_from: Begin of the training data.
        trained_to: End of the training data.
        parameters: The chosen parameters, JSON.
        seed: Random seed of the training.
    """

    dataset_version: Word
    code_version: Word
    trained_from: Word
    trained_to: Word
    parameters: Word
    seed: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Describes a member of the bundle.

    Attributes:
        name: Name of the member.
        sha256: SHA-256 of the member's bytes.
        size_bytes: Number of these bytes.
    """

    name: str
    sha256: Sha256
    size_bytes: Annotated[int, Between(0, LARGEST)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Describes a bundle and its model.

    Attributes:
        model: Name of the model.
        version: Version of the model.
        family: How the model was made.
        condition: The whole declaration that the model was trained for.
        horizon_s: Horizon of the forecast, seconds.
        features_version: Version of `models.features`.
        feature_names: Names of the input's columns, in the order of the columns.
        counter: Number that grows with each bundle of the condition.
        created_at: Time at which the bundle was made, ms since 1970 UTC.
        lineage: Origin of the model.
        files: The other members; filled in by `pack`.
        schema: Version of the manifest's format.
    """

    model: Id
    version: Id
    family: Family
    condition: Condition
    horizon_s: Annotated[int, Between(0, 10**8)]
    features_version: Seq
    feature_names: tuple[FeatureName, ...]
    counter: Seq
    created_at: UtcMs
    lineage: Lineage
    files: tuple[Member, ...] = ()
    schema: Annotated[int, Between(SCHEMA, SCHEMA)] = SCHEMA

    @property
    def takes_our_features(self) -> bool:
        """True if the model was made for the features that this program computes."""
        made_for = (self.features_version, self.feature_names)
        return made_for == (FEATURES_VERSION, FEATURE_NAMES)

    def made_for(self, declared: Condition) -> bool:
        """Returns whether the model was made for exactly this declaration."""
        return self.condition == declared and self.horizon_s == declared.horizon_s


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """Holds a verified bundle; only `unpack` makes one.

    Attributes:
        manifest: Description of the bundle.
        model: The ONNX file.
        golden: Inputs and the answers that the model must give.
        card: Purpose and limits of the model, Markdown for people.
    """

    manifest: Manifest
    model: bytes
    golden: Golden
    card: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    key_id: KeyId
    signature: SignatureText


def pack(manifest: Manifest, model: bytes, golden: Golden, card: str, signer: Signer) -> bytes:
    """Returns the bundle's file: the same bytes for the same input.

    Args:
        manifest: Description of the bundle; its `files` are replaced.
        model: The ONNX file.
        golden: Inputs and the answers that the model must give.
        card: Purpose and limits of the model.
        signer: Key that signs the bundle.

    Raises:
        BundleRefused: `unpack` refuses the new file, so nothing is returned.
    """
    rest = {_MODEL: model, _GOLDEN: encode_golden(golden), _CARD: card.encode()}
    told = _dumped(plain(replace(manifest, files=tuple(map(_member, rest, rest.values())))))
    key_id, signature = signer.sign(told)
    signed = _Signed(key_id=key_id, signature=base64.b64encode(signature).decode("ascii"))
    data = pack_members({_MANIFEST: told, _SIGNATURE: _dumped(plain(signed)), **rest})
    unpack(data, signer.trusted())
    return data


def unpack(data: bytes, trusted: TrustedKeys) -> Bundle:
    """Returns the verified bundle of a file.

    Args:
        data: The file; it is not read if it has more than `MAX_BUNDLE_BYTES`.
        trusted: Keys that may have signed the bundle.

    Raises:
        BundleRefused: `too_large`, `not_a_bundle`, `unknown_key`, `bad_signature`, `bad_manifest`,
            `bad_hash` or `bad_golden`.
    """
    if len(data) > MAX_BUNDLE_BYTES:
        raise BundleRefused("too_large", f"the bundle is larger than {MAX_BUNDLE_BYTES} bytes")
    members = unpack_members(data, _LIMITS_BYTES)
    _verify(members[_MANIFEST], members[_SIGNATURE], trusted)
    manifest = _manifest(members[_MANIFEST])
    _require_hashes(manifest, members)
    return Bundle(
        manifest=manifest,
        model=members[_MODEL],
        golden=decode_golden(members[_GOLDEN], len(manifest.feature_names)),
        card=_text(members[_CARD]),
    )


def _member(name: str, data: bytes) -> Member:
    return Member(name=name, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def _verify(manifest: bytes, signature: bytes, trusted: TrustedKeys) -> None:
    signed = _built(_Signed, signature, _SIGNATURE, "bad_signature")
    try:
        trusted.verify(signed.key_id, manifest, base64.b64decode(signed.signature))
    except SignatureRefused as error:
        raise BundleRefused(error.code, error.text) from error


def _manifest(data: bytes) -> Manifest:
    manifest = _built(Manifest, data, _MANIFEST, "bad_manifest")
    try:
        load_conditions([plain(manifest.condition)], _MANIFEST)
    except ConfigError as error:
        raise BundleRefused("bad_manifest", str(error)) from error
    names = manifest.feature_names
    if not names or len(set(names)) < len(names):
        raise BundleRefused(
            "bad_manifest", f"{_MANIFEST}: feature_names: the list is empty, or names one twice"
        )
    return manifest


def _require_hashes(manifest: Manifest, members: dict[str, bytes]) -> None:
    if tuple(file.name for file in manifest.files) != _HASHED:
        raise BundleRefused("bad_manifest", f"{_MANIFEST}: files: expected {', '.join(_HASHED)}")
    for file in manifest.files:
        if _member(file.name, members[file.name]) != file:
            raise BundleRefused(
                "bad_hash", f"{file.name}: its sha256 or size differs from the signed manifest"
            )


def _text(card: bytes) -> str:
    try:
        return card.decode("utf-8")
    except ValueError as error:
        raise BundleRefused("not_a_bundle", f"{_CARD} is not UTF-8 text") from error


def _built(cls: type[T], data: bytes, where: str, code: str) -> T:
    try:
        return build(cls, _parsed(data), where)
    except (ContractError, ValueError, RecursionError) as error:
        text = str(error).removeprefix("bad_field: ")
        raise BundleRefused(
            code, text[:300] if where in text else f"{where}: {text[:300]}"
        ) from error


def _parsed(data: bytes) -> Any:
    return json.loads(data.decode("utf-8"))


def _dumped(table: object) -> bytes:
    return json.dumps(table, separators=(",", ":"), allow_nan=False).encode()
