"""The guard's promises, on programs that are on every machine."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.errors import ServerError
from deploy.local.processes import Launch, PrivateServer, free_ports, private_folder, program

ROOT = Path(__file__).parents[3]

# A parent that holds one server, a shell with a child of its own, as Elasticsearch's launcher has.
HOLDER = """
import sys, time
from pathlib import Path
from deploy.local.processes import Launch, PrivateServer
folder = Path(sys.argv[1])
script = "trap '' TERM; sleep 600 & wait" if sys.argv[2] == "deaf" else "sleep 600 & wait"
launch = Launch(name="shell", command=("bash", "-c", script), folder=folder, logs=(),
                answers=lambda: True, stop_limit_s=0.5)
server = PrivateServer(launch, 1)
server.spawn()
print(server.pid, flush=True)
time.sleep(600)
"""


def server_of(folder: Path, script: str, **changes: object) -> PrivateServer:
    values: dict[str, object] = {
        "answers": lambda: True,
        "logs": (),
        "stop_limit_s": 1.0,
        **changes,
    }
    command = ("bash", "-c", script)
    return PrivateServer(Launch(name="shell", command=command, folder=folder, **values), 1)  # type: ignore[arg-type]


def test_stop_leaves_no_process(
    stack_base: Path,
    processes_in: Callable[[Path], list[int]],
    wait_until: Callable[[Callable[[], bool], float], None],
) -> None:
    folder = private_folder(stack_base, "stop")
    server = server_of(folder, "sleep 600 & sleep 600")
    server.spawn()
    server.wait_ready()
    wait_until(lambda: len(processes_in(folder)) >= 3, 10)  # guard, shell, sleepers
    server.stop()
    assert processes_in(folder) == []
    assert not server.running
    server.stop()  # twice is fine


def test_a_server_that_ignores_term_is_killed_after_the_limit(
    stack_base: Path, processes_in: Callable[[Path], list[int]], wait_until: Callable[..., None]
) -> None:
    folder = private_folder(stack_base, "deaf")
    server = server_of(
        folder, "trap '' TERM; touch deaf; while :; do sleep 0.1; done", stop_limit_s=0.3
    )
    server.spawn()
    wait_until((folder / "deaf").exists)
    begun = time.monotonic()
    server.stop()
    assert 0.3 <= time.monotonic() - begun < 12  # 15 s if nobody says
    assert processes_in(folder) == []


def test_kill_ends_at_once_and_restart_keeps_the_folder(
    stack_base: Path, wait_until: Callable[..., None]
) -> None:
    folder = private_folder(stack_base, "kill")
    server = server_of(
        folder, "trap 'echo ended > ended; exit' TERM; echo x >> starts; sleep 600 & wait"
    )
    server.spawn()
    wait_until((folder / "starts").exists)
    first = server.pid
    server.kill()
    assert not (folder / "ended").exists()  # no TERM reached it
    server.restart()
    wait_until(lambda: (folder / "starts").read_text() == "x\nx\n")
    assert server.pid != first
    server.stop()
    assert (folder / "ended").read_text() == "ended\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("temper", ["mild", "deaf"])
def test_no_server_outlives_its_parent(
    stack_base: Path,
    processes_in: Callable[[Path], list[int]],
    wait_until: Callable[..., None],
    number: int,
    temper: str,
) -> None:
    folder = private_folder(stack_base, "parent")
    command = [sys.executable, "-c", HOLDER, str(folder), temper]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) in processes_in(folder)
        parent.send_signal(number)
        parent.wait()
    wait_until(lambda: processes_in(folder) == [], limit_s=10)


def test_a_server_that_ends_while_starting_shows_its_last_words(stack_base: Path) -> None:
    folder = private_folder(stack_base, "words")
    server = server_of(folder, "echo cannot open the vault >&2; exit 3", answers=lambda: False)
    server.spawn()
    with pytest.raises(ServerError, match=r"(?s)ended while starting.*cannot open the vault"):
        server.wait_ready()


def test_a_silent_server_is_given_up_and_stopped(
    stack_base: Path, processes_in: Callable[[Path], list[int]]
) -> None:
    folder = private_folder(stack_base, "silent")
    server = server_of(folder, "echo thinking; sleep 600", answers=lambda: False, ready_limit_s=0.3)
    server.spawn()
    with pytest.raises(ServerError, match=r"(?s)did not answer within 0 s.*thinking"):
        server.wait_ready()
    assert processes_in(folder) == []


def test_a_command_that_cannot_be_run_is_named(stack_base: Path) -> None:
    folder = private_folder(stack_base, "absent")
    launch = Launch(
        name="absent", command=("/no/such/server",), folder=folder, logs=(), answers=lambda: True
    )
    with pytest.raises(ServerError, match=r"/no/such/server cannot be started"):
        PrivateServer(launch, 1).spawn()


def test_a_missing_program_points_to_the_set_up() -> None:
    with pytest.raises(ServerError, match=r"no-such-server is not installed.*make setup"):
        program("no-such-server")


def test_servers_do_not_run_as_root(stack_base: Path, wait_until: Callable[..., None]) -> None:
    if os.getuid() != 0:
        pytest.skip("only root changes the user")
    folder = private_folder(stack_base, "user")
    server = server_of(folder, "id > id; sleep 600")
    server.spawn()
    wait_until(lambda: (folder / "id").exists() and "\n" in (folder / "id").read_text())
    server.stop()
    assert "root" not in (folder / "id").read_text()


def test_a_closed_parent_folder_is_explained(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root changes the user")
    tmp_path.chmod(0o700)
    with pytest.raises(ServerError, match=r"nobody, who has no access to .*mode 755"):
        private_folder(tmp_path, "closed")


def test_ports_are_distinct_free_and_below_the_kernels_own() -> None:
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(1024 < port < max(first_ephemeral, 30_000) for port in ports)


def test_the_guard_starts_fast(tmp_path: Path) -> None:
    """Three servers wait for it at each start; the fastest of a few, for busy machines."""
    guard = ROOT / "deploy" / "local" / "supervisor.py"
    lasted_s = []
    for _ in range(4):
        begun = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-I", "-S", str(guard), "--", shutil.which("true") or "/bin/true"],
            cwd=tmp_path,
            stdin=subprocess.PIPE,  # the lease: its end would end the program
            stdout=subprocess.DEVNULL,
        ) as started:
            assert started.wait(30) == 0
        lasted_s.append(time.monotonic() - begun)
    assert min(lasted_s) < 2
