"""Where MySQL cannot be fetched the set-up goes on, and says why in one line."""

from pathlib import Path

import pytest

from deploy.local.artifacts import mysql_home
from deploy.local.setup.mysql import ensure_mysql
from deploy.local.setup.progress import Progress

SAYS = "#!/bin/sh\n"
LISTS = 'case "$*" in *indextargets*) echo http://mirror.example/debian/;; esac\n'
NO_NETWORK = SAYS + LISTS + 'case "$*" in *update*) echo "E: no route to host"; exit 100;; esac\n'


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without MySQL, and a folder of programs that come before the system's."""
    monkeypatch.setenv("DEWLINE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("apt_get", "apt_cache", "reason"),
    [
        (NO_NETWORK, SAYS, "E: no route to host"),
        (SAYS, SAYS, "apt's sources on this system name no Debian mirror"),
        (SAYS + LISTS, SAYS, "mysql-server-core: apt-cache printed no version"),
        (SAYS + LISTS, SAYS + 'echo "Version: 1:9.9"\n', "contains no MySQL server"),
    ],
)
def test_the_reason_is_said_in_one_line(programs, capsys, apt_get, apt_cache, reason):
    put(programs, "apt-get", apt_get)
    put(programs, "apt-cache", apt_cache)
    ensure_mysql(Progress())
    printed = capsys.readouterr()
    lines = [line for line in (printed.out + printed.err).splitlines() if "MariaDB" in line]
    assert len(lines) == 1
    assert "MySQL is not available, so MariaDB is used" in lines[0]
    assert reason in lines[0]
    assert mysql_home() is None
