"""The register's file: what goes in comes out, anything else is refused with a name."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ca.register import RegisteredCertificate, Role, decode, encode
from cloud.errors import AuthorityError

# years 1900 to 9998, and whole seconds, as certificates have
INSTANTS = st.integers(-2_208_988_800, 253_370_764_800).map(
    lambda s: datetime.fromtimestamp(s, UTC)
)
CERTIFICATES = st.builds(
    RegisteredCertificate,
    serial=st.text("0123456789abcdef", min_size=40, max_size=40),
    name=st.text(),
    role=st.sampled_from(Role),
    not_before=INSTANTS,
    not_after=INSTANTS,
    revoked_at=st.none() | INSTANTS,
)


@given(st.lists(CERTIFICATES))
def test_what_goes_in_comes_out(rows: list[RegisteredCertificate]) -> None:
    assert decode(encode(rows), "register") == tuple(rows)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "Expecting value"),
        (b"\xff", "codec can't decode"),
        (b"[]", "expected a table"),
        (b'{"version": 2, "certificates": []}', "version: expected 1 to 1, found 2"),
        (b'{"version": 1}', "key 'certificates' is missing"),
        (b'{"version": 1, "certificates": [{"serial": "1"}]}', r"certificates\[0\]: serial"),
        (b"[" * 100_000, "register.json"),
    ],
)
def test_a_damaged_register_is_told(data: bytes, says: str) -> None:
    with pytest.raises(AuthorityError, match=says) as caught:
        decode(data, "register.json")
    assert "Restore it from a copy" in str(caught.value)


def test_an_instant_that_is_none_is_told() -> None:
    row = RegisteredCertificate(
        serial="0" * 40,
        name="gw-1",
        role=Role.DEVICE,
        not_before=datetime(2026, 1, 1, tzinfo=UTC),
        not_after=datetime(2026, 2, 3, tzinfo=UTC),
    )
    with pytest.raises(AuthorityError, match="Restore it from a copy"):
        decode(encode([row]).replace(b"2026-02-03", b"2026-02-30"), "register.json")
