"""Keys: what they sign, whom they trust, and their files."""

import os

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import ConfigError
from models.errors import SignatureRefused
from models.signing import Signer, TrustedKeys, key_id

SIGNER, STRANGER = Signer.generate(), Signer.generate()


def pem(key, password=None):
    encryption = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password)
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def refusal(trusted, *call):
    with pytest.raises(SignatureRefused) as caught:
        trusted.verify(*call)
    assert str(caught.value) == f"{caught.value.code}: {caught.value.text}"
    assert not caught.value.retryable
    return caught.value.code


def test_the_first_vector_of_rfc_8032(tmp_path):
    """Section 7.1, TEST 1: an empty message."""
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b"
    )
    path = tmp_path / "key.pem"
    path.write_bytes(pem(ed25519.Ed25519PrivateKey.from_private_bytes(secret)))
    # printf d75a...511a | xxd -r -p | sha256sum | cut -c -16
    assert Signer.load(path).sign(b"") == ("21fe31dfa154a261", signature)
    assert key_id(public) == "21fe31dfa154a261"
    TrustedKeys([public]).verify("21fe31dfa154a261", b"", signature)


@given(st.binary(max_size=300))
def test_what_is_signed_verifies_and_is_signed_alike_again(message):
    signed = SIGNER.sign(message)
    assert SIGNER.sign(message) == signed
    name, signature = signed
    assert name == SIGNER.key_id
    SIGNER.trusted().verify(name, message, signature)
    assert refusal(STRANGER.trusted(), name, message, signature) == "unknown_key"
    assert refusal(STRANGER.trusted(), STRANGER.key_id, message, signature) == "bad_signature"


@given(st.binary(min_size=1, max_size=100), st.data())
def test_no_changed_byte_verifies(message, data):
    name, signature = SIGNER.sign(message)
    trusted, change = SIGNER.trusted(), data.draw(st.integers(1, 255))
    at = data.draw(st.integers(0, len(message) - 1))
    other = message[:at] + bytes([message[at] ^ change]) + message[at + 1 :]
    assert refusal(trusted, name, other, signature) == "bad_signature"
    at = data.draw(st.integers(0, 63))
    other = signature[:at] + bytes([signature[at] ^ change]) + signature[at + 1 :]
    assert refusal(trusted, name, message, other) == "bad_signature"


@pytest.mark.parametrize("length", [0, 1, 63, 65, 1_000])
def test_a_signature_of_another_length(length):
    name, signature = SIGNER.sign(b"x")
    other = (signature * 16)[:length]
    assert refusal(SIGNER.trusted(), name, b"x", other) == "bad_signature"


def test_nobody_may_be_trusted():
    assert TrustedKeys.load([]).key_ids == ()


def test_an_unknown_key_is_named_with_the_known_ones():
    with pytest.raises(SignatureRefused, match=f"trusted keys are: {SIGNER.key_id}. If you"):
        SIGNER.trusted().verify("0" * 16, b"", b"")
    with pytest.raises(SignatureRefused, match="trusted keys are: none"):
        TrustedKeys([]).verify("0" * 16, b"", b"")


def test_files_of_keys(tmp_path):
    path, public = tmp_path / "signing.pem", tmp_path / "public.pem"
    old = os.umask(0)  # the widest: the file must be private all the same
    try:
        SIGNER.save(path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Signer.load(path).sign(b"x") == SIGNER.sign(b"x")
    public.write_text(SIGNER.public_pem())
    (tmp_path / "other.pem").write_text(STRANGER.public_pem())
    trusted = TrustedKeys.load([public, tmp_path / "other.pem"])
    assert trusted.key_ids == tuple(sorted((SIGNER.key_id, STRANGER.key_id)))
    trusted.verify(SIGNER.key_id, b"x", SIGNER.sign(b"x")[1])
    trusted.verify(STRANGER.key_id, b"x", STRANGER.sign(b"x")[1])


def test_a_key_is_never_overwritten(tmp_path):
    path = tmp_path / "signing.pem"
    SIGNER.save(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        STRANGER.save(path)
    assert path.read_bytes() == before
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        SIGNER.save(tmp_path / "none" / "signing.pem")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"", "expected a private key in PEM without a password"),
        (b"key", "expected a private key in PEM without a password"),
        (SIGNER.public_pem().encode(), "expected a private key in PEM without a password"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "expected an Ed25519 key, found"),
        (pem(ed25519.Ed25519PrivateKey.generate(), b"secret"), "without a password"),
    ],
)
def test_a_file_that_is_no_private_key(tmp_path, data, words):
    path = tmp_path / "signing.pem"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigError, match=words) as caught:
        Signer.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"", "expected a public key in PEM"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "expected a public key in PEM"),
        (
            ec.generate_private_key(ec.SECP256R1())
            .public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            "expected an Ed25519 public key, found",
        ),
    ],
)
def test_a_file_that_is_no_public_key(tmp_path, data, words):
    path = tmp_path / "public.pem"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigError, match=words) as caught:
        TrustedKeys.load([path])
    assert str(path) in str(caught.value)
