"""Makes a wheelhouse: an archive of the project's wheel and its locked dependencies."""

import hashlib
import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from deploy.local.errors import SetupError
from deploy.local.setup.commands import run
from deploy.local.setup.environment import ensure_uv, uv_environment
from deploy.packages.archive import pack

__all__ = ["Target", "make_wheelhouse", "own_requirement", "those_for", "with_wheel"]


_OLDEST_GLIBC = 17  # 2.17: no wheel for Linux needs an older one
_GLIBC = 36  # 2.36: the version of Debian 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Describes the hosts for which the wheels are; the default is a host like this one.

    Attributes:
        machine: Processor as printed by `uname -m`, such as `aarch64`. The hosts run Debian 12 or
            later.
        python: Python version such as `3.11`.
    """

    machine: str = platform.machine()
    python: str = f"{sys.version_info.major}.{sys.version_info.minor}"

    def __str__(self) -> str:
        """Returns the text that role dewline_release compares with a host before installing."""
        return f"{self.machine} with Python {self.python}"

    @property
    def flags(self) -> list[str]:
        """Flags for pip. Each glibc version is named, because pip does not add older ones."""
        if self == Target():
            return []
        tags = [f"manylinux_2_{minor}" for minor in range(_GLIBC, _OLDEST_GLIBC - 1, -1)]
        platforms = [f"--platform={tag}_{self.machine}" for tag in (*tags, "manylinux2014")]
        return ["--only-binary=:all:", f"--python-version={self.python}", *platforms]

    @property
    def environment(self) -> dict[str, str]:
        """Values of the variables in a requirement's markers."""
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }


def make_wheelhouse(root: Path, part: str, archive: Path, target: Target) -> None:
    """Writes an archive with wheels, their `requirements.txt` with hashes, and a file `target`.

    `pip install --no-index --find-links FOLDER --require-hashes -r FOLDER/requirements.txt` then
    installs dewline with that part, and only locked packages.

    Args:
        root: The checkout.
        part: Name of a file in `requirements/`: edge, pi, cloud or spark.
        archive: File to write.
        target: The hosts.

    Raises:
        SetupError: A package is not available, has another hash, or has no wheel for the target.
    """
    locked = (root / "requirements" / f"{part}.txt").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as work:
        folder, python = Path(work, "wheels"), Path(work, "venv", "bin", "python")
        folder.mkdir()
        run([sys.executable, "-m", "venv", str(python.parent.parent)], "virtual environment")
        text = those_for(target, locked)
        wanted = Path(work, "wanted.txt")
        wanted.write_text(text, encoding="utf-8")
        fetch = [str(python), "-m", "pip", "download", "-q", "--no-deps", "--require-hashes"]
        fetch += ["-d", str(folder), "-r", str(wanted), *target.flags]
        run(fetch, f"wheels of {part}")
        # hatchling is installed in the project's environment, so nothing is fetched for the build.
        build = [str(root / ".venv" / "bin" / "python"), "-m", "hatchling", "build", "-t", "wheel"]
        environment = {"SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", "1577836800")}
        run([*build, "-d", str(folder)], "the project's own wheel", environment, root)
        (own,) = folder.glob("dewline-*.whl")
        text += own_requirement(own)
        for wheel in _built(folder, ensure_uv(root)):
            text = with_wheel(text, wheel)
        (folder / "requirements.txt").write_text(text, encoding="utf-8")
        (folder / "target").write_text(str(target), encoding="ascii")
        pack(folder, archive)


def those_for(target: Target, locked: str) -> str:
    """Returns the requirements of a locked file that apply to the target, without markers.

    pip would evaluate markers for the machine on which it runs, regardless of its flags.
    """
    kept, keeps = [], False
    for line in locked.splitlines(keepends=True):
        if not line[:1].isalnum():  # a hash of the previous requirement
            kept += [line] if keeps else []
            continue
        requirement = Requirement(line.rstrip().removesuffix("\\"))
        marker = requirement.marker
        keeps = marker is None or marker.evaluate(target.environment)
        kept += [f"{requirement.name}{requirement.specifier} \\\n"] if keeps else []
    return "".join(kept)


def _built(folder: Path, uv: str) -> Iterator[Path]:
    """Builds a wheel from each source distribution and yields it, because hosts cannot build."""
    for source in sorted(folder.glob("*.tar.gz")):
        before = set(folder.glob("*.whl"))
        build = [uv, "build", "--wheel", "-q", "--out-dir", str(folder), str(source)]
        run(build, f"building a wheel of {source.name}", uv_environment())
        source.unlink()
        (wheel,) = set(folder.glob("*.whl")) - before
        yield wheel


def with_wheel(text: str, wheel: Path) -> str:
    """Returns the requirement file with the hash of this wheel added to its project.

    Raises:
        SetupError: The file does not name the wheel's project with the wheel's version.
    """
    name, version = wheel.name.split("-")[:2]
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    project = re.escape(name).replace("_", "[-_.]")
    line = re.compile(rf"^{project}=={re.escape(version)}\b.*\n", re.MULTILINE)
    addition = f"    --hash=sha256:{digest} \\\n"
    added, found = line.subn(lambda match: match[0] + addition, text, count=1)
    if not found:
        raise SetupError(f"the requirement file names no project and version of {wheel.name}")
    return added


def own_requirement(wheel: Path) -> str:
    """Returns the project's requirement line with the hash of this wheel."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"dewline=={wheel.name.split('-')[1]} \\\n    --hash=sha256:{digest}\n"
