"""Archives of Debian packages, with files too; apt itself is in the proof on hosts."""

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from deploy.local.errors import SetupError
from deploy.local.setup import suite
from deploy.packages import debian
from deploy.packages.debian import make_repository

CONTROL = """\
Package: not-in-debian
Version: 1.0
Architecture: all
Maintainer: nobody <nobody@localhost>
Depends: {depends}
Description: for a test
"""


MIRROR = "http://mirror.example/debian"


def option(command, name):
    """The value of apt's option, as a word of its own or behind -o; None without it."""
    found = [w.removeprefix("-o").split("=", 1)[1] for w in command if f"{name}=" in w]
    return found[0] if found else None


def package(folder, depends="libc6"):
    root = folder / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(CONTROL.format(depends=depends))
    file = folder / "not-in-debian_1.0_all.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-b", str(root), str(file)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return file


@pytest.mark.skipif(
    shutil.which("dpkg-scanpackages") is None,
    reason="no dpkg-scanpackages: apt-get install dpkg-dev",
)
@pytest.mark.parametrize("another", [None, "sid"])
def test_a_file_is_packed_beside_what_apt_fetched_for_it(tmp_path, monkeypatch, another):
    file = package(tmp_path)
    asked = []

    def fetch(command, _what):
        asked.append(command)
        sources = option(command, "Dir::Etc::SourceList")
        assert (sources is None) == (another is None)
        if sources is not None:
            assert f" {MIRROR} {another} main" in Path(sources).read_text()
        if command[1] == "update":
            return
        fetched = Path(option(command, "Dir::Cache")) / "archives" / "fetched_1%3a2_all.deb"
        fetched.write_bytes(file.read_bytes())

    monkeypatch.setattr(debian, "run", fetch)
    monkeypatch.setattr(suite, "run", lambda _command, _what: f"{MIRROR}\n")
    make_repository(["mosquitto", str(file)], tmp_path / "made.tar", "arm64", another)
    (_, update, *_), (_, install, *_) = asked
    assert (update, install) == ("update", "install")
    assert asked[1][-2:] == ["mosquitto", str(file)]
    assert all("-oAPT::Architecture=arm64" in command for command in asked)
    with tarfile.open(tmp_path / "made.tar") as tar:
        names = sorted(tar.getnames())
        index = tar.extractfile("Packages").read().decode()
    assert names == ["Packages", "fetched_1_2_all.deb", file.name]
    assert index.count("Package: not-in-debian") == 2


def test_a_file_that_is_not_there_is_named(tmp_path):
    missing = tmp_path / "elasticsearch-8.19.21-amd64.deb"
    with pytest.raises(SetupError, match=r"elasticsearch-8\.19\.21-amd64\.deb does not exist"):
        make_repository([str(missing)], tmp_path / "made.tar")
    assert not (tmp_path / "made.tar").exists()
