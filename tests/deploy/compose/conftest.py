"""Fixtures for tests of the stack of containers: compose.yml as a value, its secrets as files."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "compose"


@pytest.fixture(scope="session")
def folder():
    return FOLDER


@pytest.fixture(scope="session")
def stack():
    """compose.yml with its merges made, its variables as they stand."""
    return yaml.safe_load((FOLDER / "compose.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def services(stack):
    return stack["services"]


@pytest.fixture(scope="session")
def site(stack_base):
    """A folder in which secrets.sh has run, for a host by the name of cloud.example.org."""
    place = stack_base / "compose-site"
    place.mkdir()
    program = Path(sys.executable).with_name("dewline-cloud")
    subprocess.run(
        ["sh", str(FOLDER / "secrets.sh"), "cloud.example.org", "10.0.0.5"],
        cwd=place,
        env={**os.environ, "DEWLINE_CLOUD": str(program)},
        check=True,
    )
    return place / "site"


@pytest.fixture(scope="session")
def calls():
    """`calls(service)`: command lines of dewline-cloud in its command, or in a shell's text."""

    def of(service):
        command = service.get("command", [])
        if command[:2] == ["sh", "-euc"]:
            command = [word.strip(";") for word in shlex.split(command[2])]
        starts = [at for at, word in enumerate(command) if word == "dewline-cloud"]
        ends = [*starts[1:], len(command)] if starts else []
        return [command[start + 1 : end] for start, end in zip(starts, ends, strict=True)]

    return of


@pytest.fixture(scope="session")
def started(services, calls):
    """Pairs of `noun verb` and service of everything that is started."""
    return [
        (" ".join(words[2:4]), name)
        for name, service in services.items()
        for words in calls(service)
    ]


@pytest.fixture(scope="session")
def given_to():
    """`given_to(service)`: its variables, those that with-secrets.sh makes of secrets too."""

    def of(service):
        entry = service.get("entrypoint", [])
        made = entry[2 : entry.index("--")] if "--" in entry else []
        return {**service.get("environment", {}), **dict(word.split("=") for word in made)}

    return of
