"""300 slow and 150 half-open clients at the API for two minutes, beside honest ones.

Not among the tests that are collected: it takes minutes. `make proof-api` runs it; it prints for
each minute how long bundles and health took for others. DEWLINE_SECONDS changes the two minutes.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import make_url

from cloud.lake.store import FolderStore
from cloud.warehouse.engine import connect
from cloud.warehouse.migrate import migrate
from deploy.local.certificates import Certificates
from tests.slow_clients import Honest, ask_all, crowd
from transport.tls import TlsFiles, client_context

pytestmark = pytest.mark.services

SECONDS = float(os.environ.get("DEWLINE_SECONDS", "120"))
SMALL = os.urandom(200_000)  # a bundle of the usual size
LARGE = bytes(40_000_000)
ROUNDS = {"none": (0, 1), "one address": (450, 1), "300 addresses": (450, 300)}


def path_of(data):
    return f"bundles/{hashlib.sha256(data).hexdigest()}.dwb"


@pytest.fixture(scope="module")
def api(tmp_path_factory, database):
    """Port and pid of the process, with a warehouse."""
    folder = tmp_path_factory.mktemp("api")
    for data in (SMALL, LARGE):
        FolderStore(folder / "registry").create(path_of(data), data)
    certificates = Certificates(folder)
    certificates.install(folder)
    url = make_url(database.url)
    engine = connect(database.url)
    migrate(engine)
    engine.dispose()
    (folder / "password").write_text(f"{url.password}\n")
    (folder / "cloud.toml").write_text(
        f'[registry]\nfolder = "{folder}/registry"\n[api]\nport = 0\nconnections = 250\n'
        f'certificate_file = "{folder}/server.pem"\nkey_file = "{folder}/server.key"\n'
        f'devices_ca_file = "{folder}/ca.pem"\ndevices_crl_file = "{folder}/crl.pem"\n'
        f'[warehouse]\nhost = "{url.host}"\nport = {url.port}\nuser = "{url.username}"\n'
        f'database = "{url.database}"\npassword_file = "{folder}/password"\n'
    )
    words = [sys.executable, "-m", "cloud.cli", "--config", str(folder / "cloud.toml")]
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen([*words, "api", "serve"], stdout=subprocess.PIPE, stderr=log)
    yield int(child.stdout.readline().split()[1]), child.pid, certificates, folder
    child.kill()
    child.communicate()
    assert "Traceback" not in (folder / "log").read_text()


def memory_mb(pid):
    (line,) = (x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in x)
    return int(line.split()[1]) / 1024


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("name", ROUNDS)
def test_others_wait_for_nobody(api, name):
    port, pid, certificates, _ = api
    clients, addresses = ROUNDS[name]
    files = {device: certificates.device(device) for device in ("gw-1", "gw-2", "gw-3")}
    honest = [
        honest_one(port, files[d], d, a) for d, a in (("gw-1", "127.0.0.2"), ("gw-2", "127.0.0.3"))
    ]
    neighbour = honest_one(port, files["gw-1"], "gw-1", "127.0.0.1")
    before_mb, before_s = memory_mb(pid), cpu_s(pid)
    began_s = time.monotonic()
    if clients:
        bad = crowd(port, files["gw-3"], f"/{path_of(LARGE)}", clients=clients, addresses=addresses)
        with bad:
            ask_all([*honest, neighbour], SECONDS)
    else:
        ask_all([*honest, neighbour], min(SECONDS, 20))
    figures = {
        "crowd": name,
        "seconds": round(time.monotonic() - began_s),
        "answers": sum(len(one.took_s) for one in honest),
        "failed": sum(len(one.failed) for one in honest),
        "p50_ms": round(1000 * max(one.percentile_s(0.5) for one in honest), 1),
        "p99_ms": round(1000 * max(one.percentile_s(0.99) for one in honest), 1),
        "max_ms": round(1000 * max(max(one.took_s) for one in honest), 1),
        "neighbour_answers": len(neighbour.took_s),
        "neighbour_failed": len(neighbour.failed),
        "neighbour_p99_ms": round(1000 * neighbour.percentile_s(0.99), 1),
        "api_cores": round((cpu_s(pid) - before_s) / (time.monotonic() - began_s), 2),
        "memory_mb": [round(before_mb), round(memory_mb(pid))],
    }
    print(f"\n{json.dumps(figures)}")
    assert figures["failed"] == 0, honest[0].failed + honest[1].failed
    assert figures["p99_ms"] < 200
    assert memory_mb(pid) < before_mb + 150


def honest_one(port, files, device, address):
    own = {"certificate_file": str(files.certificate), "key_file": str(files.key)}
    context = client_context(TlsFiles(ca_file=str(files.ca), **own), "proof")
    paths = (f"/{path_of(SMALL)}", f"/v1/health?devices={device}")
    return Honest(port, context, paths, address)
