"""The set-up's decisions: what is refused, what is said, what a second run leaves alone."""

import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contract.errors import ConfigError
from deploy.local.artifacts import pinned
from deploy.local.errors import SetupError
from deploy.local.setup.commands import run
from deploy.local.setup.debian import install, missing_packages, services_forbidden
from deploy.local.setup.fetch import ensure_artifacts, verify
from deploy.local.setup.progress import Progress

ROOT = Path(__file__).parents[4]
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))


def test_a_file_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.jar"
    path.write_bytes(b"reviewed")
    pin = dataclasses.replace(pinned()[0], sha256=hashlib.sha256(b"reviewed").hexdigest())
    verify(pin, path)
    path.write_bytes(b"reviewed, then changed")
    with pytest.raises(SetupError, match=f"SHA-256 .* but {pin.sha256} is pinned"):
        verify(pin, path)


def test_a_full_cache_fetches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEWLINE_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))  # neither Maven nor anything else can be found
    for artifact in pinned():
        artifact.place.parent.mkdir(parents=True, exist_ok=True)
        artifact.place.touch()
    ensure_artifacts(Progress())
    assert capsys.readouterr().out == ""
    pinned()[0].place.unlink()
    with pytest.raises(SetupError, match="mvn cannot be started"):
        ensure_artifacts(Progress())


def test_who_cannot_install_gets_the_one_line_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no apt-get: as on another system, or without root
    with pytest.raises(ConfigError, match=r"sudo apt-get install -y .* mosquitto maven\n"):
        install(["mosquitto", "maven"])


def test_missing_programs_name_their_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = missing_packages(servers=True)
    assert {"mosquitto-clients", "maven", "openjdk-17-jre-headless"} <= set(missing)
    for name in ("mosquitto_pub", "mvn"):
        (tmp_path / name).touch(mode=0o755)
    assert {"mosquitto-clients", "maven"}.isdisjoint(missing_packages(servers=True))
    assert "maven" not in missing_packages(servers=False)
    assert "systemd-container" not in missing
    assert "systemd-container" in missing_packages(servers=True, machines=True)


def test_services_are_forbidden_only_while_packages_are_installed(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with pytest.raises(subprocess.CalledProcessError, match="101"), services_forbidden(policy):
        subprocess.run([policy], check=True)  # ends as a failing apt would
    assert not policy.exists()


def test_a_policy_that_was_there_stays(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    with services_forbidden(policy):
        pass
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_a_failed_step_is_named_with_its_last_words() -> None:
    with pytest.raises(SetupError, match=r"(?s)lists: bash exited with code 4:.*no route"):
        run(["bash", "-c", "echo no route >&2; exit 4"], "lists")


def test_the_launcher_hands_its_exit_code_on() -> None:
    command = ["bash", str(ROOT / "deploy" / "local" / "setup" / "run.sh"), "nonsense"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/")
    assert done.returncode == 2
    assert "invalid choice: 'nonsense'" in done.stderr


def test_the_set_up_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    caches = shutil.ignore_patterns("__pycache__")  # others write there meanwhile
    for name in ("contract", "deploy"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=caches)
    command = [sys.executable, "-S", "-E", "-c", "import deploy.local.setup.__main__"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_requirement_files_have_a_hash_for_all_and_no_address(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [n for n, line in enumerate(lines) if "==" in line]
    assert starts
    assert all(lines[n].endswith("\\") and "--hash=sha256:" in lines[n + 1] for n in starts)
    assert not re.search(r"://|--index|--find-links", "\n".join(lines))


def test_parts_agree_with_the_whole() -> None:
    def versions(name: str) -> set[str]:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        return set(re.findall(r"^([a-z0-9-]+==\S+)", text, flags=re.MULTILINE))

    for part in ("edge.txt", "cloud.txt", "spark.txt"):
        assert versions(part) <= versions("dev.txt"), part
    assert "pyspark" not in " ".join(versions("cloud.txt"))
    assert not {"pyarrow", "deltalake", "sqlalchemy"} & {
        v.split("==")[0] for v in versions("edge.txt")
    }


def test_make_and_ci_have_what_the_readme_promises() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", text, flags=re.MULTILINE))
    assert {"demo", "demo-stay", "test", "check", "lock", "setup", "clean"} <= targets
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
