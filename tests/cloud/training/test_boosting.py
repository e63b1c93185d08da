"""Trees and blends: the weight is chosen on unseen weeks, and ONNX answers as the trained model."""

import hashlib
from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor

from cloud.training.boosting import (
    TREES,
    WEIGHTS,
    BlendLearner,
    BlendModel,
    Boosted,
    BoostingLearner,
    blend_errors,
    blend_weight,
)
from cloud.training.export import PARITY_LIMIT, ParityError, check_parity
from cloud.training.export_blend import blend_to_onnx
from cloud.training.learners import FIRST, SklearnLearner
from models.bundle import _LIMITS_BYTES
from models.features import FEATURE_NAMES
from models.inference import Inference

NEW_YEAR, HOUR = 1_356_998_400_000, 3_600_000
COUNT = 150 * 24
MOIST = ("humidity", "dew_point", "margin")


def drawn(plain_history, odds_of):
    """Steps of 150 days whose onset has these log odds of the features."""
    draw = np.random.default_rng(17)
    features = draw.normal(0, 1, (COUNT, len(FEATURE_NAMES)))
    labels = (draw.random(COUNT) < 1 / (1 + np.exp(-odds_of(features)))).astype(float)
    return plain_history(NEW_YEAR + HOUR * np.arange(COUNT), labels, features.T)


@pytest.fixture(scope="module")
def straight(plain_history):
    """A line describes it, so trees have nothing to add."""
    return drawn(plain_history, lambda x: -1 + 1.2 * x[:, 0] + 0.8 * x[:, FIRST])


@pytest.fixture(scope="module")
def bent(plain_history):
    """Far from zero on either side: no line describes it."""
    return drawn(plain_history, lambda x: np.where(np.abs(x[:, FIRST]) > 0.67, 3.0, -3.0))


@pytest.fixture(scope="module")
def model(bent):
    return BlendLearner().fit(bent)


@pytest.fixture(scope="module")
def half(model):
    return BlendModel(model.logistic, model.boosted, 0.5)


# the weight


def test_a_line_needs_few_trees_and_a_bend_needs_many(straight, model):
    assert BlendLearner().fit(straight).weight <= 0.5
    assert model.weight >= 0.75


def test_trees_find_a_shape_that_a_line_cannot(bent):
    rows = np.arange(COUNT) % 2 == 0
    known, asked = bent.rows(rows), bent.rows(~rows)
    briers = [
        ((learner.fit(known).probability(asked.features) - asked.labels) ** 2).mean()
        for learner in (SklearnLearner(), BlendLearner())
    ]
    assert briers[1] < 0.7 * briers[0]


def test_the_weight_is_chosen_on_later_weeks_that_the_models_have_not_seen(bent):
    seen = []

    class Watched(BoostingLearner):
        def fit(self, examples):
            seen.append(examples.begins_ms)
            return super().fit(examples)

    learner = BlendLearner()
    learner._boosting = Watched()
    learner.fit(bent)
    assert len(seen) == 3  # two spans, then all
    assert [s.min() for s in seen] == [bent.begins_ms.min()] * 3
    assert seen[0].max() < seen[1].max() < seen[2].max() == bent.begins_ms.max()


def test_too_few_weeks_for_a_choice_leave_the_logistic_candidate(bent):
    some = bent.rows(np.arange(60))
    found = BlendLearner().fit(some)
    assert (found.weight, found.boosted) == (0.0, None)
    np.testing.assert_array_equal(
        found.probability(some.features), SklearnLearner().fit(some).probability(some.features)
    )


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 2, st.booleans()), min_size=1, max_size=30))
def test_no_weight_has_a_smaller_error_than_the_chosen_one(rows):
    logistic, trees, onset = (np.array(c, np.float64) for c in zip(*rows, strict=True))
    chosen = blend_weight(blend_errors(logistic, trees, onset))
    errors = [(((1 - w) * logistic + w * trees - onset) ** 2).sum() for w in WEIGHTS]
    assert errors[WEIGHTS.index(chosen)] == min(errors)


def test_equal_errors_choose_fewer_trees():
    assert blend_weight(np.ones(len(WEIGHTS))) == 0.0


# equal models, equal bytes


def test_the_same_examples_make_the_same_bytes(bent, model):
    again = blend_to_onnx(BlendLearner().fit(bent))
    assert hashlib.sha256(again).digest() == hashlib.sha256(blend_to_onnx(model)).digest()


# export


@pytest.mark.parametrize("weight", WEIGHTS)
def test_each_weight_answers_the_same(model, bent, weight):
    blend = BlendModel(model.logistic, model.boosted if weight else None, weight)
    data = blend_to_onnx(blend)
    assert check_parity(blend, data, bent.features) <= PARITY_LIMIT
    assert np.ptp(Inference(data).probability(bent.features)) > 0.01


def test_answers_at_the_thresholds_and_beside_them(model):
    """A threshold that is rounded up in the file would send the next feature the other way."""
    assert model.boosted is not None
    nodes = np.concatenate([tree.nodes for (tree,) in model.boosted.trees._predictors])
    inner = nodes[nodes["is_leaf"] == 0]
    rows = np.zeros((3 * len(inner), len(FEATURE_NAMES)), np.float32)
    at = inner["num_threshold"].astype(np.float32)
    beside = (at, np.nextafter(at, np.float32(np.inf)), np.nextafter(at, np.float32(-np.inf)))
    for offset, values in enumerate(beside):
        rows[np.arange(len(inner)) * 3 + offset, inner["feature_idx"]] = values
    asked = rows.astype(np.float64)
    alone = BlendModel(model.logistic, model.boosted, 1.0)
    found = Inference(blend_to_onnx(alone)).probability(asked)
    assert len(asked) > 1000
    assert np.abs(found - alone.probability(asked)).max() <= PARITY_LIMIT


def test_exact_thresholds_would_not_pass(bent):
    """Neighbours in float32: the threshold between them is no float32 number."""
    draw = np.random.default_rng(5)
    close = np.float32(1.0) + np.float32(2**-23) * draw.integers(0, 4, COUNT).astype(np.float32)
    values = np.zeros((COUNT, len(FEATURE_NAMES)))
    values[:, FIRST] = close  # the baseline does not see it
    labels = (draw.random(COUNT) < np.where(close > np.median(close), 0.9, 0.1)).astype(float)
    examples = replace(bent, features=values, labels=labels)
    rounded = BoostingLearner().fit(examples)
    exact = HistGradientBoostingRegressor(**TREES, early_stopping=False, random_state=0)
    exact.fit(values, labels - rounded.baseline.probability(values))
    apart = []
    for boosted in (Boosted(rounded.baseline, exact), rounded):
        blend = BlendModel(rounded.baseline, boosted, 1.0)
        found = Inference(blend_to_onnx(blend)).probability(values)
        apart.append(np.abs(found - blend.probability(values)).max())
    assert apart[0] > 0.1
    assert apart[1] <= PARITY_LIMIT


def test_columns_that_are_0_for_a_cooler_without_humidity(bent):
    features = bent.features.copy()
    features[:, [i for i, name in enumerate(FEATURE_NAMES) if name.startswith(MOIST)]] = 0.0
    cooler = replace(bent, features=features)
    model = BlendModel(SklearnLearner().fit(cooler), BoostingLearner().fit(cooler), 0.5)
    data = blend_to_onnx(model)
    assert check_parity(model, data, features) <= PARITY_LIMIT
    moved = features[:100].copy()
    moved[:, FEATURE_NAMES.index("humidity_change_1h")] = 3.0
    np.testing.assert_array_equal(
        Inference(data).probability(moved), Inference(data).probability(features[:100])
    )


def test_another_weight_is_refused(half, bent):
    data = blend_to_onnx(BlendModel(half.logistic, half.boosted, 0.51))
    with pytest.raises(ParityError, match="differs from the trained one by"):
        check_parity(half, data, bent.features)


def test_it_has_the_form_and_the_size_that_gateways_take(half):
    data = blend_to_onnx(half)
    assert len(data) < _LIMITS_BYTES["model.onnx"] / 4
    made = onnx.load_from_string(data)
    (wanted,), (answer,) = made.graph.input, made.graph.output
    assert (wanted.name, answer.name) == ("features", "probability")
    assert made.ir_version <= 8
    assert [(o.domain, o.version) for o in made.opset_import] == [("", 15), ("ai.onnx.ml", 1)]
    assert Inference(data).columns == len(FEATURE_NAMES)
    np.testing.assert_array_equal(
        Inference(data).one_by_one(np.zeros((3, len(FEATURE_NAMES)))),
        Inference(data).probability(np.zeros((3, len(FEATURE_NAMES)))),
    )
