"""docs/operations.md configures the broker as the tests do; both pages know each exit code."""

import ast
import re
from pathlib import Path

import pytest

from cloud.warehouse.model_tables import CANDIDATES, DECISIONS, DESIRED, MODEL_ALIASES, MODELS
from deploy.mosquitto.render import Settings, render

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
COMMANDS = {
    "docs/cloud.md": [ROOT / "cloud/cli.py", *sorted((ROOT / "cloud/commands").glob("*.py"))],
    "docs/edge.md": [ROOT / "edge/cli.py"],
}


def test_the_brokers_files_are_those_that_the_tests_use():
    """And Ansible's: the templates are the same."""
    places = {"certificates_folder": "/etc/mosquitto/certificates", "folder": "/etc/mosquitto"}
    places |= {"data_folder": "/var/lib/mosquitto"}
    rendered = render(Settings(**places, devices_port=8883, services_port=8884))
    assert f"\n```\n{rendered.mosquitto_conf}```\n" in TEXT
    for name, text in (("devices", rendered.acl_devices), ("services", rendered.acl_services)):
        template = f"deploy/mosquitto/acl-{name}.j2"
        assert f"(../{template})" in TEXT
        assert (ROOT / template).read_text(encoding="utf-8") == text, "the page says: no variables"
    by_password = render(Settings(**places, passwords_port=1883)).mosquitto_conf
    listener = by_password[by_password.index("# Passwords") :]
    assert f"\n```\n{listener}```\n" in TEXT


@pytest.mark.parametrize("page", COMMANDS)
def test_every_exit_code_is_on_its_page(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    table = re.search(r"^\| exit code \|.*\n(?:\|.*\n)+", text, re.MULTILINE)[0]
    rows = {int(code) for code in re.findall(r"^\| (\d+) \| .{4,} \|$", table, re.MULTILINE)}
    assert rows == set().union(*map(exit_codes, COMMANDS[page]))


def test_every_table_that_no_lake_has_is_backed_up():
    """Those are the tables that only the cloud's own decisions fill."""
    dumped = re.search(r"mysqldump --no-create-info dewline ([a-z_ ]+) >", TEXT)[1].split()
    own = (MODELS, MODEL_ALIASES, DECISIONS, CANDIDATES, DESIRED)
    assert dumped == [table.name for table in own]


def test_every_process_of_the_clouds_page_is_started():
    page = (ROOT / "docs" / "cloud.md").read_text(encoding="utf-8")
    listed = page.partition("## What runs")[2].partition("\n## ")[0]
    for name in re.findall(r"^\| `([a-z -]+)` \|", listed, re.MULTILINE):
        assert f"dewline-cloud --config cloud.toml {name}" in TEXT, name


def exit_codes(path):
    """The whole numbers that the functions of a command's module return."""
    returned = [
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Return)
    ]
    returned += [part for n in returned if isinstance(n, ast.IfExp) for part in (n.body, n.orelse)]
    return {
        node.value
        for node in returned
        if isinstance(node, ast.Constant) and type(node.value) is int
    }
