"""Elasticsearch starts with what its role writes, without and with accounts."""

import getpass
import grp
import json
import pwd
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from base64 import b64encode
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import yaml

from cloud.config import Period
from cloud.search.client import SearchClient
from cloud.search.names import IndexNames
from cloud.search.templates import install
from deploy.local.artifacts import elasticsearch_home
from deploy.local.certificates import Certificates
from deploy.local.processes import Launch, PrivateServer, free_ports, hand_over, server_user

NAMES = IndexNames("dewline", Period.DAY)


class Node:
    """Elasticsearch with the role's configuration, and what the role was told."""

    def __init__(self, render, folder, **variables):
        self.render = render
        self.folder = folder
        for name in ("data", "logs", "tmp"):
            (folder / name).mkdir(parents=True)
        self.home = elasticsearch_home()
        self.config = folder / "config"
        shutil.copytree(self.home / "config", self.config)
        (self.config / "jvm.options.d").mkdir(exist_ok=True)
        self.port, transport_port = free_ports(2)
        java = Path(shutil.which("java")).resolve()
        self.environment = {
            "ES_JAVA_HOME": str(java.parent.parent),
            "ES_PATH_CONF": str(self.config),
            "ES_TMPDIR": str(folder / "tmp"),
            "HOME": str(folder),
            # lives for seconds: without the optimising compiler it starts in half the time
            "ES_JAVA_OPTS": "-XX:TieredStopAtLevel=1",
            "CLI_JAVA_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        }
        account = pwd.getpwnam(server_user() or getpass.getuser())
        self.variables = {
            "elasticsearch_configuration_folder": str(self.config),
            "elasticsearch_data_folder": str(folder / "data"),
            "elasticsearch_log_folder": str(folder / "logs"),
            "elasticsearch_home": str(self._programs()),
            "elasticsearch_user": account.pw_name,
            "elasticsearch_group": grp.getgrgid(account.pw_gid).gr_name,
            "elasticsearch_port": self.port,
            "elasticsearch_transport_port": transport_port,
            "elasticsearch_heap_mib": 512,
            **variables,
        }

    def _programs(self):
        """The zip's have lost the right to be run, which the package's have."""
        folder = self.folder / "home" / "bin"
        folder.mkdir(parents=True)
        path = folder / "elasticsearch-users"
        real = self.home / "bin" / path.name
        exports = "".join(f'export {n}="{v}"\n' for n, v in self.environment.items())
        path.write_text(f'#!/bin/sh\n{exports}exec bash "{real}" "$@"\n')
        path.chmod(0o755)
        return folder.parent

    def run(self, tasks):
        return self.render("elasticsearch", self.folder, tasks, **self.variables)

    @contextmanager
    def running(self, answers):
        hand_over(self.folder)
        server = PrivateServer(
            Launch(
                name="elasticsearch",
                command=(shutil.which("bash"), str(self.home / "bin" / "elasticsearch")),
                folder=self.folder,
                logs=(self.folder / "logs" / "dewline.log",),
                answers=answers,
                environment=self.environment,
                ready_limit_s=120,
            ),
            self.port,
        )
        server.spawn()
        try:
            server.wait_ready()
            yield
        finally:
            server.stop()


@pytest.mark.services
def test_elasticsearch_starts_with_what_is_rendered(stack_base, render):
    node = Node(render, stack_base / "rendered-elasticsearch")
    node.run("configure")
    url = f"http://127.0.0.1:{node.port}"
    with (
        node.running(lambda: answers(f"{url}/_cluster/health")),
        urllib.request.urlopen(f"{url}/_nodes/jvm", timeout=30) as response,
    ):
        (found,) = json.load(response)["nodes"].values()
    assert found["name"] == "localhost"
    assert found["jvm"]["mem"]["heap_max_in_bytes"] == 512 * 2**20


ACCOUNTS = [
    {"name": "dewline", "password": "of-the-programs-1", "roles": ["dewline"]},
    {"name": "logstash", "password": "of-the-pipeline-1", "roles": ["dewline_logstash"]},
    {"name": "anna", "password": "of-a-person-1", "roles": ["dewline_reader", "kibana_admin"]},
]


@pytest.mark.services
def test_a_secured_elasticsearch_lets_each_account_do_its_work_alone(stack_base, render):
    folder = stack_base / "secured-elasticsearch"
    folder.mkdir()
    files = Certificates(folder).server("search")
    node = Node(
        render,
        folder / "node",
        elasticsearch_security=True,
        elasticsearch_authority=str(files.ca),
        elasticsearch_certificate=str(files.certificate),
        elasticsearch_key=str(files.key),
        elasticsearch_accounts=ACCOUNTS,
    )
    node.run("configure")
    context = ssl.create_default_context(cafile=files.ca)
    ask = partial(status, f"https://localhost:{node.port}", context)
    with node.running(lambda: ask("/", None) is not None):
        assert ask("/_cluster/health", None) == 401
        assert "changed=2" in node.run("accounts")  # accounts, and who may read them
        dewline, logstash, anna = ((a["name"], a["password"]) for a in ACCOUNTS)
        search = SearchClient(
            f"https://localhost:{node.port}", account=dewline, ca_file=str(files.ca)
        )
        install(search, NAMES)
        search.ensure_index("dewline-one")
        rights = {
            who[0]: [
                ask("/_cluster/health", who),
                ask("/dewline-one/_search", who),
                ask("/dewline-one/_create/1", who, {"by": who[0]}),
                ask("/dewline-one/_doc/of-dewline", who, {"by": who[0]}),
                ask("/elsewhere/_doc/1", who, {"by": who[0]}),
                ask("/dewline-missing/_create/1", who, {"by": who[0]}),
            ]
            for who in (dewline, logstash, anna)
        }
        assert rights == {
            "dewline": [200, 200, 201, 201, 403, 404],
            "logstash": [200, 403, 409, 403, 403, 404],  # 403 at the end without auto_configure
            "anna": [403, 200, 403, 403, 403, 403],
        }
        node.variables["elasticsearch_accounts"] = [{**ACCOUNTS[0], "password": "another-one-1"}]
        node.run("configure")  # the others have no role any more
        assert "changed=1" in node.run("accounts")
        wait_until(lambda: ask("/_cluster/health", dewline) == 401)
        wait_until(lambda: ask("/dewline-one/_search", anna) == 403)
        assert ask("/dewline-one/_search", ("dewline", "another-one-1")) == 200


def test_rights_are_the_same_as_in_containers():
    root = Path(__file__).resolve().parents[3] / "deploy"
    template = root / "ansible" / "roles" / "elasticsearch" / "templates" / "roles.yml.j2"
    text = template.read_text().replace("{{ elasticsearch_search_prefix }}", "dewline")
    script = (root / "compose" / "programs" / "accounts.sh").read_text()
    found = re.findall(r"put role/(\w+) << END\n(.*?)\nEND", script, re.DOTALL)
    of_containers = {name: json.loads(body.replace("$prefix", "dewline")) for name, body in found}
    assert len(of_containers) == 3
    assert yaml.safe_load(text.replace("{{ ansible_managed }}", "")) == of_containers


def status(url, context, path, account, document=None):
    """The status of an answer; None: nobody answers."""
    request = urllib.request.Request(url + path)
    if account is not None:
        request.add_header(
            "Authorization", f"Basic {b64encode(':'.join(account).encode()).decode()}"
        )
    if document is not None:
        request.add_header("Content-Type", "application/json")
        request.method, request.data = "PUT", json.dumps(document).encode()
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


def wait_until(holds):
    deadline_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.5)
