"""Which units began before their files were as they are, with a systemd that only answers."""

import os
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "deploy/ansible/roles/dewline_service/files/begun.sh"
SYSTEMCTL = """\
#!/bin/sh
for last; do :; done
cat "{folder}/$last.${{2#--property=}}" 2> /dev/null || true
"""


class Host:
    """Units, as systemd would tell of them, and the files that they read."""

    def __init__(self, folder):
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir()
        (programs / "systemctl").write_text(SYSTEMCTL.format(folder=folder))
        (programs / "systemctl").chmod(0o755)
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "BEGUN_KEPT": str(folder / "kept"),
        }
        self.files = folder / "etc"
        self.files.mkdir()
        self.file = self.files / "a configuration"
        self.file.write_text("one")
        self.release = folder / "release"
        self.release.symlink_to("first")

    def begins(self, unit, ago_s=0.0):
        """`ago_s` by the clock that no one sets."""
        with Path("/proc/uptime").open() as uptime:
            up_s = float(uptime.read().split()[0])
        at_us = int((up_s - ago_s) * 1e6)
        (self.folder / f"{unit}.InactiveExitTimestampMonotonic").write_text(f"{at_us}\n")
        (self.folder / f"{unit}.InvocationID").write_text(f"{time.monotonic_ns()}\n")

    def call(self, what, *units):
        command = ["sh", str(SCRIPT), what, *units, "--", str(self.files), str(self.release)]
        command.append(str(self.folder / "not there"))
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        return done.stdout.split()


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def age(path, seconds):
    at = time.time() - seconds
    os.utime(path, (at, at), follow_symlinks=False)


def test_a_unit_that_never_began_is_not_outdated(host):
    assert host.call("ask", "never.service") == []
    host.call("keep", "never.service")
    assert host.call("ask", "never.service") == []


@pytest.mark.parametrize("which", ["file", "release"])
def test_what_was_written_after_it_began_is_found(host, which):
    age(host.file, 100)
    age(host.release, 100)
    host.begins("old.service", ago_s=50)
    assert host.call("ask", "old.service") == []
    age(getattr(host, which), 20)
    host.begins("new.service", ago_s=5)
    assert host.call("ask", "old.service", "new.service") == ["old.service"]


def test_once_kept_contents_count_and_no_clock(host):
    age(host.file, 100)
    host.begins("one.service", ago_s=50)
    host.call("keep", "one.service")
    age(host.file, -1000)  # as a clock that stepped back makes it seem
    assert host.call("ask", "one.service") == []
    host.file.write_text("two")
    age(host.file, 5000)
    assert host.call("ask", "one.service") == ["one.service"]
    host.file.write_text("one")
    assert host.call("ask", "one.service") == []
    host.release.unlink()
    host.release.symlink_to("second")
    assert host.call("ask", "one.service") == ["one.service"]
    (host.files / "another").write_text("")
    host.call("keep", "one.service")
    assert host.call("ask", "one.service") == []
    (host.files / "another").unlink()
    assert host.call("ask", "one.service") == ["one.service"]


def test_a_unit_that_began_again_by_itself_is_looked_at_by_time(host):
    age(host.file, 100)
    host.begins("one.service", ago_s=90)
    host.call("keep", "one.service")
    host.file.write_text("two")
    age(host.file, 60)
    age(host.release, 100)
    assert host.call("ask", "one.service") == ["one.service"]
    host.begins("one.service", ago_s=30)  # with what was written
    assert host.call("ask", "one.service") == []
    age(host.file, 10)
    assert host.call("ask", "one.service") == ["one.service"]
