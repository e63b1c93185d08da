"""Trains gradient-boosted trees on all features, and blends of them with the logistic candidate.

Trees fit shapes that a logistic regression cannot fit, and have more freedom than little data can
support. So they only correct the baseline's probability, they are strongly regularised, and a
blend's weight is chosen on weeks that the models behind this choice have not seen. Weight 0 is the
logistic candidate, weight 1 the corrected baseline.

Gateways compare features with thresholds as float32. A threshold between two float32 numbers would
be rounded in the ONNX file, and a feature beside it could take the other branch: the answer would
jump. So each threshold is rounded down to a float32 number in the trained model already; for every
float32 feature the comparison stays the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from cloud.training.history import History
from cloud.training.learners import BaselineLearner, SklearnLearner, SklearnModel
from cloud.training.walk import learnable
from models.skill import WEEK_MS

__all__ = [
    "BLEND",
    "BOOSTING",
    "SEED",
    "TREES",
    "WEIGHTS",
    "BlendLearner",
    "BlendModel",
    "Boosted",
    "BoostingLearner",
    "blend_weight",
]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BLEND, BOOSTING = "blend", "boosting"
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)  # shares of `boosted` among which a blend chooses
SEED = 0
# Chosen on January to August of the recording of `make bench-skill`; see docs/adr.
TREES = {
    "learning_rate": 0.05,
    "max_iter": 100,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 200,
    "l2_regularization": 100.0,
    "max_bins": 127,
}
_THREADS = 1  # the same sums, in the same order, on every machine
_SPANS = 4  # a blend's weight is chosen on the last two of four spans of weeks


@dataclass(frozen=True, slots=True)
class Boosted:
    """The baseline with trees that correct it.

    Attributes:
        baseline: The fitted baseline.
        trees: Fitted `HistGradientBoostingRegressor`; its thresholds are float32 numbers.
    """

    baseline: SklearnModel
    trees: Any

    def probability(self, values: Floats) -> Floats:
        """Return the probability of onset for each row of features, rounded to float32."""
        with threadpool_limits(_THREADS):
            correction = self.trees.predict(_single(values))
        found: Floats = np.clip(self.baseline.probability(values) + correction, 0.0, 1.0)
        return found


class BoostingLearner:
    """Trains trees without a blend; the benches compare both, the cycle uses only blends."""

    family = BOOSTING

    def fit(self, examples: History) -> Boosted:
        """Return the baseline and trees, fitted to the examples.

        Trees learn the difference between truth and the baseline's probability by squared error,
        which is the score that the judge uses.
        """
        baseline = BaselineLearner().fit(examples)
        trees = HistGradientBoostingRegressor(**TREES, early_stopping=False, random_state=SEED)
        missed = examples.labels - baseline.probability(examples.features)
        with threadpool_limits(_THREADS):
            trees.fit(_single(examples.features), missed)
        _round_thresholds(trees)
        return Boosted(baseline, trees)


def _single(values: Floats) -> Floats:
    return values.astype(np.float32).astype(np.float64)


def _round_thresholds(trees: Any) -> None:
    # skl2onnx reads these nodes too; the version of scikit-learn is pinned.
    for (tree,) in trees._predictors:  # noqa: SLF001 - there is no public way to the nodes
        exact = tree.nodes["num_threshold"]
        rounded = exact.astype(np.float32)
        above = rounded > exact
        rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
        tree.nodes["num_threshold"] = rounded


@dataclass(frozen=True, slots=True)
class BlendModel:
    """A weighted mean of two probabilities: the logistic candidate's and the corrected baseline's.

    Attributes:
        logistic: The logistic candidate.
        boosted: The corrected baseline; None at weight 0.
        weight: Share of `boosted`, 0 to 1.
    """

    logistic: SklearnModel
    boosted: Boosted | None
    weight: float

    def probability(self, values: Floats) -> Floats:
        """Return the probability of onset for each row of features."""
        if self.boosted is None:
            return self.logistic.probability(values)
        if self.weight == 1.0:
            return self.boosted.probability(values)
        found = (self.logistic.probability(values), self.boosted.probability(values))
        return (1 - self.weight) * found[0] + self.weight * found[1]


class BlendLearner:
    """Trains blends of the logistic candidate and trees."""

    family = BLEND

    def __init__(self) -> None:
        self._logistic, self._boosting = SklearnLearner(), BoostingLearner()

    def fit(self, examples: History) -> BlendModel:
        """Return a blend that is fitted to the examples."""
        weight = self._weight(examples)
        boosted = self._boosting.fit(examples) if weight else None
        return BlendModel(self._logistic.fit(examples), boosted, weight)

    def _weight(self, examples: History) -> float:
        errors = np.zeros(len(WEIGHTS))
        for before, span in _spans(examples):
            known, asked = examples.rows(before), examples.rows(span)
            pair = (self._logistic.fit(known), self._boosting.fit(known))
            logistic, boosted = (model.probability(asked.features) for model in pair)
            errors += blend_errors(logistic, boosted, asked.labels)
        return blend_weight(errors)


def _spans(examples: History) -> Iterator[tuple[Flags, Flags]]:
    """Yield training rows and the rows of the span of weeks that follows them, in order."""
    week = examples.begins_ms // WEEK_MS
    for weeks in np.array_split(np.unique(week), _SPANS)[-2:]:
        if len(weeks):
            before, span = week < weeks[0], (week >= weeks[0]) & (week <= weeks[-1])
            if learnable(examples.labels[before]):
                yield before, span


def blend_errors(logistic: Floats, boosted: Floats, onset: Floats) -> Floats:
    """Return the sum of squared errors of each of `WEIGHTS`."""
    return np.array([(((1 - w) * logistic + w * boosted - onset) ** 2).sum() for w in WEIGHTS])


def blend_weight(errors: Floats) -> float:
    """Return the weight with the smallest error; the smaller one if two are equal."""
    return WEIGHTS[int(np.argmin(errors))]
