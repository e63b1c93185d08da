import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.acks import MAX_ACK_BYTES, Ack, decode_ack, encode_ack
from contract.errors import ContractError
from contract.records import Span

STREAM = "ynoicv4oqjyxi"
ACK = Ack(
    spans=(Span(stream_id=STREAM, first=1, last=240),),
    digests=("ba7816bf8f01cfea",),
)
TEXT = (
    b'{"spans":[{"stream_id":"ynoicv4oqjyxi","first":1,"last":240}],"digests":["ba7816bf8f01cfea"]}'
)


def test_an_ack_written_by_hand_is_this_message_both_ways() -> None:
    assert encode_ack(ACK) == TEXT
    assert decode_ack(TEXT) == ACK
    assert decode_ack(b"{}") == Ack()


@given(data=st.data())
def test_decode_after_encode_is_the_same_ack(
    data: st.DataObject, any_ack: st.SearchStrategy[Ack]
) -> None:
    ack = data.draw(any_ack)
    assert decode_ack(encode_ack(ack)) == ack


def test_unknown_fields_are_ignored() -> None:
    span = f'{{"stream_id":"{STREAM}","first":1,"last":2,"node":"a"}}'
    found = decode_ack(f'{{"spans":[{span}],"at":null}}'.encode())
    assert found == Ack(spans=(Span(stream_id=STREAM, first=1, last=2),))


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "bad_ack"),
        (b"\xff", "bad_ack"),
        (b"{", "bad_ack"),
        (TEXT.decode().encode("utf-16"), "bad_ack"),
        (b" " * (MAX_ACK_BYTES + 1), "bad_ack"),
        (b"[]", "bad_field"),
        (b'{"spans":null}', "bad_field"),
        (b'{"digests":["BA7816BF8F01CFEA"]}', "bad_field"),
        (b'{"digests":["ba78"]}', "bad_field"),
        (b'{"spans":[{"stream_id":"ynoicv4oqjyxi","first":2,"last":1}]}', "bad_field"),
        (b'{"spans":[{"stream_id":"ynoicv4oqjyxi","first":true,"last":1}]}', "bad_field"),
        (b'{"spans":[{"stream_id":"ynoicv4oqjyxi","first":1}]}', "bad_field"),
    ],
)
def test_a_bad_ack_is_refused(payload: bytes, code: str) -> None:
    with pytest.raises(ContractError) as caught:
        decode_ack(payload)
    assert caught.value.code == code


@given(data=st.data())
def test_a_damaged_ack_is_an_ack_or_a_contract_error(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TEXT)))
    damaged = TEXT[:at] + data.draw(st.binary(max_size=4)) + TEXT[at + 1 :]
    try:
        found = decode_ack(damaged)
    except ContractError:
        return
    assert decode_ack(encode_ack(found)) == found


@pytest.mark.parametrize("form", ['{{"spans":[{{"stream_id":{}}}]}}', '{{"digests":[{}]}}', "{}"])
def test_no_depth_of_nesting_is_more_than_a_contract_error(form: str) -> None:
    for depth in range(900, 1_010):  # around the interpreter's own limit of recursion
        with pytest.raises(ContractError):
            decode_ack(form.format("[" * depth + "]" * depth).encode())
