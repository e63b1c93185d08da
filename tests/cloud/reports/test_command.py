"""`report write` on a real server: a full warehouse, an empty one, and what goes wrong."""

import argparse
import json

import pytest
from sqlalchemy import make_url

from cloud.cli import NOUNS
from cloud.commands import report
from cloud.config import CloudConfig, FleetConfig, WarehouseConfig
from contract.errors import ConfigError

pytestmark = pytest.mark.services

CONDITIONS = """
[[condition]]
id = "damp"
signal = "air/humidity"
comparison = "above"
limit = 75.0
horizon_s = 10800
step_s = 3600
max_age_s = 7200
"""


@pytest.fixture
def config(database, tmp_path):
    url = make_url(database.url)
    secret, declared = tmp_path / "password", tmp_path / "conditions.toml"
    secret.write_text(f"{url.password or ''}\n")
    declared.write_text(CONDITIONS)
    return CloudConfig(
        source="cloud.toml",
        fleet=FleetConfig(conditions_file=str(declared)),
        warehouse=WarehouseConfig(
            host=url.host,
            port=url.port,
            user=url.username,
            password_file=str(secret),
            database=url.database,
        ),
    )


@pytest.fixture
def write(config, capsys):
    parser = argparse.ArgumentParser()
    report.register(parser.add_subparsers())

    def run(*words):
        args = parser.parse_args(["report", "write", *map(str, words)])
        status = args.run(args, config)
        return status, capsys.readouterr().out

    return run


def test_the_noun_is_known():
    assert "report" in NOUNS


@pytest.mark.usefixtures("warehouse")
def test_an_empty_warehouse_gives_an_honest_page(write, tmp_path):
    path = tmp_path / "report.html"
    assert write("--out", path) == (0, f"{path}\n")
    html = path.read_text("utf-8")
    for told in ("No readings yet", "No forecasts yet", "No device has measured", "no block yet"):
        assert told in html
    assert "Relative humidity of air above 75 %" in html
    assert html.startswith("<!DOCTYPE html>")


@pytest.mark.usefixtures("seeded")
def test_a_full_one_replaces_the_page_and_leaves_nothing_beside_it(write, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / "report.html"
    path.write_text("an older one")
    status, said = write("--out", path, "--json", "--as-of", "2013-03-01T00:00:00Z")
    assert status == 0
    assert json.loads(said) == {"path": str(path), "bytes": path.stat().st_size}
    html = path.read_text("utf-8")
    assert "written <span data-text>2013-03-01T00:00:00Z</span>" in html
    assert 'data-figure="held.damp.gw-1.times"' in html
    assert [p.name for p in folder.iterdir()] == ["report.html"]


@pytest.mark.usefixtures("warehouse")
def test_a_place_that_is_none_is_told(write, tmp_path):
    with pytest.raises(ConfigError, match="cannot be written"):
        write("--out", tmp_path / "nowhere" / "report.html")
