"""Finds missing Debian packages, and installs them without starting services."""

import importlib.util
import os
import shlex
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from contract.errors import ConfigError
from deploy.local.setup.commands import run

__all__ = ["MACHINES", "install", "missing_packages", "services_forbidden"]

# Package -> a program by which an installed package is recognised.
_PROGRAMS = {
    "mosquitto": "mosquitto",
    "mosquitto-clients": "mosquitto_pub",
    "mariadb-server": "mariadbd",
    "openjdk-17-jre-headless": "java",
    "maven": "mvn",
    "nodejs": "node",  # runs a decoder in JavaScript that tests docs/contract.md
}
# Needed only for the proofs that boot or emulate Debian systems.
MACHINES = {
    "systemd-container": "systemd-nspawn",
    "debootstrap": "debootstrap",
    "openssh-client": "ssh",
    "iproute2": "ip",
    "dpkg-dev": "dpkg-scanpackages",
    "qemu-user-static": "qemu-aarch64-static",
}
_BROWSER = {"chromium": "chromium"}  # needed only for the test that opens the report
_POLICY = Path("/usr/sbin/policy-rc.d")


def missing_packages(*, servers: bool, browser: bool = False, machines: bool = False) -> list[str]:
    """Returns the missing packages; without `servers` only those that Python needs."""
    missing = [] if importlib.util.find_spec("ensurepip") else ["python3-venv"]
    if servers:
        searched = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
        wanted = _PROGRAMS | (_BROWSER if browser else {}) | (MACHINES if machines else {})
        missing += [
            package
            for package, program in wanted.items()
            if shutil.which(program, path=searched) is None
        ]
    return missing


def install(packages: Sequence[str]) -> None:
    """Installs packages as root, without starting their services.

    Raises:
        ConfigError: The user is not root, or the system is not Debian; the text has the command to
            run.
        SetupError: apt failed.
    """
    wanted = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        raise ConfigError(
            "Debian packages are missing, and only root can install them. Run\n\n"
            f"    sudo {shlex.join(wanted)}\n\nand start the set-up again."
        )
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with services_forbidden(_POLICY):
        run(["apt-get", "update", "-q"], "Debian's package lists", environment)
        run([*wanted, "-q"], "Debian packages", environment)


@contextmanager
def services_forbidden(policy: Path) -> Generator[None]:
    """Prevents packages from starting services: a policy script with exit code 101 forbids it."""
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()
