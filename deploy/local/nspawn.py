"""Boots Debian systems with systemd-nspawn on a private network of this machine.

The proofs of the Ansible roles use them. Each system has its own init, services and address, and
can be rebooted; none can reach other networks. The module needs root and the Debian packages that
`setup/run.sh machines` installs.
"""

import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from deploy.local.errors import ServerError, SetupError
from deploy.local.setup.commands import run
from deploy.local.setup.debian import MACHINES
from deploy.local.setup.suite import mirror

__all__ = ["BOOKWORM", "SID", "Lan", "Machine", "debian_base", "lan", "machine", "obstacle"]

BOOKWORM = "bookworm"
SID = "sid"
_INCLUDED = "systemd,systemd-sysv,dbus,python3,python3-apt,ca-certificates,openssh-server,iproute2"
_BOOT_LIMIT_S = 60.0
_STOP_LIMIT_S = 20.0
_POLL_S = 0.2
_SOON = "systemd-run --quiet --on-active=1s --timer-property=AccuracySec=100ms "
# A tmpfs is mounted because the host's /run is not always one, and nspawn cleans up only in a
# tmpfs. Exit code 133 means that the system requests a reboot. Since systemd 258 a system boots
# only with the unified hierarchy of control groups; nspawn does not choose it on a host with both.
_BOOT = """\
mount --bind /run/netns/{netns} {folder}/netns && mount -t tmpfs tmpfs /run || exit 1
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
while true; do
  systemd-nspawn -q --boot --register=no --keep-unit --link-journal=no --console=pipe \
    --network-namespace-path={folder}/netns --directory={folder}/root
  [ $? = 133 ] || exit 0
done
"""


def obstacle() -> str | None:
    """Returns the reason why no system can be booted on this machine; None if one can."""
    if os.getuid() != 0:
        return "booting systems by systemd-nspawn needs root"
    for package, program in MACHINES.items():
        if shutil.which(program) is None:
            return f"{program} is missing: run apt-get install {package}"
    return None


def debian_base(cache: Path, architecture: str | None = None, release: str = BOOKWORM) -> Path:
    """Returns the folder of a minimal Debian with ssh and Python; makes it the first time.

    Args:
        cache: Folder in which it is kept.
        architecture: Debian's name of the architecture; None for this machine's. Emulation of
            another architecture must be active.
        release: Debian's name of the release or suite.

    Raises:
        SetupError: debootstrap failed.
    """
    included = hashlib.sha256(_INCLUDED.encode()).hexdigest()[:8]
    base = cache / "-".join(filter(None, ("debian", release, architecture, included)))
    if not base.exists():
        unfinished = base.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", f"--include={_INCLUDED}"]
        command += [f"--arch={architecture}"] if architecture else []
        run([*command, release, str(unfinished), mirror()], f"making a minimal Debian {release}")
        shutil.rmtree(unfinished / "var" / "cache" / "apt", ignore_errors=True)
        unfinished.rename(base)
    return base


@dataclass(frozen=True, slots=True, kw_only=True)
class Lan:
    """Describes a private network.

    Attributes:
        bridge: Name of the network's bridge on this machine.
        prefix: First three numbers of the addresses; this machine's address ends with .1.
        folder: Folder of the machines on the network.
        key: Private ssh key with which root can log in to each machine.
    """

    bridge: str
    prefix: str
    folder: Path
    key: Path


@contextmanager
def lan(folder: Path) -> Generator[Lan]:
    """Yields a network without a route to others; removes it at the end of the block."""
    tag = secrets.token_hex(3)
    network = Lan(
        bridge=f"dw{tag}",
        prefix=f"198.18.{secrets.randbelow(250) + 1}",
        folder=folder,
        key=folder / "key",
    )
    run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(network.key)], "making an ssh key"
    )
    run(["ip", "link", "add", network.bridge, "type", "bridge"], "adding a bridge")
    try:
        run(
            ["ip", "addr", "add", f"{network.prefix}.1/24", "dev", network.bridge],
            "addressing the bridge",
        )
        run(["ip", "link", "set", network.bridge, "up"], "starting the bridge")
        yield network
    finally:
        run(["ip", "link", "del", network.bridge], "removing the bridge")


class Machine:
    """Runs one system; see `machine`.

    Attributes:
        name: Host name.
        address: IPv4 address.
    """

    def __init__(self, network: Lan, name: str, number: int) -> None:
        self.name = name
        self.address = f"{network.prefix}.{number}"
        self._network = network
        self._folder = network.folder / name
        self._netns = f"{network.bridge}-{number}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> Path:
        """Folder of the system's file system on this machine."""
        return self._folder / "root"

    @property
    def console(self) -> Path:
        """File with the output of the system's console."""
        return self._folder / "console.log"

    def install(self, base: Path) -> None:
        """Copies a minimal system, and gives the copy its own name and machine id."""
        root = self.root
        self._folder.mkdir()
        run(
            ["cp", "-a", "--reflink=auto", str(base), str(root)],
            f"copying the system of {self.name}",
        )
        (root / "etc" / "hostname").write_text(f"{self.name}\n", encoding="ascii")
        hosts = f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n"  # as Debian's installer writes it
        (root / "etc" / "hosts").write_text(hosts, encoding="ascii")
        (root / "etc" / "machine-id").write_text(f"{secrets.token_hex(16)}\n", encoding="ascii")
        trusted = root / "root" / ".ssh"
        trusted.mkdir(mode=0o700, exist_ok=True)
        public = self._network.key.with_suffix(".pub").read_text(encoding="ascii")
        (trusted / "authorized_keys").write_text(public, encoding="ascii")

    def boot(self) -> None:
        """Starts the system; returns when ssh answers.

        Raises:
            ServerError: ssh does not answer in time.
        """
        (self._folder / "netns").touch()
        script = _BOOT.format(netns=self._netns, folder=self._folder)
        command = ["unshare", "-m", "--propagation", "private", "sh", "-c", script]
        with self.console.open("ab") as console:
            self._process = _detached(command, console)
        self.wait_up()

    def plug_in(self) -> None:
        """Connects the system to the network."""
        inside = ("ip", "-n", self._netns)
        outside = f"{self._network.bridge[:10]}v{self.address.rsplit('.', 1)[1]}"
        pair = ["ip", "link", "add", outside, "type", "veth", "peer", "name", "host0"]
        for command in (
            ["ip", "netns", "add", self._netns],
            [*pair, "netns", self._netns],
            ["ip", "link", "set", outside, "master", self._network.bridge, "up"],
            [*inside, "addr", "add", f"{self.address}/24", "dev", "host0"],
            [*inside, "link", "set", "host0", "up"],
            [*inside, "link", "set", "lo", "up"],
        ):
            run(command, f"connecting {self.name} to the network")

    def unplug(self) -> None:
        """Removes the system's network permanently."""
        run(["ip", "netns", "del", self._netns], f"removing the network of {self.name}")

    def wait_up(self) -> None:
        """Returns when root can log in by ssh.

        Raises:
            ServerError: ssh does not answer within a minute.
        """
        deadline_s = time.monotonic() + _BOOT_LIMIT_S
        while subprocess.run(self._ssh("true"), capture_output=True, check=False).returncode:
            if time.monotonic() > deadline_s:
                last = self.console.read_text(errors="replace")[-500:]
                raise ServerError(f"{self.name} does not answer ssh. Its console ends with: {last}")
            time.sleep(_POLL_S)

    def call(self, command: str) -> str:
        """Runs a command in the system as root, and returns its output.

        Raises:
            ServerError: The command failed; the text ends with the end of its output.
        """
        done = subprocess.run(self._ssh(command), capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stdout + done.stderr)[-1500:]
            raise ServerError(f"{self.name}: {command} exited with code {done.returncode}:\n{last}")
        return done.stdout

    def reboot(self) -> None:
        """Reboots the system cleanly; returns when ssh answers again.

        Raises:
            ServerError: ssh does not answer in time.
        """
        before = self.call("cat /proc/1/stat")
        self.call(_SOON + "systemctl reboot")
        deadline_s = time.monotonic() + _BOOT_LIMIT_S
        while True:
            self.wait_up()
            try:
                if self.call("cat /proc/1/stat").split()[21] != before.split()[21]:
                    return
            except ServerError:  # the system is shutting down
                pass
            if time.monotonic() > deadline_s:
                raise ServerError(f"{self.name} did not reboot within a minute")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Powers the system off; kills it if it does not react."""
        if self._process is None:
            return
        subprocess.run(self._ssh(_SOON + "systemctl poweroff"), capture_output=True, check=False)
        try:
            self._process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _ssh(self, command: str) -> Sequence[str]:
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        flags = [f"-o{option}" for option in (*options, "ConnectTimeout=3", "BatchMode=yes")]
        return ["ssh", *flags, "-i", str(self._network.key), f"root@{self.address}", command]


@contextmanager
def machine(network: Lan, name: str, number: int, base: Path) -> Generator[Machine]:
    """Yields a booted minimal system; stops it at the end of the block.

    Args:
        network: Network of the system.
        name: Host name.
        number: Last number of the address, 2 to 254.
        base: Result of `debian_base`.

    Raises:
        ServerError: ssh does not answer in time.
    """
    made = Machine(network, name, number)
    with ExitStack() as undo:
        made.install(base)
        made.plug_in()
        undo.callback(made.unplug)
        undo.callback(made.stop)
        made.boot()
        yield made


def _detached(command: Sequence[str], console: IO[bytes]) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
        )
    except OSError as error:
        raise SetupError(f"{command[0]} cannot be started: {error}") from error
