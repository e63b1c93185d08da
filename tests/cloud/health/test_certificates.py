from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from cloud.ca.authority import Authority
from cloud.health.certificates import look_at_certificate
from cloud.health.finding import Check, State
from cloud.health.parallel_checks import look_at

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Issued at NOW for a year."""
    folder = tmp_path_factory.mktemp("authority")
    authority = Authority.create(folder / "authority", "attics", NOW)
    path = folder / "ingest.pem"
    path.write_bytes(authority.issue_service("ingest", NOW, 365).certificate_pem)
    return path


@pytest.mark.parametrize(
    ("days", "state", "found", "remedy"),
    [
        (-2, State.FAILED, "not valid before", "clock"),
        (1, State.OK, "364 days left, until 2027-03-01", ""),
        (335, State.OK, "30 days left, until 2027-03-01", ""),
        (336, State.WARNING, "29 days left, until 2027-03-01", "issue a new one"),
        (365, State.FAILED, "expired at 2027-03-01T12:00:00Z", "issue a new one"),
    ],
)
def test_days_that_are_left(certificate, days, state, found, remedy):
    now = NOW + timedelta(days=days)
    (finding,) = look_at_certificate("certificate of ingest", certificate, now)
    assert (finding.check, finding.state) == ("certificate of ingest", state)
    assert found in finding.found
    assert remedy in finding.remedy
    assert bool(remedy) == bool(finding.remedy)


def test_one_that_cannot_be_read_hides_no_other(certificate, tmp_path):
    (tmp_path / "no.pem").write_text("no certificate")
    files = tmp_path / "gone.pem", tmp_path / "no.pem", certificate
    looks = [partial(look_at_certificate, "c", path, NOW + timedelta(1)) for path in files]
    checks = [Check(name="c", expected="", remedy="", limit_s=30, look=look) for look in looks]
    found = look_at(checks)
    assert [f.state for f in found] == [State.FAILED, State.FAILED, State.OK]
    assert "gone.pem cannot be read: No such file" in found[0].found
    assert "no.pem contains no certificate" in found[1].found
