"""docs/architecture.md: libraries are imported where it says, and the files it names exist."""

import ast
import re
import tomllib
from pathlib import Path

from cloud.cli import _NEEDS_SPARK

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGES = ("contract", "firmware_bridge", "models", "transport", "edge", "cloud")


def section(title):
    rest = TEXT.partition(f"\n## {title}\n")[2]
    assert rest, title
    return rest.partition("\n## ")[0]


def importers():
    """Files of the packages by what they import from outside, first part of the name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
                found.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    return found


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_libraries_are_imported_where_the_page_says_and_nowhere_else():
    found = importers()
    rows = re.findall(r"^\| (`[\w`, ]+) \| (`[^|]+) \|$", section("Packages"), re.MULTILINE)
    assert len(rows) > 10
    for names, files in rows:
        for name in re.findall(r"`(\w+)`", names):
            assert found[name] == set(re.findall(r"`([\w/.]+)`", files)), name


def test_what_needs_spark_is_named():
    text = " ".join(section("Packages").split()).rpartition("has all commands but")[2]
    assert set(_NEEDS_SPARK) == set(re.findall(r"`(\w+)`", text))


def test_every_package_has_its_row():
    rows = set(re.findall(r"^\| `(\w+)/` \|", section("Packages"), re.MULTILINE))
    assert rows == {*PACKAGES, "deploy"}


def test_every_room_is_packaged_typed_and_has_its_layer():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    tools = project["tool"]
    rooms = {*PACKAGES, "deploy"}
    assert set(tools["hatch"]["build"]["targets"]["wheel"]["packages"]) == rooms
    assert set(tools["mypy"]["files"]) == {*rooms, "bench"}
    assert set(tools["importlinter"]["root_packages"]) == rooms
    layers = tools["importlinter"]["contracts"][0]["layers"]
    assert {room for layer in layers for room in layer.split(" | ")} == rooms


def test_every_file_that_is_named_exists():
    named = re.findall(rf"`((?:docs|deploy|{'|'.join(PACKAGES)})/[\w/.]*)`", TEXT)
    assert len(named) > 50
    for path in named:
        assert (ROOT / path).exists(), path


def test_every_change_has_its_first_file():
    table = section("If you want to change something, start here")
    rows = re.findall(r"^\| (an? .+?|the .+?) \| (.+?) \| .*\|$", table, re.MULTILINE)
    assert len(rows) == 20
    for change, start in rows:
        assert re.search(r"`[a-z_]+/[\w/.]+`", start), change
