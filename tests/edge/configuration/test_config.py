"""The configuration: what is refused, in which words; the sample, which has every key."""

import re
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from contract.errors import ConfigError
from edge.checking import check
from edge.configuration.config import (
    AlertOutputConfig,
    BoardConfig,
    BoardKind,
    ClockConfig,
    CommitConfig,
    GatewayConfig,
    ModelsConfig,
    OutboxConfig,
    Profile,
    SensorConfig,
    UplinkConfig,
    load_config,
    parse_config,
)
from models.conditions import Condition
from transport.tls import TlsFiles

SAMPLE = Path(__file__).parents[3] / "deploy" / "sample" / "gateway.toml"
SENSOR = {"id": "attic", "driver": "sht4x", "interval_s": 10}
SMALL = {"device_id": "gw-1", "outbox": {"path": "o.db"}, "sensor": [SENSOR]}
DAMP = {
    "id": "damp",
    "signal": "attic/humidity",
    "comparison": "above",
    "limit": 70.0,
    "step_s": 60,
    "max_age_s": 60,
}


def test_the_least_that_must_be_said():
    config = parse_config(SMALL, "x")
    assert (config.uplink, config.alert_output, config.condition) == (None, None, ())
    assert (config.models, config.conditions_file) == (None, None)
    assert config.board.kind is BoardKind.LINUX
    assert config.commit.profile is Profile.LIVE
    assert config.commit.effective_rhythm_s == 1.0
    assert config.clock.floor_ms == 1_793_491_200_000  # 2026-11-01T00:00:00Z


def test_tls_is_on_where_an_authority_is_named():
    assert parse_config({**SMALL, "uplink": UPLINK}, "x").uplink.tls is None
    table = {**UPLINK, "ca_file": "ca.pem", "username": "gw-1", "password_file": "p"}
    assert parse_config({**SMALL, "uplink": table}, "x").uplink.tls == TlsFiles(ca_file="ca.pem")
    own = {"certificate_file": "c.pem", "key_file": "c.key"}
    uplink = parse_config({**SMALL, "uplink": {**UPLINK, "ca_file": "ca.pem", **own}}, "x").uplink
    assert uplink.tls == TlsFiles(ca_file="ca.pem", **own)


def test_rhythms():
    for table, rhythm_s in (({"profile": "saver"}, 30), ({"profile": "saver", "rhythm_s": 5}, 5)):
        assert parse_config({**SMALL, "commit": table}, "x").commit.effective_rhythm_s == rhythm_s


def test_the_floor_may_be_in_any_zone():
    config = parse_config({**SMALL, "clock": {"floor": "2013-01-01T01:00:00+01:00"}}, "x")
    assert config.clock.floor_ms == 1_356_998_400_000


UPLINK = {"host": "broker"}
MODELS = {"url": "https://cloud:8443", "folder": "models", "trusted_keys": ["key.pem"]}
OWN = {"certificate_file": "gw-1.pem", "key_file": "gw-1.key"}
WITH_TLS = {"host": "broker", "ca_file": "ca.pem", **OWN}


@pytest.mark.parametrize(
    ("models", "certificate", "key"),
    [
        ({}, "gw-1.pem", "gw-1.key"),
        ({"certificate_file": "m.pem", "key_file": "m.key"}, "m.pem", "m.key"),
        ({"token_file": "token"}, None, None),
        ({"url": "http://cloud"}, None, None),
    ],
)
def test_models_are_fetched_with_the_certificate_of_the_uplink(models, certificate, key):
    table = {**SMALL, "uplink": WITH_TLS, "models": {**MODELS, "ca_file": "m-ca.pem", **models}}
    if "url" in models:
        del table["models"]["ca_file"]
    found = parse_config(table, "x").models.tls
    assert (found.certificate_file, found.key_file) == (certificate, key)
    assert found.ca_file == table["models"].get("ca_file")


REFUSED = {
    "unknown key": (
        {**SMALL, "outbocks": {}},
        ["g.toml: unknown key 'outbocks'", "known keys: device_id, outbox, sensor"],
    ),
    "unknown key in a table": (
        {**SMALL, "uplink": {**UPLINK, "prot": 1883}},
        ["g.toml: uplink: unknown key 'prot'", "known keys: host, port, username, password_file"],
    ),
    "unknown key of a sensor": (
        {**SMALL, "sensor": [{**SENSOR, "pin": 4}]},
        ["g.toml: sensor[0]: unknown key 'pin'", "known keys: id, driver, interval_s"],
    ),
    "interval in another unit": (
        {**SMALL, "sensor": [{**SENSOR, "interval_s": "10 min"}]},
        ["sensor[0]: interval_s", "a finite number", "'10 min'"],
    ),
    "interval in ms": (
        {**SMALL, "sensor": [{**SENSOR, "interval_s": 600_000}]},
        ["sensor[0]: interval_s", "0.01 to 86400", "found 600000"],
    ),
    "missing table": ({k: v for k, v in SMALL.items() if k != "outbox"}, ["'outbox' is missing"]),
    "missing key": ({**SMALL, "outbox": {}}, ["g.toml: outbox: key 'path' is missing"]),
    "a flag is no number": (
        {**SMALL, "uplink": {**UPLINK, "port": True}},
        ["uplink: port", "a whole number", "True"],
    ),
    "a number is no flag": (
        {**SMALL, "alert_output": {"pin": 17, "active_high": 1}},
        ["alert_output: active_high", "true or false", "1"],
    ),
    "port out of range": ({**SMALL, "uplink": {**UPLINK, "port": 70_000}}, ["port", "1 to 65535"]),
    "window of one": ({**SMALL, "uplink": {**UPLINK, "window": 1}}, ["window", "2 to 1000"]),
    "device id that fits no topic": ({**SMALL, "device_id": "GW 1"}, ["device_id", "'GW 1'"]),
    "unknown profile": ({**SMALL, "commit": {"profile": "lazy"}}, ["profile", "live, saver"]),
    "no sensor": ({**SMALL, "sensor": []}, ["sensor: expected at least one [[sensor]]"]),
    "one sensor as a table": ({**SMALL, "sensor": SENSOR}, ["sensor", "expected a list"]),
    "sensor twice": (
        {**SMALL, "sensor": [SENSOR, SENSOR]},
        ["[[sensor]] attic: id", "two sensors"],
    ),
    "decimals of nothing": (
        {**SMALL, "sensor": [{**SENSOR, "decimals": {"light": 1}}]},
        ["[[sensor]] attic: decimals", "temperature, humidity, pressure", "light = 1"],
    ),
    "too many decimals": (
        {**SMALL, "sensor": [{**SENSOR, "decimals": {"humidity": 10}}]},
        ["0 to 9"],
    ),
    "decimals as a flag": (
        {**SMALL, "sensor": [{**SENSOR, "decimals": {"humidity": True}}]},
        ["humidity = True"],
    ),
    "floor without a zone": (
        {**SMALL, "clock": {"floor": "2026-11-01"}},
        ["[clock] floor", "2026-11-01T00:00:00Z"],
    ),
    "floor that is no time": ({**SMALL, "clock": {"floor": "soon"}}, ["[clock] floor", "'soon'"]),
    "condition of an unknown sensor": (
        {**SMALL, "condition": [{**DAMP, "signal": "roof/humidity"}]},
        ["[[condition]] damp: roof/humidity", "no [[sensor]] declares", "declared are attic"],
    ),
    "models without a key": (
        {**SMALL, "models": {**MODELS, "trusted_keys": []}},
        ["[models] trusted_keys", "at least one file"],
    ),
    "models with half a certificate": (
        {**SMALL, "models": {**MODELS, "certificate_file": "gw-1.pem"}},
        ["[models] certificate_file: key_file is missing"],
    ),
    "a token without TLS": (
        {**SMALL, "models": {**MODELS, "url": "http://cloud", "token_file": "t"}},
        ["[models] token_file: allowed only if url begins with https, found http://cloud"],
    ),
    "models from nowhere": (
        {**SMALL, "models": {**MODELS, "url": "ftp://cloud"}},
        ["models: url", "http:// or https://", "'ftp://cloud'"],
    ),
    "an address with a password in it": (
        {**SMALL, "models": {**MODELS, "url": "https://me:secret@cloud"}},
        ["models: url", "http:// or https://, then a host"],
    ),
    "too little memory to try a bundle in": (
        {**SMALL, "models": {**MODELS, "verify_memory_mib": 64}},
        ["models: verify_memory_mib", "256 to 65536"],
    ),
    "a certificate without its key": (
        {**SMALL, "uplink": {**UPLINK, "ca_file": "ca.pem", "certificate_file": "gw-1.pem"}},
        ["[uplink] certificate_file: key_file is missing", "set both or neither"],
    ),
    "a key without its certificate": (
        {**SMALL, "uplink": {**UPLINK, "ca_file": "ca.pem", "key_file": "gw-1.key"}},
        ["[uplink] key_file: certificate_file is missing"],
    ),
    "a certificate for a broker that is not checked": (
        {**SMALL, "uplink": {**UPLINK, "certificate_file": "c.pem", "key_file": "c.key"}},
        ["[uplink] certificate_file: ca_file is missing", "authority"],
    ),
    "an authority for a server without TLS": (
        {**SMALL, "models": {**MODELS, "url": "http://cloud", "ca_file": "ca.pem"}},
        ["[models] ca_file: allowed only if url begins with https, found http://cloud"],
    ),
    "conditions file that is not there": (
        {**SMALL, "conditions_file": "/nowhere/conditions.toml"},
        ["conditions_file: /nowhere/conditions.toml", "No such file"],
    ),
    "condition with a wrong key": (
        {**SMALL, "condition": [{**DAMP, "limits": 1}]},
        ["g.toml: [[condition]] damp", "unknown key 'limits'"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_file_table_key_and_what_was_expected(name):
    table, words = REFUSED[name]
    with pytest.raises(ConfigError) as refused:
        parse_config(table, "g.toml")
    text = str(refused.value)
    assert [word for word in words if word not in text] == [], text
    assert text.startswith("g.toml: ")
    assert "bad_field" not in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["cannot be read: No such file or directory"]),
        (b"device_id = \n", ["not valid TOML", "line 1"]),
        (b'device_id = "\xff"', ["not valid TOML", "not UTF-8 at byte 13"]),
        (b"", ["key 'device_id' is missing"]),
    ],
)
def test_a_file_that_is_not_there_or_not_toml(tmp_path, content, words):
    path = tmp_path / "gateway.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert [word for word in words if word not in str(refused.value)] == []


# --- conditions shared by a fleet ---------------------------------------------------------------

SHARED = """
[[condition]]
id = "frost"
signal = "attic/temperature"
comparison = "below"
limit = 0.0
step_s = 600
max_age_s = 600
"""


def test_conditions_of_a_fleet_stand_beside_a_gateways_own(tmp_path):
    """The file counts from the folder of the one that names it, wherever the program runs."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    (folder / "conditions.toml").write_text(SHARED)
    path = tmp_path / "gateway.toml"
    rows = [f"{key} = {value!r}" for key, value in DAMP.items()]
    path.write_text(
        "device_id = 'gw-1'\nconditions_file = 'fleet/conditions.toml'\n[outbox]\npath = 'o.db'\n"
        "[[sensor]]\nid = 'attic'\ndriver = 'sht4x'\ninterval_s = 10\n"
        "[[condition]]\n" + "\n".join(rows)
    )
    assert [c.id for c in load_config(path).condition] == ["damp", "frost"]


def test_a_fleets_conditions_count_where_their_sensors_are(tmp_path, caplog):
    of_others = SHARED.replace("frost", "frost-roof").replace("attic", "roof")
    made = 'derived = "dew_point_margin"\ntemperature = "attic/temperature"\n'
    made += 'humidity = "roof/humidity"'
    of_two = SHARED.replace("frost", "both").replace('signal = "attic/temperature"', made)
    (tmp_path / "shared.toml").write_text(SHARED + of_others + of_two)
    caplog.set_level("INFO")
    table = {**SMALL, "conditions_file": "shared.toml"}
    assert [c.id for c in parse_config(table, "g.toml", tmp_path).condition] == ["frost"]
    assert [line.split(": ", 1)[1] for line in caplog.messages] == [
        "[[condition]] frost-roof is ignored: this gateway has no sensor for roof/temperature",
        "[[condition]] both is ignored: this gateway has no sensor for roof/humidity",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SHARED.replace("frost", "damp"), ["[[condition]] damp: id: also declared in"]),
        (SHARED + "[outbox]\n", ["conditions_file: ", "outbox: only [[condition]] tables"]),
    ],
)
def test_a_fleets_file_is_judged_as_a_gateways_own(tmp_path, text, words):
    (tmp_path / "shared.toml").write_text(text)
    table = {**SMALL, "condition": [DAMP], "conditions_file": "shared.toml"}
    with pytest.raises(ConfigError) as refused:
        parse_config(table, "g.toml", tmp_path)
    assert [word for word in words if word not in str(refused.value)] == [], str(refused.value)


# --- the sample ----------------------------------------------------------------------------------

CLASSES = {
    "outbox": OutboxConfig,
    "uplink": UplinkConfig,
    "board": BoardConfig,
    "clock": ClockConfig,
    "commit": CommitConfig,
    "alert_output": AlertOutputConfig,
    "models": ModelsConfig,
    "sensor": SensorConfig,
    "condition": Condition,
}


def uncommented():
    """The sample with all its defaults in force."""
    return re.sub(r"(?m)^# (?=[a-z_]+ = )", "", SAMPLE.read_text(encoding="utf-8"))


def test_the_sample_loads_as_it_stands():
    config = load_config(SAMPLE)
    assert config.device_id == config.uplink.username == "gw-attic"
    assert [c.id for c in config.condition] == ["cellar-damp", "attic-dew"]
    remarks = check(config)
    assert all("not exist, or" in remark for remark in remarks), remarks  # its folders are not here


def test_the_sample_names_every_key():
    tables = tomllib.loads(uncommented())
    for name, cls in CLASSES.items():
        found = tables[name]
        rows = found if isinstance(found, list) else [found]
        assert {key for row in rows for key in row} == {f.name for f in fields(cls)}, name
    assert set(tables) == {f.name for f in fields(GatewayConfig)}


def test_the_samples_examples_of_drivers_load():
    text = re.sub(r"(?m)^#  (?=\S)", "", SAMPLE.read_text(encoding="utf-8"))
    config = parse_config(tomllib.loads(text), "sample", SAMPLE.parent)
    drivers = ["sht4x", "dht22", "scd4x", "bh1750", "ina219", "digital_input"]
    assert [s.driver for s in config.sensor] == drivers
    check(config)


def test_the_samples_comments_show_the_defaults():
    """What is commented out changes nothing when it is not, but for what has no default value."""
    said = tomllib.loads(SAMPLE.read_text(encoding="utf-8"))
    shown = tomllib.loads(uncommented())
    for name, cls in CLASSES.items():
        rows, shown_rows = (
            t[name] if isinstance(t[name], list) else [t[name]] for t in (said, shown)
        )
        for row, shown_row in zip(rows, shown_rows, strict=True):
            for field in fields(cls):
                added = field.name in shown_row and field.name not in row
                if added and field.default not in (None, MISSING):
                    assert shown_row[field.name] == field.default, (name, field.name)


def test_the_sample_with_all_comments_in_force_loads():
    config = parse_config(tomllib.loads(uncommented()), "sample", SAMPLE.parent)
    assert config.board.recording == "weather.csv"
    assert [c.id for c in config.condition] == ["cellar-damp", "attic-dew", "attic-damp"]
