"""Forecasts of one device without Spark: what they are does not depend on what is asked at once."""

import random

import numpy as np
import pyarrow as pa
import pytest

from cloud.scoring.arrivals import Arrival, affected
from cloud.scoring.champions import Term
from cloud.scoring.forecast import DAY_MS, DeviceReadings, TimeSpan, day_of, forecasts, warm_days
from cloud.scoring.predict import ModelFailed, OnnxModel, probabilities
from cloud.scoring.score import device_of
from contract.quantities import Quantity
from contract.signals import Signal
from models.features import FEATURE_NAMES
from models.replay import Readings

NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z
HOUR_MS = 3_600_000
HOURS = 24 * 9
SEED = 13


@pytest.fixture
def terms(condition, made_model):
    middle = NEW_YEAR + 130 * HOUR_MS
    return [
        Term(
            condition=condition,
            model="humid-made",
            version=f"v{seed}",
            runnable=made_model(seed),
            from_at=from_at,
            until_at=until_at,
        )
        for seed, from_at, until_at in ((1, NEW_YEAR, middle), (2, middle, None))
    ]


SIGNALS = (Signal("attic", Quantity.TEMPERATURE), Signal("attic", Quantity.HUMIDITY))


def device(hours, backfilled=frozenset()):
    source = random.Random(SEED)
    weather = {hour: (source.gauss(12, 3), source.gauss(70, 6)) for hour in range(HOURS)}
    rows = [(hour, k) for hour in sorted(hours) for k in (0, 1)]
    return DeviceReadings(
        device_id="ewr-01",
        readings=Readings.of_rows(
            [SIGNALS[k] for _, k in rows],
            np.array([NEW_YEAR + hour * HOUR_MS for hour, _ in rows]),
            np.array([weather[hour][k] for hour, k in rows]),
        ),
        stream_ids=["a" * 13] * len(rows),
        seqs=np.array([2 * hour + k + 1 for hour, k in rows]),
        backfilled=np.array([hour in backfilled for hour, _ in rows]),
    )


def made(of, terms, span=None):
    span = span or TimeSpan(NEW_YEAR, NEW_YEAR + HOURS * HOUR_MS)
    return list(forecasts(of, terms, span, warm_days(terms), probabilities))


def test_a_span_gives_what_all_gives_within_it(terms):
    whole = made(device(range(HOURS)), terms)
    assert len(whole) > 50
    print(f"seed {SEED}")
    source = random.Random(SEED)
    warm = warm_days(terms)
    for _ in range(20):
        first, length = source.randrange(HOURS), source.randrange(1, 40)
        span = TimeSpan(NEW_YEAR + first * HOUR_MS, NEW_YEAR + (first + length) * HOUR_MS)
        begin = (day_of(span.from_ms) - warm * DAY_MS - NEW_YEAR) // HOUR_MS
        needed = device(range(max(0, begin), min(HOURS, first + length)))
        inside = [f for f in whole if span.from_ms <= f.issued_at < span.until_ms]
        assert made(needed, terms, span) == inside


def test_readings_change_nothing_outside_what_they_affect(terms):
    gap = set(range(100, 105))
    without, whole = made(device(set(range(HOURS)) - gap), terms), made(device(range(HOURS)), terms)
    arrival = Arrival(NEW_YEAR + 100 * HOUR_MS, NEW_YEAR + 104 * HOUR_MS)
    span = affected({"ewr-01": arrival}, warm_days(terms))["ewr-01"]
    outside = [
        [f for f in found if not span.from_ms <= f.issued_at < span.until_ms]
        for found in (without, whole)
    ]
    assert outside[0] == outside[1]
    assert outside[0]
    assert without != whole


def test_each_model_forecasts_in_its_own_time(terms):
    found = made(device(range(HOURS)), terms)
    versions = {f.version: [g.issued_at for g in found if g.version == f.version] for f in found}
    assert max(versions["v1"]) < terms[1].from_at <= min(versions["v2"])
    assert made(device(range(HOURS)), terms[1:]) == [f for f in found if f.version == "v2"]


def test_late_is_whatever_rests_on_backlog(terms):
    found = made(device(range(HOURS), backfilled={150}), terms)
    late = sorted((f.issued_at - NEW_YEAR) // HOUR_MS for f in found if f.late)
    # a window looks back 24 hours and takes a pressure of 12 hours before
    assert (late[0], late[-1]) >= (150, 150)
    assert late == [
        hour
        for hour in ((f.issued_at - NEW_YEAR) // HOUR_MS for f in found)
        if 150 <= hour <= 150 + 36
    ]


def test_rows_become_a_device_with_each_key_once_in_the_order_of_time():
    rows = pa.table(
        {
            "device_id": ["d"] * 4,
            "stream_id": ["b" * 13, "a" * 13, "a" * 13, "a" * 13],
            "seq": [1, 2, 1, 1],
            "signal": ["attic/humidity"] * 4,
            "at_ms": [5, 20, 10, 10],
            "value": [None, 2.0, 99.0, 1.0],
            "received_ms": [100, 100, 200, 150],
            "source": [
                "node-1 000000000001 s live 000000",
                "node-1 000000000001 s live 000001",
                "node-1 000000000001 s live 000002",
                "node-1 000000000007 s backfill 000000",
            ],
        }
    )
    found = device_of(rows)
    assert found.readings.at_ms.tolist() == [5, 10, 20]
    assert found.readings.values.tolist()[1:] == [1.0, 2.0]  # the one received first
    assert np.isnan(found.readings.values[0])
    assert found.backfilled.tolist() == [False, True, False]
    assert [s[0] for s in found.stream_ids] == ["b", "a", "a"]


def test_what_is_no_model_is_said_so(made_model):
    with pytest.raises(ModelFailed, match="cannot be loaded"):
        probabilities(OnnxModel("0" * 64, b"no model"), np.zeros((1, 3)))
    with pytest.raises(ModelFailed, match="the model takes rows of"):
        probabilities(made_model(1), np.zeros((1, 3)))
    with pytest.raises(ModelFailed, match="not a probability"):
        probabilities(made_model(1), np.full((1, len(FEATURE_NAMES)), np.nan))
