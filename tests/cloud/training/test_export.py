"""Export: the ONNX model answers as the trained one does, or it is not shipped."""

import os
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pytest
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import functions as F  # noqa: N812

from cloud.composition.cycle import exporter
from cloud.training.export import (
    PARITY_LIMIT,
    PARITY_ROWS,
    ParityError,
    check_parity,
    mllib_to_onnx,
    sklearn_to_onnx,
    unlikely,
)
from cloud.training.learners import BaselineLearner, SklearnLearner, SklearnModel
from cloud.training.mllib import MllibLearner
from models.features import FEATURE_NAMES
from models.inference import Inference

WINDOWS = 10_000


@pytest.fixture(scope="module")
def examples(recorded_history):
    """More windows than the gate wants, of the condition with the most onsets."""
    found = recorded_history("damp").examples
    assert len(found) >= WINDOWS
    return found


@pytest.fixture(scope="module")
def candidate(examples):
    return SklearnLearner().fit(examples)


@pytest.fixture(scope="module")
def some(examples):
    """Enough to fit; what is fitted is asked for all."""
    return examples.rows(np.arange(0, len(examples), 8))


@pytest.fixture(scope="module")
def mllib(spark, some):
    return MllibLearner(spark).fit(some)


def parity(model, data, rows):
    """As the gate measures, in float32 as a gateway asks."""
    asked = rows.astype(np.float32).astype(np.float64)
    return float(np.abs(Inference(data).probability(asked) - model.probability(asked)).max())


def exported(model):
    return sklearn_to_onnx(model.pipeline, model.slope, model.offset)


# scikit-learn


def test_the_baseline_answers_the_same(examples):
    model = BaselineLearner().fit(examples)
    data = exported(model)
    assert check_parity(model, data, examples.features) <= PARITY_LIMIT
    assert parity(model, data, examples.features) <= PARITY_LIMIT


def test_the_baseline_sees_its_own_columns_alone(examples):
    data = exported(BaselineLearner().fit(examples))
    moved = examples.features[:500].copy()
    moved[:, 10:] += 1000.0
    asked = Inference(data).probability
    np.testing.assert_array_equal(asked(moved), asked(examples.features[:500]))


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.8, -0.3), (1.7, 0.1), (0.01, 2.0)])
def test_a_calibrated_candidate_answers_the_same(candidate, examples, slope, offset):
    model = SklearnModel(candidate.pipeline, slope, offset)
    data = exported(model)
    assert check_parity(model, data, examples.features) <= PARITY_LIMIT
    assert parity(model, data, examples.features) <= PARITY_LIMIT
    answers = Inference(data).probability(examples.features)
    assert np.ptp(answers) > 0.001  # it was not one answer for all


def test_calibration_is_not_forgotten(candidate, examples):
    plain, calibrated = (
        Inference(sklearn_to_onnx(candidate.pipeline, slope, offset)).probability(examples.features)
        for slope, offset in ((1.0, 0.0), (0.5, -1.0))
    )
    logits = np.log(plain / (1 - plain))
    inner = (plain > 1e-4) & (plain < 1 - 1e-4)
    expected = 1 / (1 + np.exp(-(0.5 * logits - 1.0)))
    np.testing.assert_allclose(calibrated[inner], expected[inner], atol=1e-4)


def test_an_equal_model_is_equal_bytes(candidate, examples):
    """A cycle that died and runs again must not make another bundle."""
    again = SklearnLearner().fit(examples)
    assert exported(again) == exported(candidate)


def test_one_input_one_output(candidate):
    model = onnx.load_from_string(exported(candidate))
    (wanted,), (answer,) = model.graph.input, model.graph.output
    assert (wanted.name, answer.name) == ("features", "probability")
    assert wanted.type.tensor_type.shape.dim[1].dim_value == len(FEATURE_NAMES)
    assert model.ir_version <= 8
    # in one order: converters keep domains in a set, and each process orders that anew
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 15), ("ai.onnx.ml", 1)]


# the gate


def _changed(data, factor):
    """The model with the largest weight of its last layer multiplied."""
    model = onnx.load_from_string(data)
    (layer,) = (n for n in model.graph.node if n.op_type == "LinearClassifier")
    (weights,) = (a for a in layer.attribute if a.name == "coefficients")
    for index in np.flatnonzero(np.abs(weights.floats) == np.abs(weights.floats).max()):
        weights.floats[index] *= factor  # one of each class
    return model.SerializeToString()


@pytest.mark.parametrize("factor", [1.01, -1.0])
def test_a_changed_weight_is_refused(candidate, examples, factor):
    data = exported(candidate)
    with pytest.raises(ParityError, match="differs from the trained one by"):
        check_parity(candidate, _changed(data, factor), examples.features)
    assert check_parity(candidate, _changed(data, 1.0), examples.features) <= PARITY_LIMIT


def test_another_calibration_is_refused(candidate, examples):
    other = sklearn_to_onnx(candidate.pipeline, candidate.slope * 1.001, candidate.offset + 1e-3)
    with pytest.raises(ParityError):
        check_parity(candidate, other, examples.features)


def test_too_few_rows_cannot_tell(candidate, examples):
    data = exported(candidate)
    with pytest.raises(ParityError, match="1000 rows, found 999"):
        check_parity(candidate, data, examples.features[: PARITY_ROWS - 1])
    check_parity(candidate, data, examples.features[:PARITY_ROWS])


class Same:
    """A model that answers as another one does, but where a row is far from all that was seen."""

    def __init__(self, model, seen):
        self._model = model
        self._low, self._high = seen.min(axis=0), seen.max(axis=0)

    def probability(self, values):
        found = self._model.probability(values)
        far = ((values < self._low - 1e-3) | (values > self._high + 1e-3)).any(axis=1)
        return np.where(far, 1 - found, found)


def test_the_gate_looks_beyond_what_was_seen(candidate, examples):
    rows = examples.features[:2000]
    data, liar = exported(candidate), Same(candidate, rows)
    assert parity(liar, data, rows) <= PARITY_LIMIT
    with pytest.raises(ParityError):
        check_parity(liar, data, rows)
    assert sum(len(r) for r in unlikely(rows)) == 107


# MLlib


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A working folder and a folder for temporary files, both empty."""
    temporary, working = tmp_path / "temporary", tmp_path / "working"
    for folder in (temporary, working):
        folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", os.fspath(temporary))
    monkeypatch.chdir(working)
    return tmp_path


@pytest.mark.spark
def test_mllib_answers_the_same(mllib, spark, examples, workplace, capfd):
    capfd.readouterr()
    data = exporter(spark)(mllib)
    told = capfd.readouterr()
    assert (told.out, told.err) == ("", "")
    assert [p for p in workplace.rglob("*") if p.is_file()] == []
    assert list((workplace / "temporary").iterdir()) == []
    assert Path(tempfile.gettempdir()) == workplace / "temporary"
    assert check_parity(mllib, data, examples.features) <= PARITY_LIMIT
    assert parity(mllib, data, examples.features) <= PARITY_LIMIT
    with pytest.raises(ParityError):
        check_parity(mllib, _changed(data, 1.01), examples.features)
    assert mllib_to_onnx(mllib.beyond, mllib.model, spark) == data


@pytest.mark.spark
def test_spark_itself_answers_the_same(mllib, spark, examples):
    """Not our formula for its coefficients, but its own `transform`."""
    rows = examples.features.astype(np.float32).astype(np.float64)
    seen = mllib.beyond.transform(rows)
    ends = np.arange(0, seen.size + 1, seen.shape[1], dtype=np.int32)
    lists = pa.ListArray.from_arrays(pa.array(ends), pa.array(seen.ravel()))
    frame = spark.createDataFrame(pa.table({"row": np.arange(len(seen)), "columns": lists}))
    asked = frame.select("row", array_to_vector(F.col("columns")).alias("seen"))
    told = mllib.model.transform(asked).select("row", vector_to_array("probability").alias("p"))
    table = told.toArrow().sort_by("row")
    answers = np.array([p[1] for p in table["p"].to_pylist()])
    assert len(answers) >= WINDOWS
    np.testing.assert_allclose(mllib.probability(rows), answers, atol=1e-12)
    data = mllib_to_onnx(mllib.beyond, mllib.model, spark)
    assert np.abs(Inference(data).probability(rows) - answers).max() <= PARITY_LIMIT


@pytest.mark.spark
def test_both_candidates_learn_much_the_same(mllib, some, examples):
    """One loss, one penalty, two programs: before calibration they are one model."""
    plain = SklearnModel(SklearnLearner().fit(some).pipeline)
    difference = np.abs(plain.probability(examples.features) - mllib.probability(examples.features))
    print(f"largest difference {difference.max():.2g}, mean {difference.mean():.2g}")
    assert difference.max() < 0.01
    assert difference.mean() < 0.001


@pytest.mark.spark
def test_nobody_exports_what_nobody_knows(spark):
    class Other:
        pass

    with pytest.raises(TypeError, match="no exporter for Other"):
        exporter(spark)(Other())
