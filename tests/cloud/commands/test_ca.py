"""The verbs of `ca`: from a configuration to files that OpenSSL takes, and a list for people."""

import json
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloud.ca.authority import Authority
from cloud.cli import main


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """`call(words...)`: exit status and what was printed, on both channels."""
    config = tmp_path / "cloud.toml"
    config.write_text(f'[ca]\nfolder = "{tmp_path}/ca"\ncrl_days = 100\n')
    (tmp_path / "out").mkdir()

    def run(*words: str) -> tuple[int, str]:
        status = main(["--config", str(config), "ca", *words])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run


@pytest.fixture
def issue(call: Callable[..., tuple[int, str]], tmp_path: Path) -> Callable[..., tuple[int, str]]:
    def run(*words: str) -> tuple[int, str]:
        return call("issue", *words, "--out", str(tmp_path / "out"))

    return run


Call = Callable[..., tuple[int, str]]


def test_from_nothing_to_a_revoked_certificate(call: Call, issue: Call) -> None:
    status, printed = call("init", "--name", "attics")
    assert (status, "keep a copy" in printed) == (0, True)
    assert issue("device", "gw-1", "--days", "90")[0] == 0
    assert issue("service", "ingest")[0] == 0
    assert issue("server", "broker.lan", "10.0.0.5")[0] == 0
    status, printed = call("revoke", "gw-1")
    assert status == 0
    assert printed.startswith("revoked device gw-1 ")
    assert call("revoke", "gw-1")[1].startswith("gw-1 was already revoked\n")
    status, printed = call("list")
    assert status == 0
    lines = printed.splitlines()
    assert lines[0].split() == ["serial", "name", "role", "from", "until", "state"]
    assert [line.split()[1:3] for line in lines[1:]] == [
        ["gw-1", "device"],
        ["ingest", "service"],
        ["broker.lan", "server"],
    ]
    assert [line.split()[5] for line in lines[1:]] == ["revoked", "valid", "valid"]


def test_the_files_belong_together_and_are_for_one_pair_of_eyes(
    call: Call, issue: Call, tmp_path: Path
) -> None:
    call("init")
    issue("server", "127.0.0.1", "broker.lan")
    certificate, key = tmp_path / "out" / "127.0.0.1.pem", tmp_path / "out" / "127.0.0.1.key"
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    assert key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in (tmp_path / "out").iterdir()} == {certificate.name, key.name}


def test_json_says_the_same(call: Call, issue: Call) -> None:
    call("init")
    issue("device", "gw-1", "--days", "90")
    (row,) = json.loads(call("list", "--json")[1])["certificates"]
    assert (row["name"], row["role"], row["revoked_at"]) == ("gw-1", "device", None)
    span = datetime.fromisoformat(row["not_after"]) - datetime.fromisoformat(row["not_before"])
    assert timedelta(days=90.9) < span <= timedelta(days=91)
    assert row["not_after"].endswith("Z")


def test_an_expired_one_is_called_so(call: Call, tmp_path: Path) -> None:
    then = datetime.now(UTC) - timedelta(days=50)
    Authority.create(tmp_path / "ca", "attics", then).issue_device("gw-1", then, 30)
    assert call("list")[1].splitlines()[1].endswith("  expired")


def test_the_lists_end_when_the_configuration_says(
    call: Call, tmp_path: Path, crl_end: Callable[[Path], datetime]
) -> None:
    call("init")
    names = ("crl.pem", "services-crl.pem")
    in_100_days = datetime.now(UTC) + timedelta(days=100)
    for name in names:
        assert abs(crl_end(tmp_path / "ca" / name) - in_100_days) < timedelta(minutes=1)
    Authority.open(tmp_path / "ca", crl_days=1).renew_crls(datetime.now(UTC))
    assert call("crl") == (0, "wrote crl.pem and services-crl.pem; they expire in 100 days\n")
    for name in names:
        assert abs(crl_end(tmp_path / "ca" / name) - in_100_days) < timedelta(minutes=1)


@pytest.fixture
def crl_end() -> Callable[[Path], datetime]:
    from cryptography import x509  # noqa: PLC0415  # this fixture's own affair

    def read(path: Path) -> datetime:
        end = x509.load_pem_x509_crl(path.read_bytes()).next_update_utc
        assert end is not None
        return end

    return read


def test_what_is_there_is_not_overwritten(call: Call, issue: Call, tmp_path: Path) -> None:
    """And a refused call leaves nothing in the list."""
    call("init")
    assert call("init")[0] == 1
    issue("device", "gw-1")
    kept = (tmp_path / "out" / "gw-1.key").read_bytes()
    status, printed = issue("device", "gw-1")
    assert (status, "exists already and was not changed" in printed) == (2, True)
    assert (tmp_path / "out" / "gw-1.key").read_bytes() == kept
    (tmp_path / "out" / "gw-1.key").unlink()
    assert issue("device", "gw-1")[0] == 2
    assert len(json.loads(call("list", "--json")[1])["certificates"]) == 1


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("issue", "device", "Gw-1"), 1, "device_id: expected 1 to 63 of a-z, 0-9"),
        (("issue", "device", "../gw-1"), 1, "device_id: expected 1 to 63"),
        (("issue", "device", "ingest"), 1, "is a service's name"),
        (("issue", "device", "gw-1", "gw-2"), 2, "a device has one name, not 2"),
        (("issue", "service", "gw-1"), 1, "not a service: use one of ingest, rollout, observer"),
        (("issue", "server", "a/b"), 1, "'a/b' is not a host"),
        (("issue", "device", "gw-1", "--days", "9999"), 1, "use --days 36"),
        (("issue", "device", "gw-1", "--out", "no-such-folder"), 2, "is not a folder"),
        (("revoke", "gw-7"), 1, "no certificate has the name or serial 'gw-7'"),
        (("init", "--name", ""), 1, "expected 1 to 50"),
    ],
)
def test_mistakes_are_told(
    call: Call, issue: Call, words: tuple[str, ...], status: int, says: str
) -> None:
    if words[0] != "init":
        call("init")
    told = issue(*words[1:]) if words[0] == "issue" and "--out" not in words else call(*words)
    assert (told[0], says in told[1]) == (status, True), told
    if words[0] != "init":
        assert json.loads(call("list", "--json")[1]) == {"certificates": []}


def test_without_a_section_or_an_authority(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("list")[0] == 1
    (tmp_path / "cloud.toml").write_text("")
    assert main(["--config", str(tmp_path / "cloud.toml"), "ca", "list"]) == 2
    assert "section [ca] is missing" in capsys.readouterr().err
