"""`dewline-cloud scoring` as a process of its own: its Spark, its trust, its folders."""

import json
import os
import signal
import subprocess
import sys

import pytest
from sqlalchemy import make_url

from cloud.lake.cursors import CursorStore
from cloud.lake.landing import LandingWriter
from cloud.lake.positions import FileSequence
from cloud.lake.store import FolderStore
from contract.errors import ConfigError
from contract.topics import Lane
from deploy.local.artifacts import spark_jars
from models.signing import Signer

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

[search]
url = "{search}"
prefix = "command-{port}"

[registry]
folder = "{folder}/registry"
signing_key = "{folder}/key.pem"

[fleet]
conditions_file = "{folder}/conditions.toml"

[spark]
jars = {jars}
"""
CONDITIONS = """\
[[condition]]
id = "frost"
signal = "attic/temperature"
humidity = "attic/humidity"
comparison = "below"
limit = 0.0
step_s = 3600
max_age_s = 7200
"""
START = "1356998400000-0000abcd"


@pytest.fixture
def words(database, elasticsearch, tmp_path):
    """The command line up to the verb."""
    try:
        jars = json.dumps([str(jar) for jar in spark_jars()])
    except ConfigError as error:
        pytest.skip(str(error))
    url = make_url(database.url)
    for name in ("lake", "registry"):
        (tmp_path / name).mkdir()
    Signer.generate().save(tmp_path / "key.pem")
    (tmp_path / "password").write_text(url.password)
    (tmp_path / "conditions.toml").write_text(CONDITIONS)
    values = {"folder": tmp_path, "url": url, "search": elasticsearch.url, "port": url.port}
    (tmp_path / "cloud.toml").write_text(CONFIG.format(jars=jars, **values))
    return [sys.executable, "-m", "cloud.cli", "--config", str(tmp_path / "cloud.toml"), "scoring"]


@pytest.fixture
def cursor(tmp_path):
    """How many live files the projection has passed."""
    sequence = FileSequence("node-1", START, Lane.LIVE)
    store = FolderStore(tmp_path / "lake")
    return lambda: CursorStore(store, "scoring").load().passed.get(sequence, 0)


def called(words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("warehouse")
def test_once_then_run_then_rebuild(words, cursor, gateway, tmp_path, wait_until):
    writer = LandingWriter(FolderStore(tmp_path / "lake"), "node-1", START)
    for first in (1, 5):
        writer.commit(Lane.LIVE, gateway.file(gateway.readings("a", first, first + 3)).blocks)
    once = json.loads(called([*words, "once", "--files", "1", "--json"]))
    assert once == {
        "batches_total": 2,
        "readings_total": 8,
        "undated_total": 0,
        "forecasts_total": 0,
        "removed_total": 0,
    }
    assert cursor() == 2
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([*words, "run", "--every", "0.2"], env=environment) as running:
        try:
            writer.commit(Lane.LIVE, gateway.file(gateway.readings("a", 9, 10)).blocks)
            wait_until(lambda: cursor() == 3 or running.poll() is not None, 90)
        finally:
            running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
    assert "beginning" in called([*words, "rebuild"])
    assert cursor() == 0
