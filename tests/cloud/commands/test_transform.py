"""`dewline-cloud transform` as a process of its own: it starts and stops its Spark session."""

import json
import subprocess
import sys

import pytest
from sqlalchemy import make_url

from cloud.lake.cursors import RAW_CURSOR, CursorStore
from cloud.lake.raw import RawTable
from cloud.lake.store import FolderStore
from contract.errors import ConfigError
from deploy.local.artifacts import spark_jars

pytestmark = [pytest.mark.spark, pytest.mark.services]

CONFIG = """\
[lake]
root = "{folder}/lake"
period = "month"

[warehouse]
port = {url.port}
user = "{url.username}"
password_file = "{folder}/password"
database = "{url.database}"

[spark]
jars = {jars}
"""


@pytest.fixture
def command(database, tmp_path):
    """`command("run")`: what a verb prints with --json, one document a line."""
    try:
        jars = json.dumps([str(jar) for jar in spark_jars()])
    except ConfigError as error:
        pytest.skip(str(error))
    url = make_url(database.url)
    (tmp_path / "lake").mkdir()
    (tmp_path / "password").write_text(url.password)
    (tmp_path / "cloud.toml").write_text(CONFIG.format(folder=tmp_path, url=url, jars=jars))

    def call(*words):
        words = ("--config", str(tmp_path / "cloud.toml"), "transform", *words, "--json")
        done = subprocess.run(
            [sys.executable, "-m", "cloud.cli", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return call


@pytest.mark.usefixtures("warehouse")
def test_run_until_empty_then_show(command, gateway, tmp_path):
    file = gateway.file(gateway.readings("a", 1, 9), gateway.start("b"))
    RawTable(tmp_path / "lake" / "raw").append([file])
    folded = CursorStore(FolderStore(tmp_path / "lake"), RAW_CURSOR)
    folded.save(folded.load().after([file.position]))

    (run,) = command("run", "--until-empty")
    assert run["rows"] == {"reading": 9, "status": 1}
    assert list(run["seconds"]) == [
        *("decode", "marks", "warehouse", "tables", "summaries", "cursor")
    ]
    (shown,) = command("show")
    assert {kind: rows for kind, rows in shown["rows"].items() if rows} == run["rows"]
    assert shown["cursor"] == {"node-1/1356998400000-0000abcd/live": 1}
