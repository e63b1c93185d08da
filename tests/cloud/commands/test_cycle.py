"""`dewline-cloud cycle`: a process of its own on a real lake, and what it prints."""

import argparse
import json
import subprocess
import sys

import pytest
from sqlalchemy import make_url

from cloud.commands import cycle
from cloud.cycle import CycleResult, Judged
from cloud.registry import DecisionRow
from cloud.warehouse.model_tables import DECISIONS
from contract.errors import ConfigError
from deploy.local.artifacts import spark_jars
from models.signing import Signer
from models.skill import Skill

CONFIG = """\
[lake]
root = "{folder}/lake"
period = "month"

[warehouse]
port = {url.port}
user = "{url.username}"
password_file = "{folder}/password"
database = "{url.database}"

[registry]
folder = "{folder}/registry"
signing_key = "{folder}/signing.pem"

[fleet]
conditions_file = "{folder}/conditions.toml"

[spark]
jars = {jars}
"""
CONDITIONS = """\
[[condition]]
id = "warm"
signal = "attic/temperature"
humidity = "attic/humidity"
comparison = "above"
limit = 20.0
step_s = 10
max_age_s = 60
"""
AS_OF = "2013-04-01T00:00:00Z"
AS_OF_MS = 1_364_774_400_000


@pytest.fixture
def config(database, tmp_path):
    """The file of a cloud whose lake is empty."""
    try:
        jars = json.dumps([str(jar) for jar in spark_jars()])
    except ConfigError as error:
        pytest.skip(str(error))
    url = make_url(database.url)
    (tmp_path / "lake").mkdir()
    (tmp_path / "password").write_text(url.password)
    (tmp_path / "conditions.toml").write_text(CONDITIONS)
    Signer.generate().save(tmp_path / "signing.pem")
    path = tmp_path / "cloud.toml"
    path.write_text(CONFIG.format(folder=tmp_path, url=url, jars=jars))
    return path


@pytest.mark.spark
@pytest.mark.services
def test_run_does_what_is_due_and_says_it(config, warehouse):
    words = ["--config", str(config), "cycle", "run", "--as-of", AS_OF]
    done = subprocess.run(
        [sys.executable, "-m", "cloud.cli", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, second, *table, last = done.stdout.splitlines()
    assert first == "0 steps from readings version none, 0 spans of unfit readings"
    assert second == "warm: insufficient_evidence: 0 windows, 1000 are needed to release a model"
    assert table[-1].split() == ["warm", *["-"] * 6, "insufficient_evidence"]
    assert last == "devices with a new desired state: none"
    with warehouse.connect() as connection:
        (row,) = connection.execute(DECISIONS.select()).all()
    assert (row.cycle_at, row.condition_id) == (AS_OF_MS, "warm")


def test_a_result_is_told_in_json_and_in_cells(capsys):
    figures = {"brier_baseline": 0.1, "brier_model": 0.09, "skill": 0.1}
    figures |= {"skill_low": 0.02, "skill_high": 0.15}
    values = {
        "cycle_at": AS_OF_MS,
        "condition_id": "damp",
        "event_weeks": 9,
        "windows_total": 100,
        "decision": "adopted",
        "reason": "because",
        "model": "damp",
        "version": "v2",
    }
    nothing = dict.fromkeys([*figures, "candidate", "model", "version"])
    rows = [
        DecisionRow(**values, **figures, candidate="mllib"),
        DecisionRow(**{**values, **nothing}),
    ]
    skill = Skill(windows_total=9, onsets_total=1, event_weeks=1)
    judged = Judged(condition_id="damp", version="v2", adopted=True, skill=skill)
    table = cycle.result_table(CycleResult(decisions=tuple(rows), told=("gw-1",), judged=(judged,)))
    told = json.loads(json.dumps(table, allow_nan=False))
    assert told["decisions"][0]["skill_low"] == 0.02
    assert told["decisions"][1]["skill_low"] is None
    assert told["told"] == ["gw-1"]
    assert told["judged"][0]["skill"]["windows_total"] == 9
    assert [cycle._cells(row) for row in table["decisions"]] == [
        ["damp", "mllib", "0.1000", "0.0900", "+0.100", "+0.020", "+0.150", "adopted"],
        ["damp", "-", "-", "-", "-", "-", "-", "adopted"],
    ]
    assert capsys.readouterr() == ("", "")


def test_the_verb_has_its_arguments():
    parser = argparse.ArgumentParser()
    cycle.register(parser.add_subparsers())
    args = parser.parse_args(["cycle", "run", "--as-of", AS_OF, "--no-training", "--json"])
    assert (args.as_of, args.no_training, args.json) == (AS_OF_MS, True, True)
    args = parser.parse_args(["cycle", "run"])
    assert (args.as_of, args.no_training, args.json) == (None, False, False)
