"""A gateway with `[models]`, whole, on virtual time; and that one without stays as it was."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pytest

from contract.errors import ConfigError
from contract.records import Alert, AlertBasis, ModelReport, Prediction, Reading
from edge.bundles.slot_store import SlotStore
from edge.checking import check
from edge.clock import VirtualClock
from edge.configuration.config import parse_config
from edge.gateway import run
from models.inference import Inference

HOUR_MS = 3_600_000
DAMP = {
    "id": "damp",
    "signal": "hall/humidity",
    "temperature": "hall/temperature",
    "pressure": "roof/pressure",
    "comparison": "above",
    "limit": 70.0,
    "step_s": 3600,
    "max_age_s": 7200,
    "warn_at": 0.4,
}
DEW = {
    "id": "dew",
    "derived": "dew_point_margin",
    "temperature": "hall/temperature",
    "humidity": "hall/humidity",
    "pressure": "roof/pressure",
    "comparison": "below",
    "limit": 2.0,
    "step_s": 1800,
    "max_age_s": 7200,
}
# the made day: 65 % and 15 % up and down, above 70 % from 22:20 to 07:40
WEIGHTS = {"distance": 0.3, "pressure_change_3h": -0.2, "humidity_change_3h": 0.2}


@pytest.fixture
def table(tmp_path):
    return {
        "device_id": "gw-1",
        "outbox": {"path": str(tmp_path / "outbox.db")},
        "board": {"kind": "simulated"},
        "clock": {"floor": "2013-01-01T00:00:00Z"},
        "commit": {"rhythm_s": 86_400, "records": 300, "status_s": 86_400},
        "sensor": [
            {"id": "roof", "driver": "bme280", "interval_s": 450},
            {"id": "hall", "driver": "sht4x", "interval_s": 600},
        ],
        "condition": [DAMP, DEW],
    }


@pytest.fixture
def with_models(table, tmp_path, registry):
    """The same gateway with a folder for models and a trusted key."""
    models = {
        "url": "http://127.0.0.1:1",
        "folder": str(tmp_path / "models"),
        "trusted_keys": [str(registry.key_file())],
    }
    return parse_config({**table, "models": models}, "x")


@pytest.fixture
def lay(with_models, registry, tmp_path):
    """`lay("damp", 1)`: swaps a bundle of that counter in before the start."""

    def swap(condition_id, counter, **keys):
        condition = next(c for c in with_models.condition if c.id == condition_id)
        bundle = registry.bundle(condition, counter, WEIGHTS, **keys)
        slots = SlotStore(tmp_path / "models")
        slots.swap(condition_id, registry.lay(slots, bundle), counter)

    return swap


@pytest.fixture
def expected(cloud_says, registry, tmp_path):
    """What the cloud makes of the readings so far, for a condition."""
    inference = Inference(registry.logistic(WEIGHTS))
    return lambda condition: cloud_says(tmp_path / "outbox.db", condition, inference)


@pytest.fixture
def records(records_in, tmp_path):
    return lambda kind: records_in(tmp_path / "outbox.db", kind)


def hours(new_year, begin, end):
    return VirtualClock(new_year + round(begin * HOUR_MS), new_year + end * HOUR_MS, lambda _: None)


def predictions(records, condition_id):
    return [
        (e.observed_at, e.record.probability)
        for e in records(Prediction)
        if e.record.condition_id == condition_id
    ]


def alerts(records, basis):
    return [
        (e.observed_at, e.record.condition_id, e.record.state.value, e.record.value)
        for e in records(Alert)
        if e.record.basis is basis
    ]


def test_predictions_are_those_that_the_cloud_makes_of_the_same_readings(
    with_models, lay, new_year, records, expected
):
    """Bit for bit, at the same instants: for each full step that does not hold, and no other."""
    lay("damp", 1)
    lay("dew", 1)
    run(with_models, hours(new_year, 0, 24 * 4))
    for condition in with_models.condition:
        assert predictions(records, condition.id) == expected(condition)
    assert len(predictions(records, "dew")) == (96 - 23) * 2  # from 23:30 on; it never holds
    assert len(predictions(records, "damp")) == 3 * 15  # 08:00 to 22:00
    for entry in records(Prediction):
        assert (entry.record.model, entry.record.version) == (
            f"{entry.record.condition_id}-logistic",
            "v1",
        )
        assert entry.record.horizon_s == 21_600


def test_a_forecast_alert_before_each_evening(with_models, lay, new_year, records):
    """Raised some hours ahead, cleared by the observed one, at one instant."""
    lay("damp", 1)
    run(with_models, hours(new_year, 0, 24 * 4))
    forecast = alerts(records, AlertBasis.FORECAST)
    begun = [at for at, _, state, _ in alerts(records, AlertBasis.OBSERVED) if state == "raised"]
    assert [state for _, _, state, _ in forecast] == ["raised", "cleared"] * 3
    assert [at for at, _, state, _ in forecast if state == "cleared"] == begun[2:]
    raised = {e.record.alert_id: e for e in records(Alert) if e.record.probability}
    assert all(e.record.probability >= 0.4 for e in raised.values())
    for (raised_at, *_), (cleared_at, *_) in zip(forecast[::2], forecast[1::2], strict=True):
        assert HOUR_MS <= cleared_at - raised_at <= 6 * HOUR_MS


def test_a_restart_changes_nothing(with_models, lay, new_year, records, expected, tmp_path):
    lay("damp", 1)
    roof, hall = with_models.sensor
    with_models = replace(with_models, sensor=(replace(roof, interval_s=600.0), hall))
    seen = []
    for cuts in ([0, 96], [0, 30, 47, 70, 96]):
        (tmp_path / "outbox.db").unlink(missing_ok=True)
        for begin, end in pairwise(cuts):
            # the mark's own readings were taken before the stop, the next are due after 10 minutes
            run(with_models, hours(new_year, begin + (1 / 6 if begin else 0), end))
        seen.append(
            (
                predictions(records, "damp"),
                alerts(records, AlertBasis.FORECAST),
                alerts(records, AlertBasis.OBSERVED),
            )
        )
    assert seen[0][0] == expected(with_models.condition[0])
    assert seen[0] == seen[1]


def test_what_is_observed_does_not_depend_on_models(
    with_models, table, lay, new_year, records, tmp_path
):
    lay("damp", 1)
    seen = []
    for config in (with_models, parse_config(table, "x")):
        (tmp_path / "outbox.db").unlink(missing_ok=True)
        run(config, hours(new_year, 0, 60))
        readings = {(e.offset_ms, e.record) for e in records(Reading)}
        seen.append((alerts(records, AlertBasis.OBSERVED), readings))
    assert seen[0] == seen[1]
    assert records(Prediction) == records(ModelReport) == []


def test_each_start_tells_which_models_are_active(with_models, lay, new_year, records):
    lay("damp", 1)
    lay("damp", 2)
    run(with_models, hours(new_year, 0, 1))
    run(with_models, hours(new_year, 2, 3))
    assert [(e.record.version, e.record.outcome) for e in records(ModelReport)] == [
        ("v2", "active"),
        ("v2", "active"),
    ]


def test_a_model_that_fails_while_it_runs_is_replaced_and_alerts_do_not_notice(
    with_models, lay, new_year, records, registry
):
    """The second one gives what is no probability as soon as it is asked."""
    lay("damp", 1)
    lay("damp", 2, model=registry.logistic({"hour_cos_1": 50.0}, squashed=False))
    run(with_models, hours(new_year, 0, 48))
    reports = [(e.record.version, e.record.outcome) for e in records(ModelReport)]
    assert reports == [("v2", "active"), ("v2", "reverted"), ("v1", "active")]
    (evidence,) = [e.record.reason for e in records(ModelReport) if e.record.reason]
    assert "which is not a probability" in evidence
    assert {e.record.version for e in records(Prediction)} == {"v1"}
    assert len(records(Prediction)) == 15  # none is missing: 08:00 to 22:00 of the second day
    assert len(alerts(records, AlertBasis.OBSERVED)) == 5


def test_a_bundle_for_another_declaration_is_not_loaded(
    with_models, lay, new_year, records, table, tmp_path
):
    lay("damp", 1)
    models = {
        "url": "http://127.0.0.1:1",
        "folder": str(tmp_path / "models"),
        "trusted_keys": list(with_models.models.trusted_keys),
    }
    changed = parse_config({**table, "models": models, "condition": [{**DAMP, "limit": 75.0}]}, "x")
    run(changed, hours(new_year, 0, 30))
    (report,) = [e.record for e in records(ModelReport)]
    assert report.outcome == "failed"
    assert report.reason.startswith("unsuitable: ")
    assert records(Prediction) == []


def test_a_trusted_key_that_is_none_is_refused(with_models, new_year, tmp_path):
    (tmp_path / "trusted.pem").write_text("no key")
    with pytest.raises(ConfigError, match="expected a public key"):
        run(with_models, hours(new_year, 0, 1))


# --- check ---------------------------------------------------------------------------------------


def test_remarks_on_models(with_models, table, tmp_path):
    no_uplink = "[uplink] is absent: the gateway stores its readings but never sends them"
    unknown = "[models] has neither a certificate nor a token, so the cloud may refuse to serve"
    absent, credentials = check(with_models)
    assert absent == no_uplink
    assert credentials.startswith(unknown)
    models = {
        "url": "http://cloud",
        "folder": str(tmp_path / "nowhere" / "models"),
        "trusted_keys": ["/nowhere/key.pem"],
    }
    plain = {**DAMP, "id": "plain"}  # without temperature, which no model needs
    del plain["temperature"]
    far = {**DAMP, "id": "far", "temperature": "cellar/temperature"}
    changed = parse_config({**table, "models": models, "condition": [plain, far]}, "x")
    absent, key, credentials, folder, condition = check(changed)
    assert absent == no_uplink
    assert credentials.startswith(unknown)
    assert key.startswith("[models] trusted_keys: /nowhere/key.pem does not exist, or this account")
    assert folder.startswith(f"[models] folder: {tmp_path}/nowhere/models or its parent does not")
    assert condition.startswith("[[condition]] far: temperature: this gateway has no sensor cellar")


# --- what is not needed is not imported ----------------------------------------------------------

RUN = """\
import json, sys
from edge.clock import VirtualClock
from edge.configuration.config import parse_config
from edge.gateway import run
table = json.loads(sys.stdin.read())
run(parse_config(table, "x"), VirtualClock({begin}, {begin} + 3_600_000, lambda _: None))
print(json.dumps([n for n in ("numpy", "onnxruntime", "cryptography") if n in sys.modules]))
"""


def test_numpy_is_imported_only_where_models_run(table, with_models, new_year):
    """On an outbox that is there: making a new one imports whatever sqlite-utils finds."""
    run(parse_config(table, "x"), hours(new_year - 2 * HOUR_MS, 0, 1))
    models = with_models.models
    paths = {"folder": models.folder, "trusted_keys": list(models.trusted_keys)}
    found = []
    for extra in ({}, {"models": {"url": models.url, **paths}}):
        done = subprocess.run(
            [sys.executable, "-c", RUN.format(begin=new_year)],
            input=json.dumps({**table, **extra}),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        found.append(json.loads(done.stdout.splitlines()[-1]))
    assert found == [[], ["numpy", "onnxruntime", "cryptography"]]


def test_a_gateway_that_lacks_onnxruntime_says_what_to_do(table, with_models, new_year):
    models = with_models.models
    paths = {"folder": models.folder, "trusted_keys": list(models.trusted_keys)}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['onnxruntime'] = None\n" + RUN.format(begin=new_year),
        ],
        input=json.dumps({**table, "models": {"url": models.url, **paths}}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "ConfigError: [models]: import of onnxruntime halted" in done.stderr
    assert "Install dewline with its extra `edge`, or remove the table" in done.stderr
