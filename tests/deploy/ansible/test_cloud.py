"""What role dewline_cloud writes is a configuration that the programs take."""

import json
import re
from pathlib import Path

import pytest
import yaml

from cloud.config import Writer, load_config

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "deploy" / "ansible" / "roles" / "dewline_cloud"
EXAMPLE = ROOT / "deploy" / "ansible" / "inventory" / "example" / "group_vars" / "all"
CLOUD = "cloud.example.org"  # the example's, whose name has dots
PLAY = f"""\
- hosts: all
  gather_facts: false
  connection: local
  vars_files:
    - {ROLE}/defaults/main.yml
    - {ROLE}/vars/main.yml
  tasks:
    - ansible.builtin.template:
        src: {ROLE}/templates/cloud.toml.j2
        dest: "{{{{ folder }}}}/cloud.toml"
        mode: "0600"
    - ansible.builtin.copy:
        content: "{{{{ dewline_cloud_passwords | map(attribute='name') }}}}"
        dest: "{{{{ folder }}}}/passwords"
        mode: "0600"
    - ansible.builtin.copy:
        content: "{{{{ dewline_cloud_units }}}}"
        dest: "{{{{ folder }}}}/units"
        mode: "0600"
"""


def of_docs():
    """The variables that docs/operations.md shows for Logstash and Kibana."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(elasticsearch_accounts:.*?)```", text, re.DOTALL)
    return yaml.safe_load(block)


def rendered(playbook, folder, variables):
    play = folder / "play.yml"
    play.write_text(PLAY)
    example = yaml.safe_load((EXAMPLE / "main.yml").read_text(encoding="utf-8"))
    vault = {name: f"{name}-1" for name in re.findall(r"\bvault_\w+", json.dumps(variables))}
    vault |= yaml.safe_load((EXAMPLE / "vault.yml").read_text(encoding="utf-8"))
    given = {**example, **vault, **variables, "folder": str(folder), "inventory_dir": "/site"}
    done = playbook(play, f"{CLOUD},", **given)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (folder / "cloud.toml").read_text().replace("/etc/dewline", str(folder))
    (folder / "cloud.toml").write_text(text)
    for name in re.findall(r'_file = "(.*\.password)"', text):
        Path(name).write_text("a password")
    lists = {name: yaml.safe_load((folder / name).read_text()) for name in ("passwords", "units")}
    return load_config(folder / "cloud.toml"), lists


@pytest.mark.parametrize("name", ["example", "docs", "bare"])
def test_the_programs_take_it(playbook, tmp_path, name):
    variables = {
        "example": {},
        "docs": of_docs(),
        "bare": {
            "dewline_cloud_search": {},
            "dewline_cloud_search_password": "",
            "dewline_cloud_api_token": "",
            "dewline_cloud_api": {"anonymous_bundles": True},
        },
    }[name]
    config, lists = rendered(playbook, tmp_path, variables)
    assert config.ingest.tls is not None
    assert config.ingest.node == "cloud-example-org"
    assert ("dewline-search.service" in lists["units"]) is (name != "bare")
    assert config.api.devices == (f"{tmp_path}/tls/ca.pem", f"{tmp_path}/tls/crl.pem")
    assert config.api.services == (
        f"{tmp_path}/tls/services.pem",
        f"{tmp_path}/tls/services-crl.pem",
    )
    assert config.api.anonymous_bundles is (name == "bare")
    if name == "bare":
        assert config.api.token_file is None
        assert (config.search, config.kibana) == (None, None)
        assert lists["passwords"] == ["warehouse"]
        return
    assert config.search.ca_file == f"{tmp_path}/tls/search-ca.pem"
    assert config.search.username == "dewline"
    if name == "example":
        assert lists["passwords"] == ["warehouse", "search", "api-token"]
        assert (config.search.writer, config.kibana) == (Writer.BULK, None)
        return
    assert lists["passwords"] == ["warehouse", "search", "logstash", "kibana", "api-token"]
    assert config.search.writer is Writer.LOGSTASH
    assert config.search.logstash_api_url == "http://127.0.0.1:9600"
    assert config.search.logstash_ca_file == config.search.ca_file
    assert (config.kibana.url, config.kibana.username) == ("http://127.0.0.1:5601", "anna")
    assert config.kibana.ca_file is None


def test_a_password_file_is_one_that_the_role_writes(playbook, tmp_path):
    config, lists = rendered(playbook, tmp_path, of_docs())
    named = {
        section.password_file for section in (config.warehouse, config.search, config.kibana)
    } | {config.search.logstash_password_file, config.api.token_file}
    assert named == {f"{tmp_path}/{name}.password" for name in lists["passwords"]}


def test_docs_name_nothing_that_no_role_knows():
    specs = (path.read_text() for path in ROLE.parent.glob("*/meta/argument_specs.yml"))
    parts = (part for spec in specs for part in yaml.safe_load(spec)["argument_specs"].values())
    known = {name for part in parts for name in part["options"]}
    assert set(of_docs()) <= known


def test_accounts_in_docs_have_names_that_elasticsearch_gives_away():
    path = ROLE.parent / "elasticsearch" / "vars" / "main.yml"
    reserved = yaml.safe_load(path.read_text())["elasticsearch_reserved"]
    docs = of_docs()
    names = {account["name"] for account in docs["elasticsearch_accounts"]}
    assert names.isdisjoint(reserved)
    used = ("kibana_elasticsearch_username", "logstash_elasticsearch_user")
    assert {docs[name] for name in used} <= names
    assert docs["dewline_cloud_search"]["username"] in names
    assert docs["dewline_cloud_kibana"]["username"] in names
