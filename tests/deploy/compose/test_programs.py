"""What containers are started with: command lines that parse, variables that are read."""

import re
import tomllib
from pathlib import Path

import pytest

from cloud.cli import parser_of
from deploy.compose.timer import _parser

ROOT = Path(__file__).resolve().parents[3]
KNOWN = tomllib.loads((Path(__file__).parent / "known_environment.toml").read_text())
ASKED = re.compile(r"\$\{(\w+)(:[^}]*)?\}")


# --- command lines -------------------------------------------------------------------------------


def test_command_lines_are_those_that_the_program_knows(services, calls):
    found = [words for service in services.values() for words in calls(service)]
    assert len(found) > 15
    for words in found:
        args = parser_of(words).parse_args(words)
        assert args.config == Path("/etc/dewline/cloud.toml")


def test_every_process_of_the_clouds_page_has_a_service(started):
    page = (ROOT / "docs" / "cloud.md").read_text(encoding="utf-8")
    listed = page.partition("## What runs")[2].partition("\n## ")[0]
    processes = re.findall(r"^\| `([a-z -]+)` \|", listed, re.MULTILINE)
    # the fold is started each minute, as on a host
    wanted = {process.removesuffix(" --follow") for process in processes}
    assert wanted
    assert wanted <= {call for call, _ in started}


def test_timers_tell_health_by_their_last_good_run(services):
    timed = {n: s for n, s in services.items() if "deploy.compose.timer" in s.get("command", ())}
    units = {
        path.stem.removeprefix("dewline-") for path in (ROOT / "deploy/systemd").glob("*.timer")
    }
    assert set(timed) == units | {"doctor"}
    for name, service in timed.items():
        args = _parser().parse_args(service["command"][3:])
        minutes = re.fullmatch(
            rf"find {args.mark} -mmin -(\d+) \| grep -q \.", service["healthcheck"]["test"][1]
        )
        assert int(minutes[1]) * 60 > 2 * args.period, name
        assert str(args.mark).startswith("/tmp/"), name


@pytest.mark.parametrize("name", ["fold", "compact", "transform", "cycle"])
def test_timers_take_the_locks_that_units_take(services, name):
    unit = (ROOT / "deploy" / "systemd" / f"dewline-{name}.service").read_text()
    line = re.search(r"^ExecStart=\S+flock (.*) \S+dewline-cloud", unit, re.MULTILINE)[1]
    command = services[name]["command"]
    ours = command[command.index("flock") + 1 : command.index("dewline-cloud")]
    assert ours.pop(0) == "--no-fork", "a signal reaches the program"
    assert [word.replace("/srv/lake/", "/var/lib/dewline/") for word in ours] == line.split()
    assert "lake:/srv/lake" in services[name]["volumes"]


# --- environment ---------------------------------------------------------------------------------


@pytest.fixture
def unknown(given_to):
    """`unknown(services)`: `service: variable` of each that its image would not read."""

    def of(services):
        found = []
        for name, service in services.items():
            image = KNOWN[service["image"].partition(":")[0]]
            texts = [(ROOT / path).read_text() for path in image.get("files", ())]
            known = {*image["keys"], *(n for text in texts for n, _ in ASKED.findall(text))}
            found += [f"{name}: {key}" for key in given_to(service) if key not in known]
        return found

    return of


def test_every_variable_is_one_that_its_image_reads(services, unknown):
    assert unknown(services) == []


@pytest.mark.parametrize("name", ["mysql", "logstash", "kibana", "ingest", "elasticsearch"])
def test_an_unknown_variable_is_found_by_its_name(services, name, unknown):
    wrong = {**services[name], "environment": {"MYSQL_PASWORD_FILE": "x", "DEWLINE_LOGSTASH": "x"}}
    assert set(unknown({name: wrong})) >= {
        f"{name}: MYSQL_PASWORD_FILE",
        f"{name}: DEWLINE_LOGSTASH",
    }


@pytest.mark.parametrize("name", ["logstash", "kibana"])
def test_what_files_ask_for_without_a_default_is_given(services, name, given_to):
    texts = [(ROOT / path).read_text() for path in KNOWN[name]["files"]]
    asked = {n for text in texts for n, default in ASKED.findall(text) if not default}
    assert asked
    assert asked <= given_to(services[name]).keys()


def test_secrets_that_are_made_variables_are_mounted(services):
    for name, service in services.items():
        entry = service.get("entrypoint", [])
        if "--" in entry:
            made = [word.partition("=")[2] for word in entry[2 : entry.index("--")]]
            assert set(made) <= set(filter(lambda s: isinstance(s, str), service["secrets"])), name
