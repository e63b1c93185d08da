"""What `check` remarks on, and what it refuses."""

import pytest

from contract.errors import ConfigError
from edge.checking import check
from edge.configuration.config import parse_config

CONDITION = {
    "id": "damp",
    "signal": "hall/humidity",
    "comparison": "above",
    "limit": 70.0,
    "step_s": 3600,
    "max_age_s": 7200,
}


@pytest.fixture
def table(tmp_path):
    return {
        "device_id": "gw-1",
        "outbox": {"path": str(tmp_path / "outbox.db")},
        "board": {"kind": "simulated"},
        "sensor": [{"id": "hall", "driver": "sht4x", "interval_s": 3600}],
        "condition": [CONDITION],
    }


def test_nothing_to_remark(table):
    table["uplink"] = {"host": "broker"}
    assert check(parse_config(table, "x")) == []


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        (
            {"outbox": {"path": "/nowhere/outbox.db"}},
            "[outbox] path: the folder /nowhere does not exist",
        ),
        ({"uplink": {"host": "b", "password_file": "/nowhere/p"}}, "password_file: /nowhere/p"),
        (
            {"board": {"kind": "simulated", "recording": "/nowhere/w.csv"}},
            "recording: /nowhere/w.csv",
        ),
        (
            {
                "sensor": [
                    {"id": "hall", "driver": "sht4x", "interval_s": 1, "decimals": {"pressure": 1}}
                ]
            },
            "[[sensor]] hall: decimals: the driver does not measure pressure",
        ),
        (
            {"condition": [{**CONDITION, "signal": "hall/pressure", "limit": 99_000.0}]},
            "[[condition]] damp: sensor hall does not measure pressure",
        ),
    ],
)
def test_remarks(table, change, remark):
    remarks = check(parse_config({**table, "uplink": {"host": "b"}, **change}, "x"))
    assert len(remarks) == 1
    assert remark in remarks[0]


def test_no_uplink_is_worth_a_remark(table):
    (remark,) = check(parse_config(table, "x"))
    assert remark == "[uplink] is absent: the gateway stores its readings but never sends them"


@pytest.mark.parametrize(
    ("sensor", "words"),
    [
        ({"driver": "bmp999"}, ["no driver 'bmp999'", "known: bh1750, bme280"]),
        (
            {"options": {"adress": 0x44}},  # codespell:ignore adress
            ["[[sensor]] hall", "unknown key 'adress'", "known keys: bus"],
        ),
        ({"options": {"address": 0x76}}, ["[[sensor]] hall", "address", "68, 69, 70", "118"]),
        ({"options": {"bus": True}}, ["bus", "a whole number", "True"]),
        ({"options": {"quantities": ["pressure"]}}, ["quantities", "temperature, humidity"]),
        ({"driver": "dht22"}, ["[[sensor]] hall", "'pin' is missing"]),
    ],
)
def test_a_drivers_own_keys_are_judged_without_hardware(table, sensor, words):
    table["sensor"] = [{"id": "hall", "driver": "sht4x", "interval_s": 10, **sensor}]
    with pytest.raises(ConfigError) as refused:
        check(parse_config(table, "x"))
    assert [word for word in words if word not in str(refused.value)] == [], str(refused.value)
    assert "bad_field" not in str(refused.value)


def test_a_file_of_tls_that_is_not_there_is_a_remark(table, tmp_path, certificates):
    """Readings and alerts do not wait for a certificate: the gateway starts all the same."""
    files = certificates.device("gw-1")
    own = {"certificate_file": str(files.certificate), "key_file": str(tmp_path / "none.key")}
    uplink = {"host": "broker", "ca_file": str(files.ca), **own}
    models = {
        "url": "https://cloud",
        "folder": str(tmp_path / "m"),
        "ca_file": str(tmp_path / "none.pem"),
        "trusted_keys": [str(files.ca)],
    }
    config = parse_config({**table, "uplink": uplink, "models": models, "condition": []}, "x")
    key, ca = check(config)
    assert key.startswith(f"[uplink] key_file: {tmp_path}/none.key cannot be read: No such file")
    assert ca.startswith(f"[models] ca_file: {tmp_path}/none.pem cannot be read: No such file")


def test_models_without_certificate_and_token_are_a_remark(table, tmp_path, certificates):
    files = certificates.device("gw-1")
    models = {
        "url": "https://cloud",
        "folder": str(tmp_path / "m"),
        "ca_file": str(files.ca),
        "trusted_keys": [str(files.ca)],
    }

    def remarks(**more):
        config = {**table, "models": {**models, **more}, "condition": []}
        return [one for one in check(parse_config(config, "x")) if one.startswith("[models]")]

    (said,) = remarks()
    assert said.startswith("[models] has neither a certificate nor a token")
    assert remarks(token_file=str(files.ca)) == []
    (said,) = remarks(token_file=str(tmp_path / "none"))
    assert said.startswith(f"[models] token_file: {tmp_path}/none does not exist")
    own = {"certificate_file": str(files.certificate), "key_file": str(tmp_path / "none.key")}
    (said,) = remarks(**own)
    assert said.startswith(f"[models] key_file: {tmp_path}/none.key cannot be read")
