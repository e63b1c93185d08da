"""The command, as a process: verbs, exit codes, signals."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from cloud.ca.authority import Authority

CONFIG = """\
device_id = "gw-1"
outbox = {{ path = "{folder}/outbox.db" }}
board = {{ kind = "simulated" }}
commit = {{ rhythm_s = 0.2 }}

[uplink]
host = "127.0.0.1"
port = 1
drain_s = 0.2
retry_max_s = 0.2

[[sensor]]
id = "hall"
driver = "sht4x"
interval_s = 0.05

[[sensor]]
id = "cellar"
driver = "dht22"
interval_s = 60
options = {{ pin = 4 }}
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG.format(folder=tmp_path))
    return path


def command(*arguments):
    return [sys.executable, "-m", "edge.cli", *map(str, arguments)]


def call(*arguments):
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("verb", ["run", "check", "read", "outbox"])
def test_help_shows_an_example(verb):
    done = call(verb, "--help")
    assert done.returncode == 0
    assert f"example: dewline-gateway {verb} --config" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["walk"], ["read", "--jsn"], ["run", "--trace-fd", "x"]])
def test_wrong_usage(arguments):
    done = call(*arguments)
    assert done.returncode == 2
    assert "usage: dewline-gateway" in done.stderr


# --- check ---------------------------------------------------------------------------------------


def test_check_of_a_good_configuration(config):
    done = call("check", "--config", config)
    assert (done.returncode, done.stderr) == (0, "")
    sensors = "hall (sht4x), cellar (dht22)"
    assert done.stdout == f"{config}: gw-1: no problems found; sensors: {sensors}\n"


def test_check_touches_nothing(config, tmp_path):
    call("check", "--config", config)
    assert [p.name for p in tmp_path.iterdir()] == ["gateway.toml"]


def test_check_with_remarks(config):
    config.write_text(config.read_text().replace(str(config.parent), "/nowhere"))
    done = call("check", "--config", config)
    assert done.returncode == 1
    assert "[outbox] path: the folder /nowhere does not exist" in done.stdout


def with_certificate(config, folder, device_id, begins_in_days, days):
    """The configuration with a certificate that begins then and holds so long."""
    now = datetime.now(UTC)
    authority = Authority.create(folder / "ca", "test", now - timedelta(days=900))
    issued = authority.issue_device(device_id, now + timedelta(days=begins_in_days), days)
    (folder / "device.pem").write_bytes(issued.certificate_pem)
    (folder / "device.key").write_bytes(issued.key_pem)
    keys = {"ca_file": "ca/ca.pem", "certificate_file": "device.pem", "key_file": "device.key"}
    lines = "\n".join(f'{key} = "{folder}/{path}"' for key, path in keys.items())
    config.write_text(config.read_text().replace("port = 1\n", f"port = 1\n{lines}\n"))


def test_check_shows_the_certificate_and_its_days(config, tmp_path):
    with_certificate(config, tmp_path, "gw-1", -10, 100)
    done = call("check", "--config", config)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert re.fullmatch(
        rf"{config}: certificate gw-1, 89 days left, until \d{{4}}-\d\d-\d\d", first
    )
    assert second == f"{config}: gw-1: no problems found; sensors: hall (sht4x), cellar (dht22)"


@pytest.mark.parametrize(
    ("device_id", "begins_in_days", "days", "words"),
    [
        ("gw-2", 0, 100, "the certificate is for gw-2, but device_id is gw-1. The broker would"),
        ("gw-1", 0, 29, "the certificate expires at "),
        ("gw-1", -100, 50, "the certificate expired at "),
        ("gw-1", 3, 100, "the certificate is not valid before "),
    ],
)
def test_check_warns_of_a_certificate(config, tmp_path, device_id, begins_in_days, days, words):
    with_certificate(config, tmp_path, device_id, begins_in_days, days)
    done = call("check", "--config", config)
    assert done.returncode == 1
    shown, remark = done.stdout.splitlines()
    assert f"certificate {device_id}, {begins_in_days + days - 1} days left" in shown
    where = f"[uplink] certificate_file: {tmp_path}/device.pem: "
    assert remark.startswith(f"{config}: {where}{words}")


def test_check_names_a_file_of_tls_once(config, tmp_path):
    with_certificate(config, tmp_path, "gw-1", 0, 100)
    (tmp_path / "device.pem").write_text("no certificate")
    done = call("check", "--config", config)
    assert (done.returncode, done.stderr) == (1, "")
    (remark,) = done.stdout.splitlines()
    assert "[uplink] certificate_file: " in remark
    assert "in PEM form" in remark


def test_a_running_gateway_does_without_cryptography(config, tmp_path):
    """It would be 8 MB more in a process that has 30."""
    with_certificate(config, tmp_path, "gw-1", 0, 100)
    program = (
        "import sys, queue; from pathlib import Path\n"
        "import edge.cli; from edge.sending.mqtt import connect\n"
        "from edge.configuration.config import load_config\n"
        "from edge.errors import UplinkUnavailable\n"
        "from edge.checking import check; config = load_config(Path(sys.argv[1])); check(config)\n"
        "try: connect('gw-1', config.uplink, queue.SimpleQueue())\n"
        "except UplinkUnavailable as error: print(error)\n"
        "print([name for name in sys.modules if name.startswith('cryptography')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(config)], capture_output=True, text=True, check=True
    )
    refused, loaded = done.stdout.splitlines()
    assert "refused" in refused  # it had come as far as the broker
    assert loaded == "[]"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            'driver = "sht4x"',
            'driver = "sht4y"',
            "no driver 'sht4y'; known: ",
        ),
        ("interval_s = 60", "interval = 60", "unknown key 'interval'; known keys: id, driver"),
        ("interval_s = 60", 'interval_s = "1 min"', "expected a finite number, found '1 min'"),
        ("pin = 4", "pin = 99", "expected a whole number 0 to 27, found 99"),
        ("[uplink]", "[uplink", "not valid TOML"),
    ],
)
def test_check_of_a_bad_one(config, old, new, words):
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))
    for verb in ("check", "read", "run"):
        done = call(verb, "--config", config)
        assert done.returncode == 2, verb
        assert words in done.stderr


def test_a_configuration_that_is_not_there(tmp_path):
    done = call("check", "--config", tmp_path / "none.toml")
    assert done.returncode == 2
    assert done.stderr == (
        f"dewline-gateway: {tmp_path}/none.toml: cannot be read: No such file or directory\n"
    )


# --- read ----------------------------------------------------------------------------------------


def test_read(config):
    done = call("read", "--config", config)
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [(r[0], r[1], r[3]) for r in rows] == [
        ("hall", "temperature", "Cel"),
        ("hall", "humidity", "%RH"),
        ("cellar", "temperature", "Cel"),
        ("cellar", "humidity", "%RH"),
    ]
    assert 5 < float(rows[0][2]) < 20  # the made day


def test_read_for_programs(config):
    done = call("read", "--json", "--config", config)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(r["sensor"], r["quantity"], r["unit"]) for r in rows} == {
        (sensor, quantity, unit)
        for sensor in ("hall", "cellar")
        for quantity, unit in (("temperature", "Cel"), ("humidity", "%RH"))
    }


def test_read_waits_for_the_first_result_of_a_chip_with_its_own_pace(config):
    sensor = '[[sensor]]\nid = "office"\ndriver = "scd4x"\ninterval_s = 30\n\n'
    config.write_text(config.read_text().replace("[[sensor]]", sensor + "[[sensor]]", 1))
    done = call("read", "--config", config)
    assert done.returncode == 0, done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [(r[1], r[3]) for r in rows if r[0] == "office"] == [
        ("co2", "ppm"),
        ("temperature", "Cel"),
        ("humidity", "%RH"),
    ]


def test_read_of_a_board_that_this_machine_has_not(config):
    config.write_text(config.read_text().replace('"simulated"', '"linux"'))
    done = call("read", "--config", config)
    assert done.returncode in (1, 2)
    assert done.stderr or "hall: " in done.stdout


# --- outbox --------------------------------------------------------------------------------------


def test_outbox_before_the_first_run(config):
    done = call("outbox", "--config", config)
    assert done.returncode == 2
    assert "outbox.db does not exist. `dewline-gateway run` creates the file" in done.stderr


# --- run -----------------------------------------------------------------------------------------


class Running:
    """A gateway as a process, with the reading end of its trace."""

    def __init__(self, config):
        reader, writer = os.pipe()
        self.process = subprocess.Popen(
            command("run", "--config", config, "--trace-fd", writer),
            pass_fds=[writer],
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(writer)
        self.trace = os.fdopen(reader)

    def lines_until(self, total):
        return [json.loads(self.trace.readline()) for _ in range(total)]

    def end(self, number):
        """The rest of the trace and what was logged, after a signal."""
        self.process.send_signal(number)
        rest = [json.loads(line) for line in self.trace]
        _, logged = self.process.communicate(timeout=20)
        self.trace.close()
        return rest, logged


@pytest.fixture
def running(config):
    started = []

    def start():
        started.append(Running(config))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def rows(config):
    db = sqlite3.connect(config.parent / "outbox.db")
    found = db.execute("SELECT stream_id, first, last FROM block ORDER BY row_id").fetchall()
    db.close()
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_until_a_signal(running, config, number):
    """What was traced is what the outbox holds; then the other verbs read it."""
    gateway = running()
    told = gateway.lines_until(5)
    began_s = time.monotonic()
    rest, logged = gateway.end(number)
    assert time.monotonic() - began_s < 10  # so long it would drain if nobody said
    assert gateway.process.returncode == 0, logged
    assert "Traceback" not in logged
    told += rest
    assert [(t["stream"], t["first"], t["last"]) for t in told] == rows(config)
    assert told[0]["kinds"] == {"status": 1}
    assert told[-1]["kinds"] == {"held": 1}
    last = told[-1]["last"]
    shown = call("outbox", "--config", config)
    assert f"{len(told)} blocks," in shown.stdout
    assert f"1 to {last}" in shown.stdout
    assert "stopped cleanly" in shown.stdout
    table = json.loads(call("outbox", "--json", "--config", config).stdout)
    assert table["blocks"] == len(told)
    assert table["held"] == [{"stream_id": told[0]["stream"], "first": 1, "last": last}]


def test_killed_and_started_again(running, config):
    first = running()
    told = first.lines_until(6)
    rest, _ = first.end(signal.SIGKILL)
    told += rest
    stored = rows(config)
    assert [(t["stream"], t["first"], t["last"]) for t in told] == stored[: len(told)]
    assert len(stored) - len(told) <= 1  # committed, and killed before it could tell
    second = running()
    (start,) = second.lines_until(1)
    second.end(signal.SIGTERM)
    assert start["kinds"] == {"status": 1, "loss": 1}
    assert start["stream"] != told[0]["stream"]


def test_a_trace_descriptor_that_is_not_open(config):
    done = call("run", "--config", config, "--trace-fd", "77")
    assert done.returncode == 2
    assert "--trace-fd: file descriptor 77 is not open" in done.stderr


def test_a_stop_while_a_sensor_is_read(running, config):
    """The DHT's driver waits 2 s between captures: a signal in that time takes effect after it."""
    config.write_text(config.read_text().replace("interval_s = 60", "interval_s = 0.1"))
    gateway = running()
    gateway.lines_until(1)
    rest, logged = gateway.end(signal.SIGTERM)
    assert gateway.process.returncode == 0, logged
    assert rest[-1]["kinds"] == {"held": 1}
