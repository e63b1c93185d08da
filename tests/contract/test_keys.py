import hashlib
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.keys import (
    UNSYNCED_DAY,
    Key,
    alert_id,
    event_day,
    import_stream_id,
    is_import,
    payload_digest,
    stream_id,
)
from contract.typed import LATEST_UTC_MS

HOUR_MS = 3_600_000


def test_a_key_is_shown_as_device_stream_number() -> None:
    assert str(Key("gw-1", "ynoicv4oqjyxi", 7)) == "gw-1:ynoicv4oqjyxi:7"


@given(st.binary(min_size=8, max_size=8))
def test_a_stream_id_is_13_characters_that_name_their_bytes(random_bytes: bytes) -> None:
    found = stream_id(random_bytes)
    assert re.fullmatch("[a-z2-7]{13}", found)
    bits = "".join(f"{'abcdefghijklmnopqrstuvwxyz234567'.index(c):05b}" for c in found)
    assert int(bits[:64], 2).to_bytes(8, "big") == random_bytes


@given(st.binary(min_size=8, max_size=32))
def test_a_stream_of_an_import_is_never_a_gateway_s(digest: bytes) -> None:
    found = import_stream_id(digest)
    assert re.fullmatch("[a-z2-7]{13}", found)
    assert is_import(found)
    assert not is_import(stream_id(digest[:8]))
    assert found == import_stream_id(digest)


def test_two_imports_have_two_streams() -> None:
    digests = [hashlib.sha256(bytes([n])).digest() for n in range(200)]
    assert len({import_stream_id(digest) for digest in digests}) == 200


@pytest.mark.parametrize("size", [0, 7, 9])
def test_a_stream_id_is_made_of_8_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        stream_id(bytes(size))


@pytest.mark.parametrize(
    ("observed_at", "day"),
    [
        (None, date(1970, 1, 1)),
        (0, date(1970, 1, 1)),
        (-1, date(1969, 12, 31)),
        (1_768_521_599_999, date(2026, 1, 15)),
        (1_768_521_600_000, date(2026, 1, 16)),
        (LATEST_UTC_MS, date(9999, 12, 31)),
        (-62_135_596_800_000, date(1, 1, 1)),
    ],
)
def test_a_day_is_of_utc_and_begins_at_midnight(observed_at: int | None, day: date) -> None:
    assert event_day(observed_at) == day


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)))  # noqa: DTZ001  # drawn naive, read as UTC
def test_a_day_holds_its_instants(instant: datetime) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    at = (instant.replace(tzinfo=UTC) - epoch) // timedelta(milliseconds=1)
    assert event_day(at) == instant.date()


def test_unsynced_rows_have_a_day_of_their_own() -> None:
    assert event_day(None) == UNSYNCED_DAY


def test_an_alert_id_follows_from_where_the_alert_began() -> None:
    expected = hashlib.sha256(b"attic-dew|ynoicv4oqjyxi|7205000").hexdigest()[:16]
    assert alert_id("attic-dew", "ynoicv4oqjyxi", 7_205_000) == expected == "561d01249aa68b3f"


def test_another_condition_stream_or_time_is_another_alert() -> None:
    origins = [
        ("attic-dew", "ynoicv4oqjyxi", 2 * HOUR_MS),
        ("attic-cold", "ynoicv4oqjyxi", 2 * HOUR_MS),
        ("attic-dew", "ynoicv4oqjyxj", 2 * HOUR_MS),
        ("attic-dew", "ynoicv4oqjyxi", 2 * HOUR_MS + 1),
    ]
    assert len({alert_id(*origin) for origin in origins}) == len(origins)


def test_a_digest_is_the_beginning_of_sha256() -> None:
    # FIPS 180-4 example: sha256("abc") = ba7816bf 8f01cfea ...
    assert payload_digest(b"abc") == "ba7816bf8f01cfea"
