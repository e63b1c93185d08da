"""Runs private servers as child processes that end when their parent ends.

This module handles user, folder, ports, start, readiness and stop of any server. The module of each
server provides its command and its readiness check.
"""

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.errors import ServerError

__all__ = [
    "Launch",
    "PrivateServer",
    "free_ports",
    "hand_over",
    "private_folder",
    "program",
    "run_once",
    "server_user",
]

_POLL_S = 0.02
_LOG_TAIL_LINES = 25
_FIRST_PORT = 15_000
_SYSTEM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")  # often not in a user's PATH


def server_user() -> str:
    """Returns the user that servers run as: `nobody` for root, "" (the same user) for others."""
    return "nobody" if os.getuid() == 0 else ""


def program(name: str) -> str:
    """Returns the path of an installed program.

    Raises:
        ServerError: The program is not installed.
    """
    path = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *_SYSTEM_FOLDERS)))
    if path is None:
        raise ServerError(f"{name} is not installed on this machine; run `make setup`")
    return path


def private_folder(parent: Path, name: str) -> Path:
    """Makes a folder below `parent` that only the server's user can read, and returns its path.

    Raises:
        ServerError: The server's user cannot reach the folder.
    """
    if server_user():
        for folder in (parent, *parent.parents):
            if not folder.stat().st_mode & 0o001:
                raise ServerError(
                    f"the server runs as user nobody, who has no access to {folder}. Choose a "
                    "folder whose parents all have mode 755, such as one in /tmp"
                )
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    hand_over(folder)
    return folder


def hand_over(folder: Path) -> None:
    """Makes the servers' user the owner of a folder and its content."""
    if not server_user():
        return
    account = pwd.getpwnam(server_user())
    for path in (folder, *folder.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid)


def free_ports(count: int) -> list[int]:
    """Returns distinct loopback ports that are free now.

    The ports are below the range of source ports. Otherwise a client that keeps trying to reach a
    stopped server may get the server's port as its own source port, and a restart fails.
    """
    ephemeral = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    last = int(ephemeral.split()[0]) - 1
    candidates = random.SystemRandom().sample(range(_FIRST_PORT, max(last, 30_000)), k=1000)
    free = (port for port in candidates if _is_free(port))
    return [next(free) for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def run_once(command: list[str], folder: Path) -> None:
    """Runs a short preparation command as the server's user, in its folder.

    Raises:
        ServerError: The command failed; the text ends with its output.
    """
    account = pwd.getpwnam(server_user()) if server_user() else None
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode:
        printed = "\n".join((done.stdout + done.stderr).splitlines()[-_LOG_TAIL_LINES:])
        raise ServerError(f"{command[0]} exited with code {done.returncode}:\n{printed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Describes how to start a server and how to check that it answers.

    `logs` are quoted in error messages; `folder` is the working directory; `user` "" means the
    present user.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    logs: tuple[Path, ...]
    answers: Callable[[], bool]
    environment: dict[str, str] = field(default_factory=dict)
    user: str = field(default_factory=server_user)
    ready_limit_s: float = 60.0
    stop_limit_s: float = 15.0


class PrivateServer:
    """Runs one server under a supervisor, which stops the server when this process ends."""

    def __init__(self, launch: Launch, port: int) -> None:
        self._launch = launch
        self._guard: subprocess.Popen[bytes] | None = None
        self.base = launch.folder
        self.port = port
        self.pid = 0

    @property
    def running(self) -> bool:
        """True while the server's process runs."""
        return self._guard is not None and self._guard.poll() is None

    def spawn(self) -> None:
        """Starts the process without waiting; `wait_ready` waits until it answers."""
        folder = self._launch.folder
        command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("supervisor.py"))]
        command += ["--user", self._launch.user, "--limit", str(self._launch.stop_limit_s), "--"]
        with (folder / "output.log").open("ab") as output:
            self._guard = subprocess.Popen(
                [*command, *self._launch.command],
                cwd=folder,
                env={"PATH": os.environ.get("PATH", os.defpath), **self._launch.environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,  # so that Ctrl-C in a terminal does not reach the server
            )
        if self._guard.stdout is None:
            raise ServerError(f"{self._launch.name}: the supervisor has no output pipe")
        with self._guard.stdout as pid_line:
            pid = pid_line.readline()
        if not pid:
            raise self._failure("could not be started")
        self.pid = int(pid)

    def wait_ready(self) -> None:
        """Waits until the server answers.

        Raises:
            ServerError: The server ended, or did not answer in time and was stopped.
        """
        limit_s = self._launch.ready_limit_s
        deadline = time.monotonic() + limit_s
        while not (self._launch.answers() and self.running):
            if not self.running:
                raise self._failure("ended while starting")
            if time.monotonic() > deadline:
                raise self._failure(f"did not answer within {limit_s:.0f} s")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Stops all processes of the server: by SIGTERM, after a limit by SIGKILL."""
        if self._guard is None:
            return
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard.wait(timeout=self._launch.stop_limit_s + 10)

    def kill(self) -> None:
        """Kills the server's process group by SIGKILL, to simulate a power cut."""
        if self.running:
            # The server may just have ended by itself.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self.stop()

    def restart(self) -> None:
        """Stops the server if it runs, and starts it again with the same port and files."""
        self.stop()
        self.spawn()
        self.wait_ready()

    def _failure(self, what: str) -> ServerError:
        self.stop()
        tails = [f"--- {log.name}\n{_tail(log)}" for log in (self._output, *self._launch.logs)]
        shown = "\n".join(tails)
        return ServerError(
            f"{self._launch.name} in {self.base} {what}. Its log ends with:\n{shown}"
        )

    @property
    def _output(self) -> Path:
        return self.base / "output.log"


def _tail(log: Path) -> str:
    if not log.exists():
        return "(the file does not exist)"
    return "\n".join(
        log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    )
