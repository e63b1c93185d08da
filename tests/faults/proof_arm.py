"""What a Raspberry Pi gets from the archives runs on its kind of processor, which is emulated here.

A bare Debian for 64-bit ARM installs the archives of part `pi` without a network, as the role does.
Then the gateway there reads simulated chips and keeps what they say, and a bundle that was trained
on this machine must give its golden numbers on that one. No board, no service: see
docs/operations.md.

Not among the tests that are collected: it takes minutes, root and a way to Debian's packages.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.typed import plain
from deploy.local import emulation
from deploy.local.artifacts import cache_folder
from deploy.local.nspawn import debian_base
from deploy.packages.debian import make_repository
from deploy.packages.wheels import Target, make_wheelhouse
from edge.bundles.trial import Trial

ROOT = Path(__file__).resolve().parents[2]
PROCESSORS = ("cortex-a53", "cortex-a72", "max")  # Pi 3 and Zero 2 W, Pi 4, every extension
READINGS = 50
LIMIT_S = 120
GATEWAY = """\
device_id = "gw-arm"
[board]
kind = "simulated"
[outbox]
path = "/srv/outbox.db"
[[sensor]]
id = "air"
driver = "sht4x"
interval_s = 0.5
options = { address = 0x44 }
[[sensor]]
id = "cellar"
driver = "dht22"
interval_s = 2
options = { pin = 4 }
"""
# The lines of roles dewline_packages and dewline_release.
INSTALL = """\
tar --extract --one-top-level=/srv/packages --file=/srv/debian.tar
tar --extract --one-top-level=/srv/wheels --file=/srv/pi.tar
echo 'deb [trusted=yes] file:/srv/packages ./' > /etc/apt/sources.list
apt-get update -q
apt-get install -q -y --no-install-recommends python3-venv
python3 -m venv --clear /opt/dewline
/opt/dewline/bin/python -m pip install -q --no-index --require-hashes \
  --find-links /srv/wheels -r /srv/wheels/requirements.txt
"""
RUN = """\
/opt/dewline/bin/dewline-gateway run --config /srv/gateway.toml 2> /srv/log &
gateway=$!
held=0
for _ in $(seq {limit_s}); do
  sleep 1
  held=$(/opt/dewline/bin/dewline-gateway outbox --config /srv/gateway.toml --json)
  last=$(echo "$held" | grep -o '"last": [0-9]*' | grep -o '[0-9]*') || last=0
  [ "$last" -gt {readings} ] && break
done
kill -TERM $gateway
wait $gateway
echo "$held"
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dewline-arm64-") as name:
        yield Path(name)


def test_the_archives_of_a_pi_run_on_its_processor(folder, bundles, damp):
    reason = emulation.obstacle()
    if reason is not None:
        pytest.fail(reason)
    make_wheelhouse(ROOT, "pi", folder / "pi.tar", Target(machine="aarch64", python="3.11"))
    make_repository(["python3-venv"], folder / "debian.tar", "arm64")
    with emulation.emulated():
        pi = emulation.Foreign(folder / "root", debian_base(cache_folder(), "arm64"))
        for archive in ("pi.tar", "debian.tar"):
            (folder / archive).rename(pi.root / "srv" / archive)
        began_s = time.monotonic()
        pi.call(INSTALL)
        install_s = time.monotonic() - began_s
        assert pi.call("uname -m").strip() == "aarch64"
        assert pi.call("/opt/dewline/bin/python -c 'import lgpio; print(lgpio.tx_busy)'")
        (pi.root / "srv" / "gateway.toml").write_text(GATEWAY)
        held = json.loads(pi.call(RUN.format(limit_s=LIMIT_S, readings=READINGS)).splitlines()[-1])
        verdicts = {p: verdict(pi, bundles, damp, bundles.make(damp), p) for p in PROCESSORS}
        wrong = verdict(pi, bundles, damp, bundles.make(damp, shift=2e-5), "max")
    readings = held["held"][0]["last"]
    print(json.dumps({"install_s": round(install_s, 1), "records": readings, "bundles": verdicts}))
    assert readings > READINGS
    assert verdicts == dict.fromkeys(PROCESSORS)
    assert wrong == "wrong_answer"


def verdict(pi, bundles, condition, made, processor):
    """The code of a refusal; None for a good bundle."""
    (pi.root / "srv" / "bundle").write_bytes(made.data)
    (pi.root / "srv" / "key.pem").write_bytes(Path(bundles.key).read_bytes())
    trial = Trial(
        path="/srv/bundle",
        trusted_keys=("/srv/key.pem",),
        condition=condition,
        model=made.wanted.model,
        version=made.wanted.version,
        counter=made.wanted.counter,
        timeout_s=60.0,
        memory_mib=2048,
    )
    command = "/opt/dewline/bin/python -m edge.bundles.verify_bundle || [ $? = 1 ]"
    return json.loads(pi.call(command, json.dumps(plain(trial)), processor)).get("code")
