"""Reads another suite of Debian through an apt configuration of its own.

Own lists, own cache, Debian's keyring and the mirror of the system's own sources: the system's
apt sees nothing of it, and no package of the system counts as installed.
"""

from collections.abc import Sequence
from pathlib import Path

from deploy.local.errors import SetupError
from deploy.local.setup.commands import run

__all__ = ["mirror", "suite_options"]

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def suite_options(work: Path, suite: str) -> Sequence[str]:
    """Prepares a folder for apt, and returns the options that make apt use only that folder.

    Args:
        work: An empty folder. Downloaded packages are in `cache/archives` below it.
        suite: Debian's name of the suite, such as `sid`.

    Raises:
        SetupError: The system's package sources name no mirror of Debian.
    """
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    source = f"deb [signed-by={_KEYRING}] {mirror()} {suite} main\n"
    (work / "sources.list").write_text(source, encoding="utf-8")
    settings = {
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State::lists": work / "lists",
        "Dir::State::status": "/dev/null",  # as if nothing were installed: all libraries come too
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
        "Acquire::Languages": "none",
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": "20",
        "Debug::NoLocking": "true",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def mirror() -> str:
    """Returns the address of the Debian mirror in the system's own package sources.

    Raises:
        SetupError: There is none.
    """
    form = "$(REPO_URI)"
    listed = run(["apt-get", "indextargets", "--format", form], "the system's package sources")
    found = [line for line in listed.splitlines() if line.rstrip("/").endswith("/debian")]
    if not found:
        raise SetupError("apt's sources on this system name no Debian mirror")
    return found[0]
