"""Runs a Debian for aarch64 in a folder of this machine; qemu emulates its programs.

The proofs of a Raspberry Pi's installation use it. It has no services and no board, but runs the
same machine code. It needs root and the Debian packages that `setup/run.sh machines` installs.
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
# The first 20 bytes of an ELF file for 64-bit ARM; see binfmt-misc in the kernel's documentation.
# Flags: open the emulator now (F), keep the program's name (P) and its rights (OC).
_MAGIC = rb"\x7fELF\x02\x01\x01" + rb"\x00" * 9 + rb"\x02\x00\xb7\x00"
_MASK = rb"\xff" * 7 + rb"\x00" + rb"\xff" * 8 + rb"\xfe\xff\xff\xff"


def obstacle() -> str | None:
    """Returns the reason why emulation is not possible on this machine; None if it is."""
    if os.getuid() != 0:
        return "running an emulated Debian needs root"
    for program, package in ((_EMULATOR, "qemu-user-static"), ("debootstrap", "debootstrap")):
        if shutil.which(program) is None:
            return f"{program} is missing: run apt-get install {package}"
    return None


@contextmanager
def emulated() -> Generator[None]:
    """Lets this machine run programs for aarch64 until the block ends."""
    mounted = (_FORMATS / "register").exists()
    if not mounted:
        run(["mount", "-t", "binfmt_misc", "none", str(_FORMATS)], "mounting binfmt_misc")
    registered = _FORMATS / _NAME
    (_FORMATS / "register").write_bytes(
        b":".join((b"", _NAME.encode(), b"M", b"", _MAGIC, _MASK, _EMULATOR.encode(), b"OPF"))
    )
    try:
        yield
    finally:
        registered.write_text("-1", encoding="ascii")
        if not mounted:
            run(["umount", str(_FORMATS)], "unmounting binfmt_misc")


class Foreign:
    """Holds an emulated Debian with its own root folder; see `call`.

    Args:
        root: Folder of the new system.
        base: Result of `deploy.local.nspawn.debian_base`.
    """

    def __init__(self, root: Path, base: Path) -> None:
        self.root = root
        run(["cp", "-a", "--reflink=auto", str(base), str(root)], "copying the emulated Debian")

    def call(self, command: str, question: str = "", processor: str = "max") -> str:
        """Runs a shell command in the system as root, and returns its output.

        Args:
            command: The command; the shell stops at the first part that fails.
            question: Standard input of the command.
            processor: Name of the processor in qemu; `max` has every extension.

        Raises:
            ServerError: The command failed; the text ends with the end of its output.
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
            raise ServerError(f"{command} exited with code {done.returncode}:\n{last}")
        return done.stdout
