from datetime import UTC, datetime, timedelta

import pytest

from cloud.ca.authority import Authority
from contract.errors import ConfigError
from transport.certificates import Certificate, Validity, read_certificate

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = datetime(2027, 3, 1, 12, tzinfo=UTC)
SECOND, MONTH = timedelta(seconds=1), timedelta(days=30)
CERTIFICATE = Certificate(name="gw-1", begins_at=BEGIN, ends_at=END)


@pytest.mark.parametrize(
    ("now", "validity", "days"),
    [
        (BEGIN - SECOND, Validity.NOT_YET, 365),
        (BEGIN, Validity.VALID, 365),
        (END - MONTH, Validity.VALID, 30),
        (END - MONTH + SECOND, Validity.SOON, 29),
        (END - SECOND, Validity.SOON, 0),
        (END, Validity.EXPIRED, 0),
        (END + SECOND, Validity.EXPIRED, -1),
    ],
)
def test_what_the_dates_mean(now, validity, days):
    assert (CERTIFICATE.validity(now), CERTIFICATE.days_left(now)) == (validity, days)


def test_an_issued_certificate_says_whose_it_is_and_how_long(tmp_path):
    authority = Authority.create(tmp_path / "authority", "attics", BEGIN)
    path = tmp_path / "ingest.pem"
    path.write_bytes(authority.issue_service("ingest", BEGIN, 365).certificate_pem)
    found = read_certificate(path)
    assert (found.name, found.ends_at) == ("ingest", END)
    assert found.begins_at <= BEGIN


def test_a_file_without_one_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.pem cannot be read"):
        read_certificate(tmp_path / "none.pem")
    (tmp_path / "wrong.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"wrong\.pem contains no certificate in PEM format"):
        read_certificate(tmp_path / "wrong.pem")
