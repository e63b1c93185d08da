"""Debian systems on this machine, booted by systemd-nspawn on a network of their own.

For proofs of what is installed on hosts: each system has its own init, services and address, and
can be rebooted; none has a way out of the private network. Needs root and the Debian packages that
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

__all__ = ["Lan", "Machine", "debian_base", "lan", "machine", "obstacle"]

_RELEASE = "bookworm"
_INCLUDED = "systemd,systemd-sysv,dbus,python3,python3-apt,ca-certificates,openssh-server,iproute2"
_BOOT_LIMIT_S = 60.0
_STOP_LIMIT_S = 20.0
_POLL_S = 0.2
_SOON = "systemd-run --quiet --on-active=1s --timer-property=AccuracySec=100ms "
# /run of the host is no tmpfs everywhere, and nspawn clears up only where it is. With 133 it says
# that the system wants to boot again.
_BOOT = """\
mount --bind /run/netns/{netns} {folder}/netns && mount -t tmpfs tmpfs /run || exit 1
while true; do
  systemd-nspawn -q --boot --register=no --keep-unit --link-journal=no --console=pipe \
    --network-namespace-path={folder}/netns --directory={folder}/root
  [ $? = 133 ] || exit 0
done
"""


def obstacle() -> str | None:
    """Why no system can be booted here; None if one can."""
    if os.getuid() != 0:
        return "booting systems by systemd-nspawn needs root"
    for package, program in MACHINES.items():
        if shutil.which(program) is None:
            return f"{program} is missing: apt-get install {package}"
    return None


def debian_base(cache: Path, architecture: str | None = None) -> Path:
    """Returns a bare Debian 12 with ssh and Python, made once; copied for each machine.

    Args:
        cache: Where it is kept.
        architecture: Debian's name of its processor; None: this machine's. Another one must be
            emulated already.

    Raises:
        SetupError: debootstrap failed.
    """
    included = hashlib.sha256(_INCLUDED.encode()).hexdigest()[:8]
    base = cache / "-".join(filter(None, ("debian", _RELEASE, architecture, included)))
    if not base.exists():
        unfinished = base.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", f"--include={_INCLUDED}"]
        command += [f"--arch={architecture}"] if architecture else []
        mirror = [found] if (found := _mirror()) else []
        run([*command, _RELEASE, str(unfinished), *mirror], "a bare Debian")
        shutil.rmtree(unfinished / "var" / "cache" / "apt", ignore_errors=True)
        unfinished.rename(base)
    return base


def _mirror() -> str | None:
    """Where this machine itself gets that release; it may have sources of others too."""
    wanted = ["Origin: Debian", f"Codename: {_RELEASE}", "Component: main"]
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted]
    return next(iter(run(asked, "sources of packages").split()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lan:
    """A private network.

    Attributes:
        bridge: Its device on this machine.
        prefix: The first three numbers of its addresses; this machine is .1 there.
        folder: Of the machines on it.
        key: Private key that root of each machine trusts.
    """

    bridge: str
    prefix: str
    folder: Path
    key: Path


@contextmanager
def lan(folder: Path) -> Generator[Lan]:
    """Yields a network without a way out; it ends with the block."""
    tag = secrets.token_hex(3)
    network = Lan(
        bridge=f"dw{tag}",
        prefix=f"198.18.{secrets.randbelow(250) + 1}",
        folder=folder,
        key=folder / "key",
    )
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(network.key)], "a key for ssh")
    run(["ip", "link", "add", network.bridge, "type", "bridge"], "bridge")
    try:
        run(["ip", "addr", "add", f"{network.prefix}.1/24", "dev", network.bridge], "address")
        run(["ip", "link", "set", network.bridge, "up"], "bridge")
        yield network
    finally:
        run(["ip", "link", "del", network.bridge], "bridge")


class Machine:
    """A system that runs; see `machine`.

    Attributes:
        name: Its host name.
        address: Its IPv4 address.
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
        """Its file system, as it lies on this machine."""
        return self._folder / "root"

    @property
    def console(self) -> Path:
        """What the system wrote while it booted."""
        return self._folder / "console.log"

    def install(self, base: Path) -> None:
        """Makes its root from a bare system, with a name and an identity of its own."""
        root = self.root
        self._folder.mkdir()
        run(["cp", "-a", "--reflink=auto", str(base), str(root)], f"root of {self.name}")
        (root / "etc" / "hostname").write_text(f"{self.name}\n", encoding="ascii")
        hosts = f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n"  # which an installer writes
        (root / "etc" / "hosts").write_text(hosts, encoding="ascii")
        (root / "etc" / "machine-id").write_text(f"{secrets.token_hex(16)}\n", encoding="ascii")
        trusted = root / "root" / ".ssh"
        trusted.mkdir(mode=0o700, exist_ok=True)
        public = self._network.key.with_suffix(".pub").read_text(encoding="ascii")
        (trusted / "authorized_keys").write_text(public, encoding="ascii")

    def boot(self) -> None:
        """Starts it; returns when ssh answers.

        Raises:
            ServerError: It does not come up.
        """
        (self._folder / "netns").touch()
        script = _BOOT.format(netns=self._netns, folder=self._folder)
        command = ["unshare", "-m", "--propagation", "private", "sh", "-c", script]
        with self.console.open("ab") as console:
            self._process = _detached(command, console)
        self.wait_up()

    def plug_in(self) -> None:
        """Gives it a device on the network."""
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
            run(command, f"network of {self.name}")

    def unplug(self) -> None:
        """Takes its network away for good."""
        run(["ip", "netns", "del", self._netns], f"network of {self.name}")

    def wait_up(self) -> None:
        """Returns when root can come in.

        Raises:
            ServerError: Nobody answers within a minute.
        """
        deadline_s = time.monotonic() + _BOOT_LIMIT_S
        while subprocess.run(self._ssh("true"), capture_output=True, check=False).returncode:
            if time.monotonic() > deadline_s:
                last = self.console.read_text(errors="replace")[-500:]
                raise ServerError(f"{self.name} does not answer: {last}")
            time.sleep(_POLL_S)

    def call(self, command: str) -> str:
        """Runs a command there as root; what it printed.

        Raises:
            ServerError: It failed; the text ends with its last words.
        """
        done = subprocess.run(self._ssh(command), capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stdout + done.stderr)[-1500:]
            raise ServerError(f"{self.name}: {command}: code {done.returncode}:\n{last}")
        return done.stdout

    def reboot(self) -> None:
        """In order, as an operator would; returns when it is up again.

        Raises:
            ServerError: It does not come up.
        """
        before = self.call("cat /proc/1/stat")
        self.call(_SOON + "systemctl reboot")
        deadline_s = time.monotonic() + _BOOT_LIMIT_S
        while True:
            self.wait_up()
            try:
                if self.call("cat /proc/1/stat").split()[21] != before.split()[21]:
                    return
            except ServerError:  # on its way down
                pass
            if time.monotonic() > deadline_s:
                raise ServerError(f"{self.name} did not boot again")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Ends it, in order if it listens."""
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
    """Yields a bare system, booted; it and its files end with the block.

    Args:
        network: Where it stands.
        name: Host name.
        number: The last number of its address, 2 to 254.
        base: From `debian_base`.

    Raises:
        ServerError: It does not come up.
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
        raise SetupError(f"{command[0]} cannot be run: {error}") from error
