"""The image's recipe as far as it can be judged without an engine."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from deploy.packages.wheels import Target

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## With compose\n")[2].partition("\n## ")[0]


@pytest.fixture(scope="session")
def recipe(folder):
    """Instructions with their lines joined, comments away."""
    text = re.sub(r"^\s*#.*\n", "", (folder / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", "").splitlines() if line]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def all_of(recipe, instruction):
    return [rest for name, rest in recipe if name == instruction]


def sources(recipe):
    """Paths of the build's folder that go into the image."""
    mounted = re.findall(r"--mount=type=bind,source=([^,\s]+)", " ".join(all_of(recipe, "RUN")))
    return [*mounted, *(rest.split()[0] for rest in all_of(recipe, "COPY"))]


def test_it_begins_with_the_base_that_compose_hands_in(recipe, services):
    assert recipe[0] == ("ARG", "DEWLINE_DEBIAN=debian:12-slim")
    assert recipe[1] == ("FROM", "${DEWLINE_DEBIAN}")
    assert services["folders"]["build"]["args"] == {
        "DEWLINE_DEBIAN": "${DEWLINE_DEBIAN:-debian:12-slim}"
    }


def test_what_it_takes_is_made_by_the_pages_commands_and_reaches_the_build(recipe, folder):
    found = sources(recipe)
    assert sorted(found) == ["site/image/debian.tar", "site/image/jars/", "site/image/spark.tar"]
    for path in found:
        assert f"deploy/compose/{path}" in SECTION
    assert (folder / ".dockerignore").read_text() == "*\n!site/image\n"


def test_the_packages_that_it_installs_are_in_the_archive(recipe):
    (install,) = re.findall(r"--no-install-recommends ([^;]+);", " ".join(all_of(recipe, "RUN")))
    (made,) = re.findall(r"deploy\.packages debian (.+) --out", SECTION)
    assert install.split() == made.split()
    assert "deploy.packages wheels spark --out" in SECTION


def test_its_steps_are_shell_that_stops_at_a_fault(recipe):
    for step in all_of(recipe, "RUN"):
        script = re.sub(r"--mount=\S+\s*", "", step)
        subprocess.run(["sh", "-n", "-c", script], check=True)
        assert script.startswith("set -eu;") or ";" not in script
        assert not re.search(r"curl|wget|https?://", script), "nothing is fetched"


def test_its_account_is_the_one_that_services_name_and_folders_belong_to(recipe, services, folder):
    steps = " ".join(all_of(recipe, "RUN"))
    uid, gid = re.search(r"--uid (\d+) --gid (\d+)", steps).groups()
    own = {s["user"] for n, s in services.items() if s["image"].startswith("dewline:")}
    assert own == {f"{uid}:{gid}", "0:0"}
    assert f"\nown {uid} /srv/lake " in (folder / "programs" / "folders.sh").read_text()
    assert all_of(recipe, "USER") == ["dewline"]


def test_spark_lies_where_its_variable_says(recipe):
    (environment,) = all_of(recipe, "ENV")
    variables = dict(word.split("=", 1) for word in shlex.split(environment))
    home = f"/opt/dewline/current/lib/python{Target().python}/site-packages/pyspark"
    assert variables["SPARK_HOME"] == home
    assert variables["PATH"].split(":")[0] == "/opt/dewline/current/bin"
    assert (ROOT / "requirements" / "spark.txt").is_file()


def test_the_page_says_how_much_memory_the_limits_allow(services):
    units = {"m": 2**20, "g": 2**30}
    total = 0
    for service in services.values():
        if service["restart"] != "no":
            memory = service["deploy"]["resources"]["limits"]["memory"]
            copies = service["deploy"].get("replicas", 1)
            total += copies * int(memory[:-1]) * units[memory[-1]]
    assert f"add up to {total / 2**30:.1f} GiB" in SECTION


def test_secrets_go_neither_into_commits_nor_into_the_wheel():
    """What builds the wheel reads the root's .gitignore alone."""
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/deploy/compose/site/", "/deploy/compose/.env"} <= set(ignored)
