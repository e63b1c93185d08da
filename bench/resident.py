"""Measures memory and CPU of a real gateway process that has only the edge's packages.

pip makes the environment once in a folder, and again when a requirement changes. The board is
simulated; all other parts are the ones that run on a real gateway.
"""

import hashlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.broker import DEVICE, Line
from bench.child import child
from bench.errors import BenchError, NoEnvironment
from bench.machine import Memory, memory, threads_cpu_s

__all__ = ["RESIDENT_DB", "Resident", "edge_python", "run_gateway"]

RESIDENT_DB = "resident.db"  # file name of the outbox

_PIP_LIMIT_S = 300
_SETTLED_S = 10.0
_SIGNALS = 8
_CONFIG = """\
device_id = "{device}"
[board]
kind = "simulated"
[outbox]
path = "{outbox}"
[uplink]
host = "{host}"
port = {port}
username = "{device}"
password_file = "{secret}"
[[condition]]
id = "wet-wall"
derived = "dew_point_margin"
temperature = "room-1/temperature"
humidity = "room-1/humidity"
comparison = "below"
limit = 0.5
step_s = 60
max_age_s = 120
[[sensor]]
id = "porch"
driver = "dht22"
interval_s = 10.0
options = {{ pin = 4 }}
"""
_SHT4X = """\
[[sensor]]
id = "room-{n}"
driver = "sht4x"
interval_s = 1.0
options = {{ bus = {n} }}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """Holds the figures of one run.

    Attributes:
        settled: Memory 10 s after the start, or at the end of a shorter run.
        end: Memory at the end.
        cpu_us: CPU per reading after the first 10 s, microseconds; None for a shorter run.
        readings_a_block: Mean number of readings per block that has any.
        predictions_total: Number of committed forecasts.
    """

    settled: Memory
    end: Memory
    cpu_us: float | None
    readings_a_block: float
    predictions_total: int


def edge_python(root: Path, folder: Path) -> Path:
    """Returns the Python of the edge-only environment in `folder`; makes or updates it first.

    Raises:
        NoEnvironment: pip could not make the environment.
    """
    wanted = hashlib.sha256(f"{sys.version} {root}".encode())
    for name in ("requirements/edge.txt", "pyproject.toml"):
        wanted.update((root / name).read_bytes())
    stamp, python = folder / "dewline-stamp", folder / "bin" / "python"
    if stamp.exists() and stamp.read_text("ascii") == wanted.hexdigest():
        return python
    print(f"making {folder} ...", flush=True)
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    _run([*pip, "--require-hashes", "-r", str(root / "requirements" / "edge.txt")])
    _run([*pip, "--no-deps", "-e", str(root)])
    stamp.write_text(wanted.hexdigest(), encoding="ascii")
    return python


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PIP_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoEnvironment(f"{' '.join(command)}: {error}") from error
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise NoEnvironment(f"{' '.join(command)}: {lines[-1] if lines else done.returncode}")


def run_gateway(python: Path, folder: Path, line: Line, seconds: float, more: str = "") -> Resident:
    """Runs `dewline-gateway run` for some seconds; a second run continues with the same outbox.

    Args:
        python: Python of the environment to use.
        folder: Folder for `RESIDENT_DB` and the other files of the run.
        line: Broker and account.
        seconds: Duration of the run.
        more: TOML that is appended to the configuration.
    """
    config, log = folder / "gateway.toml", folder / "gateway.log"
    config.write_text(_config(folder / RESIDENT_DB, line) + more, encoding="utf-8")
    with child(_gateway(python, config), log) as pid:
        time.sleep(min(_SETTLED_S, seconds))
        settled = memory(pid)
        began_cpu_s, began_s = threads_cpu_s(pid), time.monotonic()
        time.sleep(max(0.0, seconds - _SETTLED_S))
        end, cpu_s = memory(pid), threads_cpu_s(pid) - began_cpu_s
        readings = _SIGNALS * (time.monotonic() - began_s)
    kinds = _committed(log)
    return Resident(
        settled=settled,
        end=end,
        cpu_us=cpu_s * 1e6 / readings if seconds > _SETTLED_S else None,
        readings_a_block=_readings_a_block(kinds),
        predictions_total=sum(k.get("prediction", 0) for k in kinds),
    )


def _config(outbox: Path, line: Line) -> str:
    uplink = line.uplink
    text = _CONFIG.format(
        device=DEVICE,
        outbox=outbox,
        host=uplink.host,
        port=uplink.port,
        secret=uplink.password_file,
    )
    return text + "".join(_SHT4X.format(n=n) for n in range(1, _SIGNALS // 2 + 1))


def _gateway(python: Path, config: Path) -> list[str]:
    # The trace is written to the log: a supervised process inherits no other descriptor.
    return [str(python), "-m", "edge.cli", "run", "--config", str(config), "--trace-fd", "2"]


def _committed(log: Path) -> list[dict[str, int]]:
    """Returns the number of records of each kind in each block."""
    lines = log.read_text("utf-8").splitlines()
    return [json.loads(line)["kinds"] for line in lines if line.startswith("{")]


def _readings_a_block(kinds: list[dict[str, int]]) -> float:
    readings = [k["reading"] for k in kinds if "reading" in k]
    if not readings:
        raise BenchError("gateway: no reading was committed during the run")
    return sum(readings) / len(readings)
