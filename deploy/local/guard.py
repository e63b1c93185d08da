"""Keeps one server from outliving the process that wanted it. Run as a script.

Owns one child process in a session of its own. Standard input is the lease: whoever started the
guard holds the other end of that pipe and never writes to it. The kernel closes it however the
holder ends, kill -9 included, and then the guard ends the server's whole process group.
PR_SET_PDEATHSIG would not do: it is lost when the server changes its user, and it follows the
thread that forked, not the process.

Standard output gets one line, the server's pid; what the server prints goes to standard error.
Must not import anything of dewline: it starts with `python -I -S`, in a few ten milliseconds.

    python -I -S guard.py --user nobody --limit 10 -- COMMAND ARGUMENT...
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
    """Return when the server has ended or the lease is gone, whichever is first."""
    ended_fd = os.pidfd_open(server.pid)
    try:
        select.select([ended_fd, lease_fd], [], [])
    finally:
        os.close(ended_fd)


def _reap(group: int) -> None:
    """Collect the group's dead: zombies would count as members for ever where init is careless."""
    try:
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _signal_group(group: int, number: int) -> bool:
    """Returns whether anybody is left in the group; 0 only asks."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _end_group(server: subprocess.Popen[bytes], limit_s: float) -> None:
    """Ask the whole group to end, and make it end once the limit has passed."""
    group, deadline = server.pid, time.monotonic() + limit_s
    _signal_group(group, signal.SIGTERM)
    while _signal_group(group, 0):
        if time.monotonic() > deadline:
            _signal_group(group, signal.SIGKILL)
        server.poll()  # before the others, so that its exit code is kept
        _reap(group)
        time.sleep(_POLL_S)


def _only_the_lease_decides() -> None:
    # Handlers and not SIG_IGN: an ignored signal would stay ignored in the server.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    # What a dying launcher leaves behind becomes the guard's child, so that it can be reaped.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def main(arguments: list[str]) -> int:
    """Run the server until it ends or the lease does; its exit code, 127 if it cannot be run."""
    parser = argparse.ArgumentParser(description="Run one server as long as stdin stays open.")
    parser.add_argument("--user", default="", help="run the server as this user (needs root)")
    parser.add_argument("--limit", type=float, default=10.0, help="seconds from TERM to KILL")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    _only_the_lease_decides()
    try:
        server = _start(options.command, options.user)
    except OSError as error:
        print(f"cannot run {options.command[0]}: {error}", file=sys.stderr)
        return 127
    print(server.pid, flush=True)
    _wait_for_end(server, sys.stdin.fileno())
    _end_group(server, options.limit)
    return server.wait() & 0xFF


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
