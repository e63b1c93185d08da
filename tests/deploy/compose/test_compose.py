"""compose.yml without an engine: the specification's schema, and what our own rules ask of it."""

import copy
import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from deploy.local.artifacts import pinned

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads(
    (files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text("utf-8")
)
PUBLISHED = {
    "mosquitto": ["${DEWLINE_BROKER_PORT:-8883}:8883"],
    "api": ["${DEWLINE_API_PORT:-8443}:8443"],
}
ROOTS = {"folders"}  # new volumes belong to root: somebody has to give them away


def faults(stack):
    """What the schema says, the place first."""
    validator = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(stack)]


def names_of(entries):
    """The names that a list of secrets or configs takes, short form or long."""
    return [entry if isinstance(entry, str) else entry["source"] for entry in entries]


def each(services):
    """Pairs of name and service; a fault then names its service."""
    assert len(services) > 20
    return services.items()


# --- the schema ----------------------------------------------------------------------------------


def test_the_file_is_of_the_specification(stack):
    assert faults(stack) == []


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("services", "api", "mem_limits"), "1g", "mem_limits"),
        (("services", "api", "restart"), 5, "restart"),
        (("services", "api", "depends_on", "migrate", "condition"), "up", "condition"),
        (("services", "api", "deploy", "resources", "limits", "memry"), "1g", "memry"),
        (("volumes", "lake", "drivr"), "local", "drivr"),  # codespell:ignore drivr
    ],
)
def test_the_schema_finds_what_is_wrong(stack, path, value, said):
    wrong = copy.deepcopy(stack)
    place = wrong
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    assert [fault for fault in faults(wrong) if said in fault]


# --- every service -------------------------------------------------------------------------------


def test_each_is_watched_or_says_why_not(services):
    for name, service in each(services):
        reason = service.get("x-no-healthcheck", "")
        assert ("healthcheck" in service) != bool(reason), name
        if "healthcheck" in service:
            check = service["healthcheck"]
            assert check["test"][0] in ("CMD", "CMD-SHELL"), name
            assert {"interval", "timeout", "retries"} <= check.keys(), name


def test_each_has_its_limits(services):
    for name, service in each(services):
        limits = service["deploy"]["resources"]["limits"]
        assert limits.keys() == {"cpus", "memory", "pids"}, name
        assert 0 < float(limits["cpus"]) <= 2, name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name


def test_each_starts_again_or_ends_for_good(services):
    for name, service in each(services):
        once = service["restart"] == "no"
        assert once or service["restart"] == "unless-stopped", name
        assert once == ("the service ends" in service.get("x-no-healthcheck", "")), name


def test_none_may_do_more_than_it_must(services):
    for name, service in each(services):
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.keys() & {"privileged", "devices", "pid", "ipc", "network_mode"}, name
        assert ("cap_add" in service) == (name in ROOTS), name
        uid = service["user"].partition(":")[0]
        assert (uid == "0") == (name in ROOTS), name
        assert bool(service.get("read_only")) != bool(service.get("x-writable")), name


def test_only_what_gateways_call_is_published(services, stack):
    published = {name: s["ports"] for name, s in services.items() if "ports" in s}
    assert published == PUBLISHED
    outside = {name for name, s in services.items() if "outside" in s["networks"]}
    assert outside == set(PUBLISHED)
    closed = {name for name, net in stack["networks"].items() if net.get("internal")}
    assert closed == set(stack["networks"]) - {"outside"}


# --- images --------------------------------------------------------------------------------------


def test_images_are_pinned_and_of_the_versions_that_tests_use(services):
    images = {service["image"] for service in services.values()}
    tags = dict(image.split(":", 1) for image in images)
    (elastic,) = [a.version for a in pinned() if a.file_name.endswith(".zip")]
    own = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert tags.pop("dewline") == f"${{DEWLINE_TAG:-{own}}}"
    assert {tags.pop(name) for name in ("elasticsearch", "kibana", "logstash")} == {elastic}
    assert re.fullmatch(r"8\.4\.\d+", tags.pop("mysql"))
    assert re.fullmatch(r"2\.0\.\d+", tags.pop("eclipse-mosquitto"))
    assert tags == {}


def test_the_image_is_built_by_one_and_taken_as_it_is_by_the_others(services):
    own = {name: s for name, s in services.items() if s["image"].startswith("dewline:")}
    assert {name for name, s in services.items() if "build" in s} == {"folders"}
    for name, service in own.items():
        assert service["pull_policy"] == ("build" if name == "folders" else "never"), name


# --- everything that is named is there -----------------------------------------------------------


def test_secrets_and_configs_are_declared_and_used(stack, services):
    for kind in ("secrets", "configs"):
        used = [n for s in services.values() for n in names_of(s.get(kind, ()))]
        assert set(used) == set(stack[kind]), kind


def test_files_of_configs_are_committed(stack, folder):
    for name, config in stack["configs"].items():
        path = re.sub(r"\$\{\w+:-(.*)\}", r"\1", config["file"])
        assert (folder / path).is_file(), name


def test_files_of_secrets_are_made(stack, site):
    declared = {config["file"].removeprefix("./site/") for config in stack["secrets"].values()}
    made = {str(path.relative_to(site)) for path in (site / "secrets").iterdir()}
    assert declared == made


def test_volumes_and_networks_are_declared_and_used(stack, services):
    mounts = [volume for s in services.values() for volume in s.get("volumes", ())]
    assert {mount.split(":")[0] for mount in mounts} == set(stack["volumes"])
    networks = [network for s in services.values() for network in s["networks"]]
    assert set(networks) == set(stack["networks"])


def test_a_volume_lies_at_one_path(services):
    places = {tuple(v.split(":")[:2]) for s in services.values() for v in s.get("volumes", ())}
    assert len(places) == len({volume for volume, _ in places})


def test_what_is_waited_for_can_come(services):
    for name, service in each(services):
        for other, how in service.get("depends_on", {}).items():
            wanted = {
                "service_healthy": "healthcheck" in services[other],
                "service_completed_successfully": services[other]["restart"] == "no",
            }
            assert wanted[how["condition"]], f"{name} waits for {other}"


def test_nobody_waits_in_a_circle(services):
    left = {name: set(s.get("depends_on", {})) for name, s in services.items()}
    while left:
        ready = {name for name, waits in left.items() if not waits & left.keys()}
        assert ready, sorted(left)
        left = {name: waits for name, waits in left.items() if name not in ready}


def test_who_mounts_a_volume_waits_for_its_owner_to_be_set(services):
    given = {v.split(":")[0] for v in services["folders"]["volumes"]}
    for name, service in each(services):
        mine = {v.split(":")[0] for v in service.get("volumes", ())} & given
        if mine and name != "folders":
            assert "folders" in before(services, name), name


def before(services, name):
    """All that must have come before a service."""
    direct = set(services[name].get("depends_on", {}))
    return direct.union(*(before(services, other) for other in direct))


# --- variables of .env ---------------------------------------------------------------------------


def test_variables_are_those_of_the_example_with_its_defaults(folder):
    text = (folder / "compose.yml").read_text()
    asked = dict(re.findall(r"(?<!\$)\$\{(\w+):-([^}]*)\}", text))
    assert len(re.findall(r"(?<!\$)\$\{?\w", text)) == len(
        re.findall(r"(?<!\$)\$\{\w+:-[^}]*\}", text)
    ), "each has a default"
    lines = (folder / ".env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert asked == given
