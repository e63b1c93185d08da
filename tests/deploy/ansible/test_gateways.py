"""Waves of gateways: who cannot be reached is counted, and an unhealthy wave stops the rest.

The playbook is the real one; the role stands in for a role that takes minutes, and the cloud for
one that says what a test wants.
"""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from deploy.local.processes import free_ports

ANSIBLE = Path(__file__).resolve().parents[3] / "deploy" / "ansible"
TOKEN = "t" * 32
ROLE = """\
- name: Leave a trace
  ansible.builtin.copy:
    content: was here
    dest: "{{ trace_folder }}/{{ inventory_hostname }}"
    mode: "0644"
"""


class Cloud:
    """Answers as the API does; `sick` are unhealthy."""

    def __init__(self, sick=()):
        self.asked = []
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    self.send_error(401)
                    return
                query = parse_qs(urlsplit(self.path).query)
                devices = query["devices"][0].split(",")
                cloud.asked.append((devices, query["since"][0]))
                rows = [
                    {"device_id": d, "verdict": "unhealthy" if d in sick else "healthy"}
                    for d in devices
                ]
                body = json.dumps({"devices": rows}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def run(tmp_path):
    clouds = []
    tasks = tmp_path / "roles" / "dewline_gateway" / "tasks"
    tasks.mkdir(parents=True)
    (tasks / "main.yml").write_text(ROLE)
    (tmp_path / "traces").mkdir()
    (closed_port,) = free_ports(1)

    def run(gateways, *, away=(), sick=(), token=TOKEN):
        cloud = Cloud(sick)
        clouds.append(cloud)
        hosts = {g: {"ansible_connection": "local"} for g in gateways}
        hosts |= {g: {"ansible_host": "127.0.0.1", "ansible_port": closed_port} for g in away}
        variables = {
            "ansible_python_interpreter": sys.executable,
            "ansible_become": False,
            "trace_folder": str(tmp_path / "traces"),
            "dewline_health_url": cloud.url,
            "gateways_knock_s": 1,
            "dewline_health_token": token,
            "gateways_soak_retries": 1 if token == TOKEN else 1000,
            "gateways_soak_delay_s": 0,
        }
        inventory = tmp_path / "inventory.json"
        groups = {"gateways": {"hosts": hosts}}
        inventory.write_text(json.dumps({"all": {"vars": variables, "children": groups}}))
        # `become: true` of the play is stronger than the inventory; nobody becomes anybody here
        playbook = tmp_path / "gateways.yml"
        text = (ANSIBLE / "gateways.yml").read_text()
        assert "  become: true\n" in text
        playbook.write_text(text.replace("  become: true\n", "  become: false\n"))
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg")}
        environment["ANSIBLE_ROLES_PATH"] = str(tmp_path / "roles")
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        done = subprocess.run(
            [program, "-i", str(inventory), str(playbook)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        traces = {p.name for p in (tmp_path / "traces").iterdir()}
        return done, traces, cloud.asked

    yield run
    for cloud in clouds:
        cloud.server.shutdown()
        cloud.server.server_close()


def test_waves_reach_everybody_and_the_cloud_is_asked_about_each_wave(run):
    names = [f"gw-{n}" for n in range(1, 6)]
    done, traces, asked = run(names)
    assert done.returncode == 0, done.stdout + done.stderr
    assert traces == set(names)
    waves = [devices for devices, _ in asked]
    assert waves[0] == ["gw-1"]
    assert sorted(d for wave in waves for d in wave) == names
    assert "5 updated, 0 deferred: none" in done.stdout


def test_an_unhealthy_canary_stops_the_run(run):
    done, traces, asked = run(["gw-1", "gw-2", "gw-3"], sick=["gw-1"])
    assert done.returncode != 0
    assert traces == {"gw-1"}
    assert {tuple(devices) for devices, _ in asked} == {("gw-1",)}


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_token_that_the_cloud_refuses_stops_the_run_at_once(run, token):
    done, traces, asked = run(["gw-1", "gw-2"], token=token)
    assert done.returncode != 0
    assert (traces, asked) == ({"gw-1"}, [])
    assert "401" in done.stdout


def test_a_gateway_that_turns_sick_later_stops_what_comes_after(run):
    names = [f"gw-{n}" for n in range(1, 10)]
    done, traces, _ = run(names, sick=["gw-2"])
    assert done.returncode != 0
    assert {"gw-1", "gw-2"} <= traces
    assert "gw-9" not in traces, done.stdout


def test_who_cannot_be_reached_is_counted_and_not_fatal(run):
    done, traces, asked = run(["gw-2", "gw-3"], away=["gw-1"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert traces == {"gw-2", "gw-3"}
    assert all("gw-1" not in devices for devices, _ in asked)
    assert "2 updated, 1 deferred: gw-1" in done.stdout
