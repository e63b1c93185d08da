"""Learners: the baseline is all that a candidate has to beat, and calibration proves itself."""

import numpy as np
import pytest

from cloud.training.learners import (
    CLIP,
    FIRST,
    LOGIT_WEIGHT,
    BaselineLearner,
    Beyond,
    SklearnLearner,
    SklearnModel,
    calibration,
    logit,
)
from models.features import BASELINE_NAMES, FEATURE_NAMES

NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z
HOUR = 3_600_000


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


@pytest.fixture(scope="module")
def drawn(plain_history):
    """Half a year in which the onset depends on known log odds of two columns."""
    draw = np.random.default_rng(17)
    count = 180 * 24
    features = draw.normal(0, 1, (count, len(FEATURE_NAMES)))
    odds = -1.5 + 1.2 * features[:, 0] + 0.8 * features[:, FIRST]
    labels = (draw.random(count) < sigmoid(odds)).astype(float)
    return plain_history(NEW_YEAR + HOUR * np.arange(count), labels, features.T), odds


def test_the_baseline_takes_its_own_columns_and_no_others(drawn):
    examples, _ = drawn
    model = BaselineLearner().fit(examples)
    moved = examples.features.copy()
    moved[:, FIRST:] = 1e6
    np.testing.assert_array_equal(model.probability(moved), model.probability(examples.features))
    assert len(BASELINE_NAMES) == FIRST


def test_a_candidate_finds_what_the_baseline_cannot_see(drawn):
    examples, odds = drawn
    learned, asked = (examples.rows(np.arange(len(odds)) % 2 == half) for half in (0, 1))
    best = ((sigmoid(odds[1::2]) - asked.labels) ** 2).mean()
    briers = [
        ((learner.fit(learned).probability(asked.features) - asked.labels) ** 2).mean()
        for learner in (BaselineLearner(), SklearnLearner())
    ]
    assert best - 0.001 < briers[1] < best + 0.005
    assert briers[1] < briers[0] - 0.008


def test_with_nothing_to_add_it_repeats_the_baseline(plain_history):
    draw = np.random.default_rng(18)
    distance = draw.normal(0, 1, 4000)
    labels = (draw.random(4000) < sigmoid(distance - 1)).astype(float)
    examples = plain_history(NEW_YEAR + HOUR * np.arange(4000), labels, [distance])
    baseline, candidate = (
        learner.fit(examples).probability(examples.features)
        for learner in (BaselineLearner(), SklearnLearner())
    )
    np.testing.assert_allclose(candidate, baseline, atol=0.01)


def test_what_nobody_has_seen_does_not_decide_alone(drawn):
    examples, _ = drawn
    beyond = Beyond().fit(examples.features, examples.labels)
    far = examples.features[:3].copy()
    far[:, FIRST:] = [[1e9], [-1e9], [0.0]]
    seen = beyond.transform(far)
    assert (seen[0, 1:] == CLIP).all()
    assert (seen[1, 1:] == -CLIP).all()
    expected = LOGIT_WEIGHT * logit(BaselineLearner().fit(examples).probability(far))
    np.testing.assert_allclose(seen[:, 0], expected)


def test_the_same_examples_make_the_same_model(drawn):
    examples, _ = drawn
    one, two = (SklearnLearner().fit(examples).probability(examples.features) for _ in range(2))
    np.testing.assert_array_equal(one, two)


# calibration


def test_what_is_calibrated_stays(drawn):
    examples, odds = drawn
    slope, offset = calibration(examples, lambda _rows, asked: odds[asked])
    assert (slope, offset) == (1.0, 0.0) or (abs(slope - 1) < 0.15 and abs(offset) < 0.2)


@pytest.mark.parametrize(("factor", "shift"), [(3.0, 0.0), (0.4, 1.0), (1.0, -2.0)])
def test_what_is_not_is_put_right(drawn, factor, shift):
    examples, odds = drawn
    slope, offset = calibration(examples, lambda _rows, asked: factor * odds[asked] + shift)
    found = slope * (factor * odds + shift) + offset
    assert np.abs(sigmoid(found) - sigmoid(odds)).max() < 0.06


def test_calibration_that_follows_chance_is_left(plain_history):
    """Logits that are right already: a sigmoid fitted to few of them is mostly no better."""
    stayed = []
    for seed in range(12):
        draw = np.random.default_rng(seed)
        odds = draw.normal(-1, 1.5, 600)
        labels = (draw.random(600) < sigmoid(odds)).astype(float)
        examples = plain_history(NEW_YEAR + 7 * HOUR * np.arange(600), labels)
        found = calibration(examples, lambda _rows, asked, odds=odds: odds[asked])
        stayed.append(found == (1.0, 0.0))
    print(f"{sum(stayed)} of 12 stayed")
    assert sum(stayed) >= 6


def test_a_score_is_asked_for_weeks_that_it_has_not_seen(drawn):
    examples, odds = drawn
    week, asked_weeks = examples.begins_ms // (7 * 24 * HOUR), []

    def score(rows, asked):
        assert not set(week[rows]) & set(week[asked])
        asked_weeks.extend(set(week[asked]))
        return odds[asked]

    calibration(examples, score)
    assert sorted(asked_weeks) == sorted(set(week))


def test_too_little_to_calibrate_stays(plain_history):
    labels = np.r_[np.ones(20), np.zeros(480)]
    examples = plain_history(NEW_YEAR + HOUR * np.arange(500), labels)
    assert calibration(examples, lambda _rows, asked: np.zeros(asked.sum())) == (1.0, 0.0)


def test_a_calibrated_probability_by_hand():
    class Half:
        def predict_proba(self, values):
            return np.array([[0.75, 0.25]] * len(values))

    found = SklearnModel(Half(), slope=2.0, offset=-1.0).probability(np.zeros((2, 1)))
    assert found == pytest.approx([1 / (1 + np.exp(2 * np.log(3) + 1))] * 2)
    assert logit(np.array([0.5, 0.0, 1.0])) == pytest.approx([0, -13.8155, 13.8155], abs=1e-4)
