"""Runs one server, and stops it when the process that started it ends. Run as a script.

The server is a child process in its own session. The supervisor's standard input is a pipe to which
the starting process (the parent) never writes. When the parent ends in any way, even by kill -9,
the kernel closes the pipe. The supervisor then stops the server's whole process group.
PR_SET_PDEATHSIG would not work: it is lost when the server changes its user, and it follows the
thread that forked, not the process.

Standard output gets one line, the server's pid; the server's output goes to standard error. This
script must not import dewline's modules: it starts with `python -I -S`, in some ten milliseconds.

    python -I -S supervisor.py --user nobody --limit 10 -- COMMAND ARGUMENT...
"""

import argparse
import ctypes
import os
import pwd
import select
import signal
import subprocess
import sys
import time

__all__ = ["main"]

_POLL_S = 0.02
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def _start(command: list[str], user: str) -> subprocess.Popen[bytes]:
    account = pwd.getpwnam(user) if user else None
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        start_new_session=True,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )


def _wait_for_end(server: subprocess.Popen[bytes], lease_fd: int) -> None:
    """Returns when the server has ended or the parent's pipe is closed."""
    ended_fd = os.pidfd_open(server.pid)
    try:
        select.select([ended_fd, lease_fd], [], [])
    finally:
        os.close(ended_fd)


def _reap(group: int) -> None:
    """Reaps ended processes of the group, because zombies would still count as its members."""
    try:
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _signal_group(group: int, number: int) -> bool:
    """Sends a signal (0: none) to the group, and returns whether the group has any process."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _end_group(server: subprocess.Popen[bytes], limit_s: float) -> None:
    """Sends SIGTERM to the whole group, and SIGKILL after the limit."""
    group, deadline = server.pid, time.monotonic() + limit_s
    _signal_group(group, signal.SIGTERM)
    while _signal_group(group, 0):
        if time.monotonic() > deadline:
            _signal_group(group, signal.SIGKILL)
        server.poll()  # first, so that its exit code is kept
        _reap(group)
        time.sleep(_POLL_S)


def _only_the_lease_decides() -> None:
    # Handlers and not SIG_IGN, because the server would inherit an ignored signal.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    # Orphans of the server become children of the supervisor, which can then reap them.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def main(arguments: list[str]) -> int:
    """Runs the server; returns its exit code, or 127 if it cannot be started."""
    parser = argparse.ArgumentParser(description="Run one server as long as stdin stays open.")
    parser.add_argument("--user", default="", help="run the server as this user (needs root)")
    parser.add_argument("--limit", type=float, default=10.0, help="seconds from TERM to KILL")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    _only_the_lease_decides()
    try:
        server = _start(options.command, options.user)
    except OSError as error:
        print(f"{options.command[0]} cannot be started: {error}", file=sys.stderr)
        return 127
    print(server.pid, flush=True)
    _wait_for_end(server, sys.stdin.fileno())
    _end_group(server, options.limit)
    return server.wait() & 0xFF


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
