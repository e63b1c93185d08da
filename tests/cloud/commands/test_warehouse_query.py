"""`warehouse query` as printed: the list, a table, JSON and CSV."""

import argparse
import csv
import io
import json
from datetime import date

import pytest
from sqlalchemy import make_url

from cloud.commands import warehouse as noun
from cloud.config import CloudConfig, WarehouseConfig
from cloud.warehouse.aggregate_tables import CONDITION_DAYS, DAYS, DIM_DEVICES, DIM_SENSORS
from cloud.warehouse.queries import QUERIES
from contract.errors import ConfigError

pytestmark = pytest.mark.services

NEW_YEAR = 1_356_998_400_000
FIRST = date(2013, 1, 1)


@pytest.fixture
def query(database, warehouse, tmp_path, capsys):
    """`query("daily", "--json")`: what it prints."""
    url = make_url(database.url)
    (tmp_path / "password").write_text(f"{url.password or ''}\n")
    config = CloudConfig(
        source="cloud.toml",
        warehouse=WarehouseConfig(
            host=url.host,
            port=url.port,
            user=url.username,
            password_file=str(tmp_path / "password"),
            database=url.database,
        ),
    )
    signal = {"device_id": "gw-1", "sensor_id": "air", "quantity": "temperature"}
    days = {"first_day": FIRST, "last_day": FIRST}
    with warehouse.begin() as connection:
        connection.execute(DIM_DEVICES.insert(), [{"device_id": "gw-1"} | days])
        connection.execute(DIM_SENSORS.insert(), [signal | days | {"unit": "°C"}])
        figures = {"values_total": 2, "unusable_total": 1, "mean": 20.5, "coverage_ratio": 0.25}
        day = {"calendar": "utc", "event_day": FIRST, "begin_at": NEW_YEAR, "length_s": 86_400}
        connection.execute(DAYS.insert(), [signal | day | figures | {"last_at": NEW_YEAR + 1}])
        steps = {"steps_total": 2, "beyond_s": 600, "degree_minutes": 5.0, "coverage_ratio": 1.0}
        own = {"device_id": "gw-1", "event_day": FIRST, "condition_id": "damp"}
        connection.execute(CONDITION_DAYS.insert(), [own | steps])

    def ask(*words):
        parser = argparse.ArgumentParser()
        noun.register(parser.add_subparsers())
        args = parser.parse_args(["warehouse", "query", *words])
        assert args.run(args, config) == 0
        return capsys.readouterr().out

    return ask


def test_without_a_name_the_queries_are_listed(query):
    lines = query().splitlines()
    assert lines[0].split() == ["query", "rows"]
    assert [line.split()[0] for line in lines[1:]] == list(QUERIES)


def test_rows_as_table_as_json_and_as_csv(query):
    week = ("--as-of", "2013-01-05T12:00:00Z")
    (row,) = json.loads(query("daily", "--json", *week))
    assert (row["event_day"], row["begin_at"]) == ("2013-01-01", "2013-01-01T00:00:00.000Z")
    assert (row["last_at"], row["lowest"]) == ("2013-01-01T00:00:00.001Z", None)
    assert (row["mean"], row["unit"], row["site_id"]) == (20.5, "°C", None)
    (told,) = csv.DictReader(io.StringIO(query("daily", "--csv", *week)))
    assert told == {name: "" if cell is None else str(cell) for name, cell in row.items()}
    heading, line = query("daily", *week).splitlines()
    assert heading.split() == list(row)
    assert "20.5" in line.split()
    (row,) = json.loads(query("conditions", "--json", *week))
    assert (row["beyond_s"], row["unit"]) == (600, None)


def test_days_and_devices_choose_rows(query):
    assert json.loads(query("daily", "--json", "--as-of", "2013-03-01T00:00:00Z")) == []
    chosen = ("--from", "2013-01-01", "--to", "2013-01-01", "--json")
    assert len(json.loads(query("daily", *chosen))) == 1
    assert len(json.loads(query("daily", *chosen, "--device", "gw-1"))) == 1
    assert json.loads(query("daily", *chosen, "--device", "gw-2")) == []
    assert len(json.loads(query("latest", "--json"))) == 1
    with pytest.raises(ConfigError, match="leave out --device"):
        query("decisions", "--device", "gw-1")


def test_an_unknown_name_names_the_known_ones(query, capsys):
    with pytest.raises(SystemExit):
        query("weekly")
    assert "daily" in capsys.readouterr().err
