"""What a role refuses before it changes anything, by its own task and with what it says."""

import json
from pathlib import Path

import yaml

ROLES = Path(__file__).resolve().parents[3] / "deploy" / "ansible" / "roles"
DATABASE = "dewline_database_server"
SERVER = {"role": "mariadb", "database": "d", "user": "u", "client_host": "127.0.0.1"}
NAMES = "Check names and password for characters that SQL allows"
SAYS = "Check that only a local address is used without TLS"
JARS = "Check that Spark has jars"
KEY = "Check that gateways trust this signing key"
ACCOUNTS = "Check accounts for allowed characters"
PASSWORDS = "Check passwords for allowed characters"
BUSES = "Check that the I2C buses of the sensors exist"


def task_of(role, file, name):
    tasks = yaml.safe_load((ROLES / role / "tasks" / file).read_text(encoding="utf-8"))
    (task,) = (task for task in tasks if task["name"] == name)
    return {k: v for k, v in task.items() if k != "no_log"}


def answers(playbook, folder, cases):
    """For each (role, file, task, variables) what the task said, or None where it let pass."""
    tasks = []
    for n, (role, file, name, variables) in enumerate(cases):
        task = {**task_of(role, file, name), "vars": variables}
        tasks += [{**task, "register": f"case_{n}", "ignore_errors": True}]
    content = "{{ [" + ", ".join(f"case_{n}" for n in range(len(cases))) + "] | to_json }}"
    copy = {"content": content, "dest": str(folder / "answers.json"), "mode": "0600"}
    tasks += [{"ansible.builtin.copy": copy}]
    play = [{"hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": tasks}]
    (folder / "play.yml").write_text(json.dumps(play))
    done = playbook(folder / "play.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    return [said(answer) for answer in json.loads((folder / "answers.json").read_text())]


def accounts(**changed):
    good = {"user": "u", "password": "x" * 12}
    given = good | {f"elasticsearch_{name}": value for name, value in good.items()} | changed
    return {f"logstash_{name}": value for name, value in given.items()}


def said(answer):
    if not answer.get("failed"):
        return None
    messages = [row["msg"] for row in answer.get("results", []) if row.get("failed")]
    return messages[0] if messages else answer["msg"]


def test_each_is_told_in_words_and_nothing_else_is_refused(playbook, tmp_path):
    (tmp_path / "models.pem").write_text("the key\n")
    key = {"dewline_cloud_public_key": str(tmp_path / "models.pem")}
    here, gone = ({"results": [{"item": 1, "stat": {"exists": x}}]} for x in (True, False))
    vault = ROLES.parent / "inventory" / "example" / "group_vars" / "all" / "vault.yml"
    example = yaml.safe_load(vault.read_text())["vault_warehouse_password"]
    kibana = ("kibana", "preflight.yml", SAYS)
    jars = ("dewline_cloud", "preflight.yml", JARS)
    public = ("dewline_cloud", "configure.yml", KEY)
    buses = ("dewline_gateway", "preflight.yml", BUSES)
    names = ("dewline_database", "preflight.yml", NAMES)
    cases = [
        (*kibana, {"kibana_address": "0.0.0.0", "kibana_certificate": ""}),
        (*kibana, {"kibana_address": "127.0.0.1", "kibana_certificate": ""}),
        (*kibana, {"kibana_address": "::", "kibana_certificate": "c.pem"}),
        (*jars, {"dewline_cloud_spark": True, "dewline_cloud_jars": []}),
        (*jars, {"dewline_cloud_spark": True, "dewline_cloud_jars": ["a.jar"]}),
        (*public, {**key, "dewline_cloud_signing_key": {"stdout": "another"}}),
        (*public, {**key, "dewline_cloud_signing_key": {"stdout": "the key"}}),
        (*buses, {"dewline_gateway_bus": gone}),
        (*buses, {"dewline_gateway_bus": here}),
        (*names, {DATABASE: {**SERVER, "password": example}}),
        (*names, {DATABASE: {**SERVER, "password": "x" * 12}}),
        *(("logstash", "preflight.yml", ACCOUNTS, accounts(user=u)) for u in ("a${HOME}", "a")),
        ("logstash", "preflight.yml", ACCOUNTS, accounts(elasticsearch_user="${USER}")),
        *(
            ("logstash", "preflight.yml", PASSWORDS, accounts(password=p))
            for p in ("aaaaaaaa${HOME}", "x" * 12)
        ),
        ("logstash", "preflight.yml", PASSWORDS, accounts(elasticsearch_password="${HOMEHOME}")),
    ]
    found = answers(playbook, tmp_path, cases)
    assert [answer is None for answer in found] == [
        *(False, True, True),
        *(False, True),
        *(False, True),
        *(False, True),
        *(False, True),
        *(False, True, False),
        *(False, True, False),
    ]
    told = " | ".join(filter(None, found))
    for words in (
        "kibana_address 0.0.0.0 is not a loopback address; set kibana_certificate",
        "needs dewline_cloud_jars",
        "does not belong to /var/lib/dewline/signing.pem",
        "localhost has no /dev/i2c-1. Enable I2C",
        "mariadb_password must have 12 to 128 characters",
        "logstash_user and logstash_elasticsearch_user must have 1 to 64 characters",
        "logstash_password and logstash_elasticsearch_password must have 12 to 72 characters",
    ):
        assert words in told
