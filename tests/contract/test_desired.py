"""Desired states: nothing is believed that is not signed, and no message is more than an error."""

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.desired import (
    MAX_BUNDLE_BYTES,
    MAX_BUNDLES,
    MAX_DESIRED_BYTES,
    Desired,
    DesiredBundle,
    decode_desired,
    encode_desired,
)
from contract.errors import ContractError

KEY_ID = "0123456789abcdef"
BUNDLE = DesiredBundle(
    condition_id="frost",
    model="frost-baseline",
    version="2013-03-31-1",
    counter=3,
    sha256="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    size_bytes=21_004,
)
DESIRED = Desired(device_id="ewr", counter=7, issued_at=1_364_688_000_000, bundles=(BUNDLE,))
TEXT = (
    '{"device_id":"ewr","counter":7,"issued_at":1364688000000,"bundles":[{"condition_id":"frost",'
    '"model":"frost-baseline","version":"2013-03-31-1","counter":3,"sha256":'
    '"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","size_bytes":21004}]}'
)


class NotSignedError(Exception):
    """What a verifier raises goes through."""


def sign(message: bytes) -> tuple[str, bytes]:
    """No secret in it, but as long as Ed25519's, and another for other bytes."""
    return KEY_ID, hashlib.sha512(message).digest()


def verify(key_id: str, message: bytes, signature: bytes) -> None:
    if (key_id, signature) != sign(message):
        raise NotSignedError


def sealed(text: str, **other: Any) -> bytes:
    """An envelope around any text, signed; `other` replaces its fields."""
    signature = base64.b64encode(sign(text.encode())[1]).decode()
    envelope = {"desired": text, "key_id": KEY_ID, "signature": signature} | other
    return json.dumps(envelope, separators=(",", ":")).encode()


def changed(**other: Any) -> str:
    return json.dumps(json.loads(TEXT) | other)


def with_bundle(**other: Any) -> str:
    return changed(bundles=[json.loads(TEXT)["bundles"][0] | other])


PAYLOAD = sealed(TEXT)


def test_a_state_written_by_hand_is_this_message_both_ways() -> None:
    assert encode_desired(DESIRED, sign) == PAYLOAD
    assert decode_desired(PAYLOAD, verify) == DESIRED


def test_the_signature_is_of_the_text_and_not_of_its_meaning() -> None:
    spaced = TEXT.replace(",", ", ")
    assert decode_desired(sealed(spaced), verify) == DESIRED
    with pytest.raises(NotSignedError):
        decode_desired(
            sealed(spaced, signature=base64.b64encode(sign(TEXT.encode())[1]).decode()), verify
        )


def test_a_device_that_shall_run_nothing() -> None:
    nothing = replace(DESIRED, bundles=())
    assert decode_desired(encode_desired(nothing, sign), verify) == nothing
    assert decode_desired(sealed(changed(bundles=[])), verify) == nothing


@settings(deadline=None)
@given(data=st.data())
def test_decode_after_encode_is_the_same_state(data: st.DataObject, strategy_of: Any) -> None:
    state = data.draw(strategy_of(Desired))
    bundles = {bundle.condition_id: bundle for bundle in state.bundles}
    state = replace(state, bundles=tuple(bundles.values()))
    payload = encode_desired(state, sign)
    assert decode_desired(payload, verify) == state
    assert encode_desired(state, sign) == payload


def test_unknown_fields_are_ignored() -> None:
    text = changed(wave=2, bundles=[json.loads(TEXT)["bundles"][0] | {"canary": True}])
    assert decode_desired(sealed(text, sent_at=None), verify) == DESIRED


def test_what_is_not_signed_is_not_even_read() -> None:
    for payload in (
        sealed("[" * 10_000, signature="A" * 86 + "=="),
        sealed(TEXT, key_id="f" * 16),
        sealed(TEXT, desired=changed(counter=8)),
    ):
        with pytest.raises(NotSignedError):
            decode_desired(payload, verify)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "bad_desired"),
        (b"\xff", "bad_desired"),
        (b"{", "bad_desired"),
        (PAYLOAD[:-1], "bad_desired"),
        (PAYLOAD + b"x", "bad_desired"),
        (PAYLOAD.decode().encode("utf-16"), "bad_desired"),
        (PAYLOAD + b" " * (MAX_DESIRED_BYTES + 1 - len(PAYLOAD)), "bad_desired"),
        (b"[]", "bad_field"),
        (b"{}", "bad_field"),
        (sealed(TEXT, desired=json.loads(TEXT)), "bad_field"),
        (sealed(TEXT, desired="\ud800"), "bad_desired"),
        (sealed(TEXT, key_id="0123456789ABCDEF"), "bad_field"),
        (sealed(TEXT, key_id=KEY_ID + "\n"), "bad_field"),
        (sealed(TEXT, signature="A" * 87 + "="), "bad_field"),
        (sealed(TEXT, signature="A" * 82 + "=="), "bad_field"),
        (sealed(TEXT, signature=None), "bad_field"),
        (sealed(""), "bad_desired"),
        (sealed("[]"), "bad_field"),
        (sealed("NaN"), "bad_desired"),
        (sealed(TEXT.replace("1364688000000", "NaN")), "bad_desired"),
        (sealed(TEXT.replace("1364688000000", "1" * 5_000)), "bad_desired"),
        (sealed(TEXT.replace("1364688000000", "1364688000000.0")), "bad_field"),
        (sealed(changed(device_id="EWR")), "bad_field"),
        (sealed(changed(device_id="../ewr")), "bad_field"),
        (sealed(changed(counter=0)), "bad_field"),
        (sealed(changed(counter=True)), "bad_field"),
        (sealed(changed(counter=2**53)), "bad_field"),
        (sealed(changed(bundles=None)), "bad_field"),
        (sealed(changed(bundles={})), "bad_field"),
        (sealed(changed(bundles=[[]])), "bad_field"),
        (sealed(with_bundle(counter=0)), "bad_field"),
        (sealed(with_bundle(version="a b")), "bad_field"),
        (sealed(with_bundle(sha256=BUNDLE.sha256.upper())), "bad_field"),
        (sealed(with_bundle(sha256="../" + BUNDLE.sha256[3:])), "bad_field"),
        (sealed(with_bundle(size_bytes=0)), "bad_field"),
        (sealed(with_bundle(size_bytes=MAX_BUNDLE_BYTES + 1)), "bad_field"),
        (sealed(changed(bundles=json.loads(TEXT)["bundles"] * 2)), "bad_desired"),
    ],
)
def test_a_bad_state_is_refused(payload: bytes, code: str) -> None:
    with pytest.raises(ContractError) as caught:
        decode_desired(payload, verify)
    assert caught.value.code == code


def short(total: int) -> Desired:
    """A state of so many bundles with names as short as they may be."""
    bundles = (
        replace(BUNDLE, condition_id=f"c{n}", model="m", version="v", size_bytes=1, counter=1)
        for n in range(total)
    )
    return replace(DESIRED, bundles=tuple(bundles))


def test_no_more_bundles_than_a_device_may_have() -> None:
    most = short(MAX_BUNDLES)
    assert decode_desired(encode_desired(most, sign), verify) == most
    more = short(MAX_BUNDLES + 1)
    with pytest.raises(ContractError, match="201 bundles, at most 200"):
        encode_desired(more, sign)
    tables = [json.loads(TEXT)["bundles"][0] | {"condition_id": f"c{n}"} for n in range(201)]
    for table in tables:
        table["model"] = table["version"] = "v"
    with pytest.raises(ContractError, match="201 bundles, at most 200"):
        decode_desired(sealed(json.dumps(json.loads(TEXT) | {"bundles": tables})), verify)


def test_what_would_be_refused_is_not_signed() -> None:
    long = replace(BUNDLE, model="m" * 63, version="v" * 63)
    bundles = tuple(replace(long, condition_id=f"{n:063}") for n in range(MAX_BUNDLES))
    with pytest.raises(ContractError, match=f"bytes, at most {MAX_DESIRED_BYTES}"):
        encode_desired(replace(DESIRED, bundles=bundles), sign)
    with pytest.raises(ContractError, match="two bundles for one condition"):
        encode_desired(replace(DESIRED, bundles=(BUNDLE, replace(BUNDLE, counter=4))), sign)


@given(at=st.integers(0, len(PAYLOAD)), instead=st.binary(max_size=4))
def test_a_damaged_message_is_the_same_state_or_an_error(at: int, instead: bytes) -> None:
    try:
        found = decode_desired(PAYLOAD[:at] + instead + PAYLOAD[at + 1 :], verify)
    except (ContractError, NotSignedError):
        return
    assert found == DESIRED


@pytest.mark.parametrize("form", ['{{"bundles":[{{"model":{}}}]}}', '{{"bundles":{}}}', "{}"])
def test_no_depth_of_nesting_is_more_than_a_contract_error(form: str) -> None:
    for depth in range(900, 1_010):  # around the interpreter's own limit of recursion
        nested = form.format("[" * depth + "]" * depth)
        for payload in (sealed(nested), nested.encode()):
            with pytest.raises(ContractError):
                decode_desired(payload, verify)
