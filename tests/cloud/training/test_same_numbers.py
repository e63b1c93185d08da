"""One window, one number: on the gateway, in a Spark batch, in the stream's workers; each learner.

Everybody starts from the raw readings of two real stations, each sensor a little late in its own
way: the gateway sample by sample through its window, Spark from shuffled rows of the lake's table,
the stream from a device's rows. More than 10,000 windows are compared.
"""

import datetime as dt
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from cloud.scoring.champions import Term
from cloud.scoring.forecast import DeviceReadings, TimeSpan, forecasts, warm_days
from cloud.scoring.predict import OnnxModel, probabilities
from cloud.training.boosting import BlendModel, BoostingLearner
from cloud.training.dataset import history_table
from cloud.training.export import mllib_to_onnx, sklearn_to_onnx
from cloud.training.export_blend import blend_to_onnx
from cloud.training.history import History
from cloud.training.learners import SklearnLearner
from cloud.training.mllib import MllibLearner
from edge.forecasting.forecaster import readings_of
from edge.forecasting.window import Window
from models.evaluation import Evaluator, Sample
from models.features import features, windows
from models.inference import Inference

pytestmark = pytest.mark.spark

LATE_MS = {"air/temperature": 37, "air/humidity": 37, "barometer/pressure": 52}
FEATURES, PROBABILITY = 1e-6, 1e-5
STATIONS = ("ewr", "jfk")


@pytest.fixture(scope="module")
def late(recording):
    """Per station its readings, each sensor some milliseconds after the hour."""
    found = {}
    for station in STATIONS:
        raw = recording[station]
        after = np.array([LATE_MS[str(raw.signals[code])] for code in raw.codes])
        found[station] = replace(raw, at_ms=raw.at_ms + after)
    return found


@pytest.fixture(scope="module")
def condition(demo_conditions):
    return next(c for c in demo_conditions if c.id == "condensation")


@pytest.fixture(scope="module")
def batch(spark, late, condition):
    """The history that Spark makes of the shuffled table."""
    rows = [
        (station, seq, *str(readings.signals[code]).split("/"), None if np.isnan(v) else v, at)
        for station, readings in late.items()
        for seq, (code, at, v) in enumerate(
            zip(readings.codes, readings.at_ms.tolist(), readings.values.tolist(), strict=True), 1
        )
    ]
    np.random.default_rng(3).shuffle(rows)
    columns = [list(c) for c in zip(*rows, strict=True)]
    names = ("device_id", "seq", "sensor_id", "quantity", "value", "observed_at")
    instants = pa.array([int(at) * 1000 for at in columns[-1]], pa.timestamp("us", "UTC"))
    table = pa.table(
        {
            **dict(zip(names, columns[:-1], strict=False)),
            "observed_at": instants,
            "quality": ["good"] * len(rows),
        }
    )
    table = table.set_column(1, "seq", pa.array([int(s) for s in columns[1]], pa.int64()))
    table = table.set_column(
        4, "value", pa.array([None if v is None else float(v) for v in columns[4]], pa.float64())
    )
    frame = spark.createDataFrame(table).repartition(4)
    until = round(dt.datetime(2014, 1, 1, tzinfo=dt.UTC).timestamp() * 1000)
    return History.of(history_table(frame, (condition,), until), condition.id)


def gateway(readings, condition):
    """Instant and features of each forecast that a gateway makes, sample by sample."""
    window, evaluator, made, pending = Window(), Evaluator(condition), {}, []
    rows = list(zip(readings.codes, readings.at_ms.tolist(), readings.values.tolist(), strict=True))
    for index, (code, at_ms, value) in enumerate(rows):
        signal = readings.signals[code]
        fit = not np.isnan(value)
        pending += evaluator.take(signal, Sample(at_ms, value if fit else None))
        if fit:
            window.take(signal, Sample(at_ms, value))
        if index + 1 < len(rows) and rows[index + 1][1] - at_ms < 1000:
            continue  # still the same tick
        for step in (s for s in pending if s.full and not s.holds):
            instants = np.array([step.at_ms], np.int64)
            grid = windows(readings_of(window, condition), instants, condition)
            found = features(grid, instants, condition)
            if found.usable[0]:
                made[step.at_ms] = found.values[0]
        pending.clear()
        window.settle()
    return made


@pytest.fixture(scope="module")
def edge(late, condition):
    return {station: gateway(readings, condition) for station, readings in late.items()}


def test_features_of_gateway_and_batch(edge, batch):
    compared, largest = 0, 0.0
    for station, own in batch.rows(batch.forecastable).by_device():
        assert set(edge[station]) == set(own.at_ms.tolist())
        for at_ms, values in zip(own.at_ms.tolist(), own.features, strict=True):
            largest = max(largest, float(np.abs(edge[station][at_ms] - values).max()))
            compared += 1
    print(f"{compared} windows, features at most {largest:.2g} apart")
    assert compared >= 10_000
    assert largest <= FEATURES


@pytest.fixture(scope="module")
def trained(spark, batch):
    """Family to (trained model, ONNX bytes)."""
    known = batch.examples
    sklearn, mllib = SklearnLearner().fit(known), MllibLearner(spark).fit(known)
    blend = BlendModel(sklearn, BoostingLearner().fit(known), 0.5)
    return {
        "blend": (blend, blend_to_onnx(blend)),
        "sklearn": (sklearn, sklearn_to_onnx(sklearn.pipeline, sklearn.slope, sklearn.offset)),
        "mllib": (mllib, mllib_to_onnx(mllib.beyond, mllib.model, spark)),
    }


@pytest.mark.parametrize("family", ["sklearn", "blend", "mllib"])
def test_probabilities_everywhere(family, trained, edge, batch, late, condition):
    model, onnx = trained[family]
    inference = Inference(onnx)
    term = Term(
        condition=condition,
        model="condensation",
        version="1",
        runnable=OnnxModel(family[0] * 64, onnx),
        from_at=0,
        until_at=None,
    )
    compared = 0
    for station, own in batch.rows(batch.forecastable).by_device():
        asked = own.features
        told = {
            "trained": model.probability(asked),
            "batch": inference.probability(asked),
            "gateway": np.array(
                [inference.probability_of(edge[station][at]) for at in own.at_ms.tolist()]
            ),
            "stream": streamed(station, late[station], term, own),
        }
        for name, found in told.items():
            apart = float(np.abs(found - told["batch"]).max())
            print(f"{family} {station} {name}: {len(found)} windows, at most {apart:.2g} apart")
            assert apart <= PROBABILITY, name
        compared += len(own)
    assert compared >= 10_000


def streamed(station, readings, term, own):
    """What the stream's workers forecast for the same device, by instant."""
    count = len(readings)
    device = DeviceReadings(
        device_id=station,
        readings=readings,
        stream_ids=["a" * 13] * count,
        seqs=np.arange(1, count + 1),
        backfilled=np.zeros(count, np.bool_),
    )
    span = TimeSpan(int(readings.at_ms[0]), int(readings.at_ms[-1]) + 1)
    found = forecasts(device, (term,), span, warm_days((term,)), probabilities)
    by_instant = {f.issued_at: f.probability for f in found}
    assert set(by_instant) == set(own.at_ms.tolist())
    return np.array([by_instant[at] for at in own.at_ms.tolist()])
