"""The authority: OpenSSL accepts what it issued and no more, and the register knows all of it."""

import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cloud.ca.authority import SERVICES, Authority, Issued, Role
from cloud.errors import AuthorityError

FILES = {
    "ca.pem": 0o644,
    "services.pem": 0o644,
    "crl.pem": 0o644,
    "services-crl.pem": 0o644,
    "ca.key": 0o600,
    "services.key": 0o600,
    "register.json": 0o600,
    ".lock": 0o600,
}


@pytest.fixture
def verify(authority: Authority, tmp_path: Path, openssl: Callable[..., str]) -> Callable[..., str]:
    """`verify(issued, root, crl, options...)`: OpenSSL's verdict at an instant of the test."""
    folder = authority._folder

    def run(issued: Issued, root: str, crl: str, *options: object) -> str:
        path = tmp_path / "leaf.pem"
        path.write_bytes(issued.certificate_pem)
        words = ["-x509_strict", "-CAfile", folder / root, "-crl_check", "-CRLfile", folder / crl]
        return openssl("verify", *words, *options, path)

    return run


def at(moment: datetime) -> tuple[str, str]:
    return "-attime", str(int(moment.timestamp()))


def test_a_folder_with_all_its_files(authority: Authority) -> None:
    found = {p.name: p.stat().st_mode & 0o777 for p in authority._folder.iterdir()}
    assert found == FILES
    assert authority.certificates() == ()


def test_an_authority_is_never_overwritten(authority: Authority, now: datetime) -> None:
    before = {p.name: p.read_bytes() for p in authority._folder.iterdir()}
    with pytest.raises(AuthorityError, match="already has an authority"):
        Authority.create(authority._folder, "other", now)
    authority.issue_device("gw-1", now, 10)
    (authority._folder / "ca.pem").unlink()
    with pytest.raises(AuthorityError, match=r"but not its ca\.pem"):
        Authority.create(authority._folder, "other", now)
    assert (authority._folder / "ca.key").read_bytes() == before["ca.key"]


def test_a_create_that_was_broken_off_is_repeated(authority: Authority, now: datetime) -> None:
    """`ca.pem` is what is written last."""
    (authority._folder / "ca.pem").unlink()
    with pytest.raises(AuthorityError, match="has no authority"):
        Authority.open(authority._folder)
    Authority.create(authority._folder, "attics", now).issue_device("gw-1", now, 10)
    assert len(Authority.open(authority._folder).certificates()) == 1


def test_clients_are_good_for_their_own_root_and_as_clients_only(
    authority: Authority, now: datetime, verify: Callable[..., str]
) -> None:
    moment = at(now)
    device = authority.issue_device("gw-1", now, 30)
    service = authority.issue_service("ingest", now, 30)
    devices, services = ("ca.pem", "crl.pem"), ("services.pem", "services-crl.pem")
    assert ": OK" in verify(device, *devices, "-purpose", "sslclient", *moment)
    assert ": OK" in verify(service, *services, "-purpose", "sslclient", *moment)
    for issued, files in ((device, services), (service, devices)):
        assert ": OK" not in verify(issued, *files, "-purpose", "sslclient", *moment)
    for issued, files in ((device, devices), (service, services)):
        assert "unsuitable" in verify(issued, *files, "-purpose", "sslserver", *moment)


def test_a_server_is_good_for_its_hosts_and_as_a_server_only(
    authority: Authority, now: datetime, verify: Callable[..., str]
) -> None:
    issued = authority.issue_server(["broker.lan", "10.0.0.5", "fd00::1"], now, 30)
    files, server = ("ca.pem", "crl.pem"), ("-purpose", "sslserver", *at(now))
    assert ": OK" in verify(issued, *files, *server, "-verify_hostname", "broker.lan")
    assert ": OK" in verify(issued, *files, *server, "-verify_ip", "10.0.0.5")
    assert ": OK" in verify(issued, *files, *server, "-verify_ip", "fd00::1")
    assert "mismatch" in verify(issued, *files, *server, "-verify_hostname", "other.lan")
    assert "mismatch" in verify(issued, *files, *server, "-verify_ip", "10.0.0.6")
    assert "unsuitable" in verify(issued, *files, "-purpose", "sslclient", *at(now))


def test_it_holds_from_the_day_before_until_its_last_day(
    authority: Authority, now: datetime, verify: Callable[..., str]
) -> None:
    issued = authority.issue_device("gw-1", now, 30)
    files, second = ("ca.pem", "crl.pem"), timedelta(seconds=1)
    begin, end = issued.listed.not_before, issued.listed.not_after
    whole = now.replace(microsecond=0)
    assert (begin, end) == (whole - timedelta(days=1), whole + timedelta(days=30))
    assert ": OK" in verify(issued, *files, *at(begin))
    assert ": OK" in verify(issued, *files, *at(end - second))
    assert "not yet valid" in verify(issued, *files, *at(begin - second))
    assert "expired" in verify(issued, *files, *at(end))


def test_what_it_is_in_openssls_words(
    authority: Authority, now: datetime, openssl: Callable[..., str], tmp_path: Path
) -> None:
    issued = authority.issue_device("gw-1", now, 30)
    (tmp_path / "leaf.pem").write_bytes(issued.certificate_pem)
    said = openssl("x509", "-in", tmp_path / "leaf.pem", "-noout", "-text")
    for words in (
        "Subject: CN = gw-1\n",
        "Issuer: CN = attics devices\n",
        "prime256v1",
        "Basic Constraints: critical\n                CA:FALSE\n",
        "Key Usage: critical\n                Digital Signature\n",
        "Extended Key Usage: \n                TLS Web Client Authentication\n",
        "Subject Key Identifier",
        "Authority Key Identifier",
    ):
        assert words in said
    root = openssl("x509", "-in", authority._folder / "ca.pem", "-noout", "-text")
    assert "CA:TRUE, pathlen:0" in root
    assert "Key Usage: critical\n                Certificate Sign, CRL Sign\n" in root
    assert issued.key_pem.startswith(b"-----BEGIN PRIVATE KEY-----")  # PKCS#8
    assert "PRIVATE" not in repr(issued)


def test_a_renewed_name_is_listed_twice_and_revoked_as_one(
    authority: Authority, now: datetime, verify: Callable[..., str]
) -> None:
    first, second = (authority.issue_device("gw-1", now, days) for days in (30, 60))
    other = authority.issue_device("gw-2", now, 30)
    assert [row.name for row in authority.certificates()] == ["gw-1", "gw-1", "gw-2"]
    revoked = authority.revoke("gw-1", now)
    assert {row.serial for row in revoked} == {first.listed.serial, second.listed.serial}
    for issued in (first, second):
        assert "revoked" in verify(issued, "ca.pem", "crl.pem", *at(now))
    assert ": OK" in verify(other, "ca.pem", "crl.pem", *at(now))
    assert authority.revoke("gw-1", now) == ()


def test_a_serial_revokes_one_certificate(
    authority: Authority, now: datetime, verify: Callable[..., str]
) -> None:
    lost, kept = (authority.issue_service("ingest", now, 30) for _ in range(2))
    authority.revoke(lost.listed.serial, now)
    files = ("services.pem", "services-crl.pem")
    assert "revoked" in verify(lost, *files, *at(now))
    assert ": OK" in verify(kept, *files, *at(now))
    assert [row.revoked_at is None for row in authority.certificates()] == [False, True]


@pytest.mark.parametrize(
    "as_printed",
    [
        lambda serial: f"{int(serial, 16):X}",  # OpenSSL leaves out the zero bytes
        lambda serial: ":".join(re.findall("..", serial.upper())),
    ],
    ids=["openssl", "browser"],
)
def test_a_serial_as_other_programs_print_it(
    authority: Authority, now: datetime, as_printed: Callable[[str], str]
) -> None:
    issued = authority.issue_device("gw-1", now, 30)
    short = replace(issued.listed, serial=f"{0x0ABC:040x}", name="gw-2")
    authority._write_register((*authority.certificates(), short))
    for row in (issued.listed, short):
        assert [r.serial for r in authority.revoke(as_printed(row.serial), now)] == [row.serial]


def test_a_revocation_that_was_broken_off_is_completed_by_another(
    authority: Authority, now: datetime, verify: Callable[..., str]
) -> None:
    """The register is written first: a list that lacks a row can be made from it again."""
    issued = authority.issue_device("gw-1", now, 30)
    before = (authority._folder / "crl.pem").read_bytes()
    authority.revoke("gw-1", now)
    (authority._folder / "crl.pem").write_bytes(before)
    assert ": OK" in verify(issued, "ca.pem", "crl.pem", *at(now))
    assert authority.revoke("gw-1", now) == ()
    assert "revoked" in verify(issued, "ca.pem", "crl.pem", *at(now))


def test_the_list_ends_when_it_was_told_to(
    authority: Authority, now: datetime, verify: Callable[..., str]
) -> None:
    issued = authority.issue_device("gw-1", now, 3000)
    late = at(now + timedelta(days=2900))
    assert ": OK" in verify(issued, "ca.pem", "crl.pem", *late)
    short = Authority.open(authority._folder, crl_days=7)
    short.renew_crls(now)
    assert ": OK" in verify(issued, "ca.pem", "crl.pem", *at(now + timedelta(days=6)))
    assert "CRL has expired" in verify(issued, "ca.pem", "crl.pem", *late)


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["issue", "revoke"]), st.sampled_from(["gw-1", "gw-2", "ingest"])),
    max_size=6,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([("issue", "ingest"), ("revoke", "ingest"), ("issue", "ingest"), ("issue", "gw-1")])
@given(OPERATIONS)
def test_the_list_is_what_was_issued_in_order(
    new_folder: Callable[[], Path],
    openssl: Callable[..., str],
    operations: list[tuple[str, str]],
) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    authority = Authority.create(new_folder(), "attics", now)
    issued: list[tuple[str, str]] = []
    revoked: set[str] = set()
    for verb, name in operations:
        if verb == "issue":
            issue = authority.issue_service if name in SERVICES else authority.issue_device
            issued.append((name, issue(name, now, 30).listed.serial))
        elif name in {one for one, _ in issued}:
            authority.revoke(name, now)
            revoked |= {serial for one, serial in issued if one == name}
    rows = Authority.open(authority._folder).certificates()
    assert [(row.name, row.serial) for row in rows] == issued
    assert {row.serial for row in rows if row.revoked_at is not None} == revoked
    lists = [authority._folder / name for name in ("crl.pem", "services-crl.pem")]
    said = "".join(openssl("crl", "-in", path, "-noout", "-text") for path in lists)
    found = [int(serial, 16) for serial in re.findall(r"Serial Number: ([0-9A-F]+)", said)]
    assert sorted(found) == sorted(int(serial, 16) for serial in revoked)


def test_everything_is_listed_that_several_issue_at_once(
    authority: Authority, now: datetime
) -> None:
    def issue(number: int) -> None:
        own = Authority.open(authority._folder)
        for n in range(5):
            own.issue_device(f"gw-{number}-{n}", now, 10)

    threads = [threading.Thread(target=issue, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({row.name for row in authority.certificates()}) == 20
    assert {p.name for p in authority._folder.iterdir()} == set(FILES)


@pytest.mark.parametrize("name", ["", "Gw", "-gw", "gw/1", "gw+", "a" * 64, "gw\n"])
def test_a_device_is_named_as_the_contract_says(
    authority: Authority, now: datetime, name: str
) -> None:
    with pytest.raises(AuthorityError, match="device_id: expected 1 to 63 of a-z"):
        authority.issue_device(name, now, 10)
    assert authority.certificates() == ()


def test_no_device_is_called_as_a_service(authority: Authority, now: datetime) -> None:
    for name in SERVICES:
        with pytest.raises(AuthorityError, match="is a service's name"):
            authority.issue_device(name, now, 10)
    with pytest.raises(AuthorityError, match="not a service: use one of ingest, rollout"):
        authority.issue_service("gw-1", now, 10)


@pytest.mark.parametrize("hosts", [[], [""], ["*.lan"], ["a b"], ["x", "-y"], ["h.", "h"]])
def test_a_server_has_hosts(authority: Authority, now: datetime, hosts: list[str]) -> None:
    with pytest.raises(AuthorityError, match=r"not a host|at least one host"):
        authority.issue_server(hosts, now, 10)


def test_a_long_host_is_whole_among_the_names(
    authority: Authority, now: datetime, verify: Callable[..., str]
) -> None:
    host = ".".join(["a" * 60] * 3)
    issued = authority.issue_server([host], now, 10)
    assert issued.listed.name == host
    assert ": OK" in verify(issued, "ca.pem", "crl.pem", "-verify_hostname", host, *at(now))


@pytest.mark.parametrize("days", [0, -1, 3651, 10**9])
def test_a_certificate_holds_no_longer_than_its_root(
    authority: Authority, now: datetime, days: int
) -> None:
    with pytest.raises(AuthorityError, match=r"--days 3650|at least 1 day|the year 9999"):
        authority.issue_device("gw-1", now, days)


def test_a_name_of_two_roles_is_revoked_by_serial(authority: Authority, now: datetime) -> None:
    authority.issue_device("attic", now, 10)
    server = authority.issue_server(["attic"], now, 10)
    with pytest.raises(AuthorityError, match="of a device and a server: pass the serial"):
        authority.revoke("attic", now)
    assert [row.role for row in authority.revoke(server.listed.serial, now)] == [Role.SERVER]
    with pytest.raises(AuthorityError, match="no certificate has the name or serial 'cellar'"):
        authority.revoke("cellar", now)


def test_files_that_do_not_belong_together_are_told(
    authority: Authority, new_folder: Callable[[], Path], now: datetime
) -> None:
    other = new_folder()
    Authority.create(other, "other", now)
    shutil.copy(other / "ca.key", authority._folder / "ca.key")
    with pytest.raises(AuthorityError, match=r"ca\.pem and ca\.key: .* do not belong together"):
        Authority.open(authority._folder)
    (authority._folder / "ca.key").write_text("x")
    with pytest.raises(AuthorityError, match="expected PEM files of a certificate and a key"):
        Authority.open(authority._folder)
    (authority._folder / "ca.key").unlink()
    with pytest.raises(AuthorityError, match=r"cannot read .*ca\.key"):
        Authority.open(authority._folder)


def test_a_place_that_is_none_is_told(new_folder: Callable[[], Path], now: datetime) -> None:
    with pytest.raises(AuthorityError, match="its parent must exist"):
        Authority.create(new_folder() / "below", "attics", now)
    with pytest.raises(AuthorityError, match="expected 1 to 50"):
        Authority.create(new_folder(), "", now)
    with pytest.raises(AuthorityError, match="run `ca init` first"):
        Authority.open(new_folder())
