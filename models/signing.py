"""Signs and verifies the bytes of bundles and desired states with Ed25519 keys.

The cloud has one `Signer`; this module generates, saves and loads its private key. Gateways and
scoring have `TrustedKeys`: several keys while a key is being replaced. `models.container` and
`contract.desired` define the signed bytes.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from contract.errors import ConfigError
from models.errors import SignatureRefused

__all__ = ["Signer", "TrustedKeys", "key_id"]

_KEY_ID_DIGITS = 16


def key_id(public_key: bytes) -> str:
    """Returns the name of a key: the first 16 hex digits of the sha256 of its 32 public bytes."""
    return hashlib.sha256(public_key).hexdigest()[:_KEY_ID_DIGITS]


class TrustedKeys:
    """Verifies signatures with the trusted public keys.

    Args:
        public_keys: The keys, each as 32 raw bytes.
    """

    def __init__(self, public_keys: Iterable[bytes]) -> None:
        self._keys = {key_id(k): Ed25519PublicKey.from_public_bytes(k) for k in public_keys}

    @classmethod
    def load(cls, paths: Iterable[Path]) -> "TrustedKeys":
        """Returns the keys in PEM files of `Signer.public_pem`, one key in each.

        Raises:
            ConfigError: A file cannot be read or does not contain an Ed25519 public key.
        """
        return cls([_public_bytes(path) for path in paths])

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Names of the keys, sorted."""
        return tuple(sorted(self._keys))

    def verify(self, key_id: str, message: bytes, signature: bytes) -> None:
        """Raises an error unless the named key is trusted and has signed the message.

        Raises:
            SignatureRefused: `unknown_key` or `bad_signature`.
        """
        key = self._keys.get(key_id)
        if key is None:
            known = ", ".join(self.key_ids) or "none"
            raise SignatureRefused(
                "unknown_key",
                f"signed by key {key_id[:40]!r}, but the trusted keys are: {known}. If you trust "
                "that key, add its public key to the trusted keys",
            )
        try:
            key.verify(signature, message)
        except InvalidSignature as error:
            raise SignatureRefused(
                "bad_signature", f"the signature of key {key_id} does not match the signed bytes"
            ) from error


def _public_bytes(path: Path) -> bytes:
    try:
        key = load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: expected a public key in PEM: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{path}: expected an Ed25519 public key, found {type(key).__name__}")
    return key.public_bytes_raw()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: the key cannot be read: {error.strerror or error}") from error


class Signer:
    """Signs with a private key; `generate` and `load` make instances."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> "Signer":
        """Returns a new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> "Signer":
        """Returns the key in a file that `save` wrote.

        Raises:
            ConfigError: The file cannot be read or does not contain an Ed25519 private key
                without a password.
        """
        try:
            key = load_pem_private_key(_read(path), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigError(
                f"{path}: expected a private key in PEM without a password: {error}"
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"{path}: expected an Ed25519 key, found {type(key).__name__}")
        return cls(key)

    def save(self, path: Path) -> None:
        """Writes the key durably as a new PEM file that only its owner can read (0600).

        Raises:
            ConfigError: The file exists already or cannot be written.
        """
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(descriptor)
            _sync_folder(path.parent)
        except FileExistsError as error:
            raise ConfigError(
                f"{path} exists already and is not overwritten; choose another path"
            ) from error
        except OSError as error:
            text = f"{path}: the key cannot be written: {error.strerror or error}"
            raise ConfigError(text) from error

    @property
    def key_id(self) -> str:
        """Name of the key."""
        return key_id(self._public_bytes())

    def trusted(self) -> TrustedKeys:
        """Returns `TrustedKeys` with this key only."""
        return TrustedKeys([self._public_bytes()])

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Returns the key's name and the 64-byte signature: the same for the same message."""
        return self.key_id, self._key.sign(message)

    def public_pem(self) -> str:
        """Returns the public key in PEM, for `TrustedKeys.load`."""
        pem = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem.decode("ascii")

    def _public_bytes(self) -> bytes:
        return self._key.public_key().public_bytes_raw()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
