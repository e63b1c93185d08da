"""A Debian of another processor in a folder of this machine; its programs run by emulation.

For proofs of what is installed on a Raspberry Pi. There are no services and there is no board: what
runs is the same machine code. Needs root and the Debian packages that `setup/run.sh machines`
installs.
"""

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.errors import ServerError
from deploy.local.setup.commands import run

__all__ = ["Foreign", "emulated", "obstacle"]

_EMULATOR = "/usr/bin/qemu-aarch64-static"
_FORMATS = Path("/proc/sys/fs/binfmt_misc")
_NAME = "dewline-aarch64"
# An ELF file for 64-bit ARM, by its first 20 bytes; see binfmt-misc in the kernel's documentation.
# Flags: the emulator is opened once, here (F), keeps the program's name (P) and rights (OC).
_MAGIC = rb"\x7fELF\x02\x01\x01" + rb"\x00" * 9 + rb"\x02\x00\xb7\x00"
_MASK = rb"\xff" * 7 + rb"\x00" + rb"\xff" * 8 + rb"\xfe\xff\xff\xff"


def obstacle() -> str | None:
    """Why nothing can be emulated here; None if it can."""
    if os.getuid() != 0:
        return "running a foreign Debian needs root"
    for program, package in ((_EMULATOR, "qemu-user-static"), ("debootstrap", "debootstrap")):
        if shutil.which(program) is None:
            return f"{program} is missing: apt-get install {package}"
    return None


@contextmanager
def emulated() -> Generator[None]:
    """Yields programs for aarch64 run on this machine until the block ends."""
    mounted = (_FORMATS / "register").exists()
    if not mounted:
        run(["mount", "-t", "binfmt_misc", "none", str(_FORMATS)], "formats of programs")
    registered = _FORMATS / _NAME
    (_FORMATS / "register").write_bytes(
        b":".join((b"", _NAME.encode(), b"M", b"", _MAGIC, _MASK, _EMULATOR.encode(), b"OPF"))
    )
    try:
        yield
    finally:
        registered.write_text("-1", encoding="ascii")
        if not mounted:
            run(["umount", str(_FORMATS)], "formats of programs")


class Foreign:
    """A root of its own; see `call`.

    Args:
        root: Where it is made.
        base: From `deploy.local.nspawn.debian_base`.
    """

    def __init__(self, root: Path, base: Path) -> None:
        self.root = root
        run(["cp", "-a", "--reflink=auto", str(base), str(root)], "a foreign Debian")

    def call(self, command: str, question: str = "", processor: str = "max") -> str:
        """Runs a command of the shell there, as root; what it printed.

        Args:
            command: It ends at the first of its own that fails.
            question: Its standard input.
            processor: As the emulator names it; `max` has every extension.

        Raises:
            ServerError: It failed; the text ends with its last words.
        """
        done = subprocess.run(
            ["chroot", str(self.root), "/bin/sh", "-euc", command],
            input=question,
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "LANG": "C.UTF-8",
                "HOME": "/root",
                "QEMU_CPU": processor,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = (done.stdout + done.stderr)[-1500:]
            raise ServerError(f"{command}: code {done.returncode}:\n{last}")
        return done.stdout
