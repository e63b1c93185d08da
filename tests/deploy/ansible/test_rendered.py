"""Roles of vendors' packages: what they write is looked at, and what can be started here is.

A master and a worker of Spark start with it, Elasticsearch in a file of its own. Logstash, Kibana
and MySQL 8 are not to be had on a test machine: theirs is rendered only.
"""

import configparser
import getpass
import grp
import json
import os
import shlex
import subprocess
import time
import urllib.request
from pathlib import Path

import pyspark
import pytest
import yaml

from deploy.local.processes import free_ports

ME, MINE = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name


@pytest.mark.spark
def test_a_master_and_a_worker_of_spark_find_each_other(tmp_path, render):
    port, web_port, worker_port = free_ports(3)
    home = Path(pyspark.__file__).parent
    servers = []
    try:
        for role in ("master", "worker"):
            folder = tmp_path / role
            folder.mkdir()
            render(
                "spark",
                folder,
                spark_role=role,
                spark_master_host="127.0.0.1",
                spark_master_port=port,
                spark_cores=1,
                spark_memory="512m",
                spark_home=str(home),
                spark_units_folder=str(folder),
                spark_owner=ME,
            )
            unit = configparser.RawConfigParser(strict=False, delimiters=("=",))
            unit.optionxform = str
            unit.read(folder / "dewline-spark.service")
            command = shlex.split(unit["Service"]["ExecStart"])
            command = [w.replace("/var/lib/dewline/spark", str(folder / "work")) for w in command]
            own_port = web_port if role == "master" else worker_port
            at = len(command) if role == "master" else len(command) - 1
            command[at:at] = ["--webui-port", str(own_port)]
            log = (folder / "log").open("wb")
            environment = {**os.environ, "SPARK_HOME": str(home), "SPARK_DAEMON_MEMORY": "256m"}
            environment |= {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOG_DIR": str(folder)}
            servers.append(
                subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
            )
        wait_until(lambda: alive(web_port) == 1, tmp_path)
    finally:
        for server in servers:
            server.terminate()
            server.wait()


def alive(web_port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{web_port}/json/", timeout=5) as response:
            return json.load(response)["aliveworkers"]
    except OSError:
        return 0


def wait_until(holds, folder):
    deadline_s = time.monotonic() + 60
    while not holds():
        logs = "".join(p.read_text()[-800:] for p in folder.glob("*/log"))
        assert time.monotonic() < deadline_s, logs
        time.sleep(0.2)


def test_logstash_gets_every_variable_that_its_pipelines_ask_for(tmp_path, render):
    for name in ("door.pem", "door.key", "es.pem"):
        (tmp_path / name).write_text(name)
    folder = tmp_path / "logstash"
    folder.mkdir()
    (tmp_path / "data").mkdir()
    render(
        "logstash",
        tmp_path,
        logstash_configuration_folder=str(folder),
        logstash_environment_file=str(tmp_path / "environment"),
        logstash_units_folder=str(tmp_path),
        logstash_data_folder=str(tmp_path / "data"),
        logstash_data_owner=ME,
        logstash_owner=ME,
        logstash_group=MINE,
        logstash_password="of-the-door",
        logstash_elasticsearch_password="of-elasticsearch",
        logstash_certificate=str(tmp_path / "door.pem"),
        logstash_key=str(tmp_path / "door.key"),
        logstash_elasticsearch_ca=str(tmp_path / "es.pem"),
    )
    given = dict(
        line.split("=", 1)
        for line in (tmp_path / "environment").read_text().splitlines()
        if not line.startswith("#")
    )
    pipelines = "".join(p.read_text() for p in (folder / "dewline").glob("*.conf"))
    asked = {
        part.split("}", 1)[0] for part in pipelines.split("${")[1:] if ":" not in part.split("}")[0]
    }
    assert asked
    assert asked <= set(given)
    assert Path(given["DEWLINE_DEAD_LETTER_QUEUE"], "dewline-elasticsearch").is_dir()
    assert Path(given["DEWLINE_DEAD_LETTERS"]).is_dir()
    assert given["DEWLINE_LOGSTASH_PASSWORD"] == "of-the-door"
    assert Path(given["DEWLINE_LOGSTASH_KEY"]).read_text() == "door.key"
    named = yaml.safe_load((folder / "pipelines.yml").read_text())
    files = {Path(p["path.config"]).name for p in named}
    assert files == {p.name for p in (folder / "dewline").glob("*.conf")}
    assert (tmp_path / "environment").stat().st_mode & 0o007 == 0
    unit = (tmp_path / "logstash.service.d" / "dewline.conf").read_text()
    assert "[Service]\nTimeoutStopSec=120\n" in unit  # the vendor's unit waits for ever
    role = Path(__file__).resolve().parents[3] / "deploy" / "ansible" / "roles" / "logstash"
    assert "/logstash.service.d/dewline.conf" in (role / "tasks" / "service.yml").read_text()


def test_kibana_and_mysql_are_rendered(tmp_path, render):
    render(
        "kibana",
        tmp_path,
        kibana_configuration_folder=str(tmp_path),
        kibana_user=ME,
        kibana_group=MINE,
        kibana_port=5602,
    )
    kibana = yaml.safe_load((tmp_path / "kibana.yml").read_text())
    assert kibana["server.port"] == 5602
    assert kibana["elasticsearch.hosts"] == ["http://127.0.0.1:9200"]
    render(
        "mysql",
        tmp_path,
        mysql_configuration_folder=str(tmp_path),
        mysql_owner=ME,
        mysql_password="of-the-warehouse-1",
    )
    mysql = configparser.ConfigParser(allow_no_value=True)
    mysql.read(tmp_path / "zz-dewline.cnf")
    assert mysql["mysqld"]["default-time-zone"] == "+00:00"
    assert "of-the-warehouse" not in (tmp_path / "zz-dewline.cnf").read_text()
