"""The units of `deploy/systemd`: judged by systemd itself, and held against the programs."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from cloud import cli
from cloud.cli import parser_of
from deploy.reference.cloud import commands
from edge.cli import build_parser
from edge.configuration.config import load_config
from edge.configuration.sections import CommitConfig, Profile
from edge.gateway import _STOP_GRACE_S

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "systemd"
SERVICES = sorted(FOLDER.glob("*.service"))
TIMERS = sorted(FOLDER.glob("*.timer"))
CLOUD = [path for path in SERVICES if path.stem != "dewline-gateway"]
GATEWAY = FOLDER / "dewline-gateway.service"
MOST_EXPOSED = 30  # of 100, systemd's own measure
PROGRAM = re.compile(r"/opt/dewline/(?:cloud|gateway)/bin/(dewline-cloud|dewline-gateway) (.*)")
JIT = "MemoryDenyWriteExecute"
NEEDED = {"ProtectSystem": ["strict"], "NoNewPrivileges": ["yes"], "CapabilityBoundingSet": [""]}


def name(path):
    return path.name


def settings(path, section="Service"):
    """The values of each key in a section, in their order."""
    text = path.read_text(encoding="utf-8").partition(f"[{section}]\n")[2]
    found = {}
    for line in re.split(r"^\[", text, flags=re.MULTILINE)[0].splitlines():
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def one(path, key):
    (value,) = settings(path)[key]
    return value


def words_of(path):
    """Program and arguments, without a lock before them."""
    program, arguments = PROGRAM.search(one(path, "ExecStart")).groups()
    return program, arguments.split()


@pytest.fixture(scope="module")
def analyze():
    """`analyze(verb, path...)`: what `systemd-analyze` says, and its exit status."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")

    def run(*words):
        done = subprocess.run(
            [program, *words], capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.parametrize("path", SERVICES, ids=name)
def test_systemd_finds_little_exposed(analyze, path):
    words = ("--offline=yes", f"--threshold={MOST_EXPOSED}", "--no-pager", str(path))
    status, said = analyze("security", *words)
    assert status == 0, said.splitlines()[-1]


def test_a_unit_without_protection_is_found_exposed(analyze, tmp_path):
    bare = tmp_path / "bare.service"
    bare.write_text("[Service]\nExecStart=/bin/true\n")
    words = ("--offline=yes", f"--threshold={MOST_EXPOSED}", "--no-pager", str(bare))
    assert analyze("security", *words)[0] == 1


def test_systemd_understands_every_line(analyze, tmp_path):
    _, said = analyze("verify", *map(str, SERVICES + TIMERS))
    # the programs are not installed on the machine that tests
    left = [line for line in said.splitlines() if "is not executable: No such file" not in line]
    assert left == []
    wrong = tmp_path / "dewline-wrong.service"
    wrong.write_text(GATEWAY.read_text().replace("UMask=", "Umask="))
    assert "'Umask'" in analyze("verify", str(wrong))[1]


@pytest.mark.parametrize("path", SERVICES, ids=name)
def test_what_is_started_is_a_command_that_the_program_knows(path):
    program, words = words_of(path)
    if program == "dewline-gateway":
        args = build_parser().parse_args(words)
        assert args.config == Path("/etc/dewline/gateway.toml")
        assert args.verb == "run"
    else:
        args = parser_of(words).parse_args(words)
        assert args.config == Path("/etc/dewline/cloud.toml")


def test_every_process_of_the_clouds_page_has_a_unit():
    page = (ROOT / "docs" / "cloud.md").read_text(encoding="utf-8")
    listed = page.partition("## What runs")[2].partition("\n## ")[0]
    processes = re.findall(r"^\| `([a-z -]+)` \|", listed, re.MULTILINE)
    # the fold has a timer here, and need not stay in memory between two runs
    wanted = {process.removesuffix(" --follow") for process in processes}
    known = {words for words, _ in commands()}
    started = {" ".join(words_of(path)[1][2:4]) for path in CLOUD}
    assert started <= known
    assert wanted == started


def test_what_stays_up_starts_again_and_what_ends_has_a_timer():
    timed = {path.stem for path in TIMERS}
    for path in SERVICES:
        ends = one(path, "Type") == "oneshot"
        assert ends == (path.stem in timed), path.name
        assert ends == ("[Install]" not in path.read_text()), path.name
        if not ends:
            assert one(path, "Restart") == "always"
            assert float(one(path, "RestartSec")) >= 1
            assert settings(path, "Unit")["StartLimitIntervalSec"] == ["0"], "never given up"
    assert timed <= {path.stem for path in SERVICES}
    for path in TIMERS:
        assert settings(path, "Install") == {"WantedBy": ["timers.target"]}
        assert {"OnCalendar", "OnUnitInactiveSec"} & settings(path, "Timer").keys()


def test_only_what_runs_java_may_write_code():
    for path in SERVICES:
        program, words = words_of(path)
        java = program == "dewline-cloud" and words[2] in cli._NEEDS_SPARK
        assert settings(path).get(JIT) == (None if java else ["yes"]), path.name


def test_protection_is_the_same_in_all_units_of_the_cloud():
    own = {"Type", "ExecStart", "Restart", "RestartSec", "TimeoutStopSec", "CacheDirectory"}
    kept = [
        {
            key: value
            for key, value in settings(path).items()
            if key not in own | {JIT, "Environment"}
        }
        for path in CLOUD
    ]
    assert all(one == kept[0] for one in kept)
    assert kept[0].items() >= NEEDED.items()
    assert settings(GATEWAY).items() >= NEEDED.items()


# --- accounts, folders, devices ------------------------------------------------------------------


def made_by_roles(module):
    """Names that the Ansible roles give to `user` or `group`, variables by their defaults."""
    roles = ROOT / "deploy" / "ansible" / "roles"
    defaults = {}
    for path in roles.glob("*/defaults/main.yml"):
        defaults |= yaml.safe_load(path.read_text()) or {}
    found = set()
    for path in roles.glob("*/tasks/*.yml"):
        for task in yaml.safe_load(path.read_text()) or []:
            if module in task:
                named = str(task[module]["name"]).strip("{} ")
                found |= set(task["loop"]) if named == "item" else {defaults.get(named, named)}
    return found


def test_every_account_is_made_by_a_role():
    users = {one(path, "User") for path in SERVICES}
    groups = {one(path, "Group") for path in SERVICES}
    groups |= set(one(GATEWAY, "SupplementaryGroups").split())
    assert users == {"dewline"}
    assert groups == {"dewline", "i2c", "gpio"}
    assert users <= made_by_roles("ansible.builtin.user")
    assert groups <= made_by_roles("ansible.builtin.group")


@pytest.mark.parametrize("path", SERVICES, ids=name)
def test_state_is_kept_in_one_folder(path):
    assert one(path, "StateDirectory") == "dewline"
    assert one(path, "WorkingDirectory") == "/var/lib/dewline"
    for written in re.findall(r"/var/\S+", one(path, "ExecStart")):
        assert written.startswith("/var/lib/dewline/")


def test_the_gateway_reaches_its_buses_and_no_other_device():
    found = settings(GATEWAY)
    assert found["DevicePolicy"] == ["closed"]
    assert found["DeviceAllow"] == ["char-i2c rw", "char-gpiochip rw", "/dev/gpiomem rw"]
    assert "PrivateDevices" not in found
    assert "ProcSubset" not in found, "onnxruntime reads /proc/cpuinfo"
    unit = settings(GATEWAY, "Unit")
    assert unit["After"] == ["modprobe@i2c_dev.service"], "no network is waited for"


def test_the_gateways_times_are_those_of_the_program():
    saver_s = CommitConfig(profile=Profile.SAVER).effective_rhythm_s
    assert float(one(GATEWAY, "WatchdogSec")) == 3 * saver_s
    assert one(GATEWAY, "Type") == "notify"
    assert one(GATEWAY, "NotifyAccess") == "main"
    assert settings(GATEWAY, "Unit")["StartLimitIntervalSec"] == ["0"]
    uplink = load_config(ROOT / "deploy" / "sample" / "gateway.toml").uplink
    assert float(one(GATEWAY, "TimeoutStopSec")) > uplink.drain_s + _STOP_GRACE_S


# --- one at a time -------------------------------------------------------------------------------


@pytest.fixture
def locked(tmp_path):
    """`locked(unit, program)`: a unit's command with another lock and another program."""

    def start(unit, *program):
        command = one(FOLDER / f"dewline-{unit}.service", "ExecStart")
        lock, found = PROGRAM.split(command)[0], PROGRAM.search(command)
        assert found is not None
        words = [w.replace("/var/lib/dewline", str(tmp_path)) for w in lock.split()]
        return subprocess.Popen([*words, *program])

    return start


def lock_of(unit):
    return re.findall(r"/var/lib/dewline/\S+\.lock", one(FOLDER / f"{unit}.service", "ExecStart"))


def test_what_moves_one_cursor_shares_one_lock():
    assert lock_of("dewline-transform") == lock_of("dewline-cycle") != []
    assert lock_of("dewline-fold") == lock_of("dewline-compact") != []
    assert lock_of("dewline-fold") != lock_of("dewline-cycle")


def test_a_transform_gives_way_to_a_cycle_and_a_cycle_waits(locked, tmp_path, wait_until):
    gate, done = tmp_path / "gate", tmp_path / "done"
    wait = f"while [ ! -e {gate} ]; do sleep 0.02; done"
    first = locked("transform", "sh", "-c", f"touch {tmp_path}/began; {wait}")
    wait_until((tmp_path / "began").exists)
    assert locked("transform", "false").wait(20) == 0, "it ends in order and does nothing"
    cycle = locked("cycle", "touch", str(done))
    time.sleep(0.3)
    assert cycle.poll() is None
    assert not done.exists()
    gate.touch()
    assert (first.wait(20), cycle.wait(20)) == (0, 0)
    assert done.exists()
