"""The whole stack at once: all three answer, and none is left when the parent ends, however."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.errors import ServerError
from deploy.local.servers import BrokerAccount, open_folder, start_stack

ROOT = Path(__file__).parents[3]

HOLDER = """
import sys, time
from pathlib import Path
from deploy.local.servers import BrokerAccount, start_stack
try:
    with start_stack(Path(sys.argv[1]), [BrokerAccount.generate("gw-1", "device")], print) as stack:
        servers = stack.mosquitto, stack.database, stack.elasticsearch
        print("ready", *(server.port for server in servers), flush=True)
        time.sleep(600)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.services
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_no_server_of_a_stack_outlives_its_parent(
    processes_in: Callable[[Path], list[int]],
    wait_until: Callable[..., None],
    number: int,
    code: int,
) -> None:
    with open_folder("dewline-test-") as base:
        command = [sys.executable, "-u", "-c", HOLDER, str(base)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            lines = iter(parent.stdout.readline, "")
            ports = next((line.split()[1:] for line in lines if line.startswith("ready")), [])
            for port in ports:
                socket.create_connection(("127.0.0.1", int(port)), timeout=30).close()
            assert len(processes_in(base)) >= 8  # parent, 3 guards, 3 servers, 1 launcher
            parent.send_signal(number)
            assert parent.wait(30) == code
        wait_until(lambda: processes_in(base) == [], limit_s=30)


@pytest.mark.services
def test_one_that_cannot_start_takes_the_others_down(
    processes_in: Callable[[Path], list[int]],
) -> None:
    refused = BrokerAccount(name="Not A Name", password="x", role="device")
    with open_folder("dewline-test-") as base:
        stack = start_stack(base, [refused], lambda _: None)
        with pytest.raises(ServerError, match="broker account 'Not A Name'"), stack:
            pytest.fail("it started")  # pragma: no cover
        assert processes_in(base) == []
