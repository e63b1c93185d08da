"""The verbs of models and rollout, from a registry to what is printed and what devices get."""

import argparse
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from sqlalchemy import make_url

from cloud.commands import models, rollout
from cloud.composition.registry import open_signer
from cloud.config import CloudConfig, RegistryConfig, WarehouseConfig
from cloud.registry import Alias, AliasRow, ModelRow, Registry
from cloud.rollout import DesiredStates, GatewaySignals, roll_out
from cloud.warehouse.model_tables import DECISIONS
from contract.errors import ConfigError, DewlineError
from contract.signals import Signal
from deploy.local.mosquitto import BrokerAccount, Mosquitto
from models.bundle import pack
from models.conditions import Comparison, Condition
from models.signing import Signer
from tests.models.test_bundle import CARD, GOLDEN, MANIFEST, MODEL

NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z
FROST = Condition(
    id="frost",
    comparison=Comparison.BELOW,
    limit=0.0,
    step_s=3600,
    max_age_s=5400,
    signal=Signal.parse("attic/temperature"),
)
DEVICE = GatewaySignals(device_id="ewr", signals=frozenset({Signal.parse("attic/temperature")}))


@pytest.fixture
def config(database, tmp_path):
    url = make_url(database.url)
    secret = tmp_path / "warehouse-password"
    secret.write_text(f"{url.password or ''}\n")
    return CloudConfig(
        source="cloud.toml",
        registry=RegistryConfig(
            folder=str(tmp_path / "registry"), signing_key=str(tmp_path / "signing.pem")
        ),
        warehouse=WarehouseConfig(
            host=url.host,
            port=url.port,
            user=url.username,
            password_file=str(secret),
            database=url.database,
        ),
    )


@pytest.fixture
def call(capsys):
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    for module in (models, rollout):
        module.register(subparsers)

    def run(line, config):
        args = parser.parse_args(line.split())
        assert args.run(args, config) == 0
        return capsys.readouterr()

    return run


@pytest.fixture
def champion(warehouse, tmp_path):
    registry = Registry(warehouse, tmp_path / "registry")
    row = ModelRow(
        model="frost-baseline",
        version="2013-01-01-1",
        condition_id="frost",
        family="baseline",
        counter=1,
        created_at=NEW_YEAR,
        trained_from=NEW_YEAR - 86_400_000,
        trained_to=NEW_YEAR,
        dataset_version="1",
        code_version="1",
        parameters='{"hours": 24}',
        seed=7,
        sha256=registry.put(b"bundle"),
        size_bytes=6,
        parity_max=0.0,
    )
    registry.record(row)
    alias = AliasRow(
        condition_id="frost",
        alias=Alias.CHAMPION,
        from_at=NEW_YEAR,
        model=row.model,
        version=row.version,
    )
    registry.set_alias(alias)
    decision = {
        "cycle_at": NEW_YEAR,
        "condition_id": "frost",
        "event_weeks": 0,
        "windows_total": 0,
        "decision": "baseline",
        "reason": "the first bundle",
        "model": row.model,
        "version": row.version,
    }
    with warehouse.begin() as connection:
        connection.execute(DECISIONS.insert(), decision)
    return registry


def test_a_key_is_made_once_and_its_public_half_printed(call, config):
    first = call("models key", config)
    path = Path(config.registry.signing_key)
    kept = path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    load_pem_public_key(first.out.encode())
    assert "PRIVATE" not in first.out + first.err
    assert "created" in first.err
    again = call("models key", config)
    assert (again.out, path.read_bytes()) == (first.out, kept)
    assert "was not changed" in again.err


def test_a_key_that_is_not_named_is_missed_by_name(call):
    bare = CloudConfig(source="cloud.toml", registry=RegistryConfig(folder="x"))
    with pytest.raises(ConfigError, match="signing_key is missing"):
        call("models key", bare)
    with pytest.raises(ConfigError, match=r"section \[registry\] is missing"):
        call("models show", CloudConfig(source="cloud.toml"))


@pytest.mark.services
@pytest.mark.usefixtures("champion")
def test_show_has_models_aliases_and_decisions(call, config):
    text = call("models show", config).out
    heads = [line.split()[0] for line in text.splitlines() if line]
    assert heads == ["condition", "frost", "condition", "frost", "cycle", "2013-01-01T00:00:00Z"]
    assert "the first bundle" in text
    document = json.loads(call("models show --json", config).out)
    assert document["models"][0]["parameters"] == {"hours": 24}
    assert document["models"][0]["trained_to"] == "2013-01-01T00:00:00Z"
    assert document["aliases"][0]["alias"] == "champion"
    assert document["decisions"][0]["skill"] is None


@pytest.mark.services
def test_a_model_is_exported_whole_or_not_at_all(call, config, champion, tmp_path):
    made = Path(__file__).parents[2] / "models" / "made_earlier"
    data = (made / "dew.dwb").read_bytes()
    row = replace(
        *champion.models(),
        model="dew",
        counter=2,
        sha256=champion.put(data),
        size_bytes=len(data),
    )
    champion.record(row)
    Signer.generate().save(Path(config.registry.signing_key))
    out = tmp_path / "exported"
    with pytest.raises(DewlineError, match="unknown_key"):  # signed by the site's key, or refused
        call(f"models export dew {row.version} --out {out}", config)
    assert not out.exists()
    with pytest.raises(ConfigError, match="has no version 9 of dew"):
        call(f"models export dew 9 --out {out}", config)
    own = tmp_path / "own"
    own.write_text("kept")
    with pytest.raises(ConfigError, match="expected a new or empty folder"):
        call(f"models export dew {row.version} --out {own}", config)
    assert own.read_text() == "kept"
    data = pack(MANIFEST, MODEL, GOLDEN, CARD, Signer.load(Path(config.registry.signing_key)))
    signed = replace(row, version="2", counter=3, sha256=champion.put(data), size_bytes=len(data))
    champion.record(signed)
    assert str(out) in call(f"models export dew 2 --out {out}", config).out
    assert (out / "model.onnx").read_bytes() == MODEL
    with pytest.raises(ConfigError, match="cannot be written"):
        call(f"models export dew 2 --out {own / 'below'}", config)
    table = json.loads((out / "MLmodel").read_text())
    assert table["metadata"]["bundle_sha256"] == signed.sha256


@pytest.mark.services
def test_show_says_what_to_expect_of_warnings(call, config, champion):
    assert "events" not in call("models show", config).out  # of a model without figures
    (known,) = champion.models()
    counts = {"warnings_total": 37, "warnings_true": 26, "events_total": 41, "events_announced": 20}
    figures = counts | {"warn_at": 0.5, "lead_s": 7200}
    champion.record(replace(known, version="2013-02-01-1", counter=2, **figures))
    shown = call("models show", config).out
    assert "Of 10 warnings 7 come true (26 of 37)." in shown
    assert "5 of 10 events are announced at least 2 h before (20 of 41)." in shown
    _, row = json.loads(call("models show --json", config).out)["models"]
    assert {name: row[name] for name in figures} == figures


@pytest.mark.services
@pytest.mark.usefixtures("warehouse")
def test_an_empty_registry_is_shown_as_empty(call, config):
    assert json.loads(call("models show --json", config).out) == {
        "models": [],
        "aliases": [],
        "decisions": [],
    }
    assert json.loads(call("rollout show --json", config).out) == {"devices": []}
    assert "decision" in call("models show", config).out
    assert "version" in call("rollout show", config).out


@pytest.mark.services
def test_what_devices_are_told_is_shown(call, config, champion, warehouse):
    call("models key", config)
    sign = open_signer(config).sign
    states = DesiredStates(warehouse)
    roll_out(champion, states, [DEVICE], (FROST,), sign, NEW_YEAR)
    line = call("rollout show", config).out.splitlines()[1].split()
    assert line[:6] == [
        "ewr",
        "1",
        "2013-01-01T00:00:00Z",
        "frost",
        "frost-baseline",
        "2013-01-01-1",
    ]
    (device,) = json.loads(call("rollout show --json", config).out)["devices"]
    assert device["bundles"][0]["sha256"] == champion.models()[0].sha256
    states.write({"ewr": ()}, sign, NEW_YEAR)
    assert call("rollout show", config).out.splitlines()[1].split()[3] == "-"


@pytest.mark.services
@pytest.mark.broker
def test_rollout_run_tells_and_ends_in_order(config, champion, warehouse, stack_base, tmp_path):
    signer = Signer.generate()
    roll_out(champion, DesiredStates(warehouse), [DEVICE], (FROST,), signer.sign, NEW_YEAR)
    account = BrokerAccount.generate("rollout", "rollout")
    gateway = BrokerAccount.generate("ewr", "device")
    (tmp_path / "password").write_text(account.password)
    broker = Mosquitto.start(stack_base, [account, gateway])
    section = config.warehouse
    (tmp_path / "cloud.toml").write_text(
        f'[warehouse]\nport = {section.port}\nuser = "{section.user}"\n'
        f'password_file = "{section.password_file}"\ndatabase = "{section.database}"\n'
        f'[rollout]\nport = {broker.port}\nusername = "rollout"\npoll_s = 0.1\n'
        f'password_file = "{tmp_path}/password"\n'
    )
    heard = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-u", "ewr", "-P"]
    heard += [gateway.password, "-t", "dewline/v1/ewr/down/desired", "-C", "1", "-W", "20", "-N"]
    words = [sys.executable, "-m", "cloud.cli", "--config", str(tmp_path / "cloud.toml")]
    child = subprocess.Popen([*words, "rollout", "run"], stderr=subprocess.PIPE)
    try:
        got = subprocess.run(heard, check=True, capture_output=True, timeout=30).stdout
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=20)
    finally:
        child.kill()
        child.communicate()
        broker.stop()
    assert got == DesiredStates(warehouse).rows()[0].payload
    assert (child.returncode, b"Traceback" in errors) == (0, False)


@pytest.mark.parametrize("module", [models, rollout])
def test_every_verb_has_help_with_an_example(module):
    noun = module.__name__.rpartition(".")[2]
    nouns = argparse.ArgumentParser(prog="dewline-cloud").add_subparsers()
    module.register(nouns)
    (verbs,) = [a for a in nouns.choices[noun]._actions if isinstance(a.choices, dict)]
    for name, verb in verbs.choices.items():
        assert f"dewline-cloud --config cloud.toml {noun} {name}" in verb.format_help()
        assert verb.description
