"""Trains the baseline and the scikit-learn candidate.

The baseline is strong: a logistic regression on the signal's distance to its limit, with hinges
before the limit, and the hour of day. The candidate learns from the baseline's logit (log odds) and
the changes of the past day. If these changes add nothing, the candidate repeats the baseline.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from cloud.training.history import History
from cloud.training.walk import learnable
from models.features import BASELINE_NAMES
from models.skill import WEEK_MS

__all__ = [
    "BASELINE",
    "SKLEARN",
    "BaselineLearner",
    "Beyond",
    "SklearnLearner",
    "SklearnModel",
    "calibration",
    "logit",
    "sigmoid",
]

Floats = NDArray[np.float64]
Score = Callable[[NDArray[np.bool_], NDArray[np.bool_]], Floats]

BASELINE, SKLEARN = "baseline", "sklearn"
FIRST = len(BASELINE_NAMES)
CLIP = 4.0  # standard deviations: an hour with extreme values must not dominate the result
LOGIT_WEIGHT = 5.0  # a weight w makes the penalty on the logit's coefficient w² times smaller
REGULARISATION = 0.03  # C of scikit-learn
_SOLVER = "newton-cholesky"  # needs few iterations for many windows and few features
_THREADS = 1  # for such narrow matrices, several BLAS threads are 4 times slower
_PARTS = 6  # parts into which calibration divides the weeks
_CERTAIN = 1e-6


def logit(probability: Floats) -> Floats:
    """Return log odds of probabilities, which are first clipped to [1e-6, 1 - 1e-6]."""
    p = np.clip(probability, _CERTAIN, 1 - _CERTAIN)
    found: Floats = np.log(p / (1 - p))
    return found


def baseline_pipeline() -> Pipeline:
    """Return the baseline's estimator, which uses only the first columns of the features."""
    scaled = ColumnTransformer([("scaled", StandardScaler(), slice(0, FIRST))])
    return make_pipeline(scaled, LogisticRegression(solver=_SOLVER))


class Beyond(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Transforms features to the candidate's columns: the baseline's logit, clipped changes.

    Attributes:
        baseline_: The fitted baseline.
        scaler_: The scaler with mean and deviation of the changes.
        n_features_in_: Number of columns of the features.
    """

    def fit(self, values: Floats, onset: Floats) -> Self:
        """Fit the baseline and the scaler."""
        with threadpool_limits(_THREADS, user_api="blas"):
            self.baseline_ = baseline_pipeline().fit(values, onset)
            self.scaler_ = StandardScaler().fit(values[:, FIRST:])
        self.n_features_in_ = values.shape[1]
        return self

    def transform(self, values: Floats) -> Floats:
        """Return the candidate's columns, one row for each window."""
        score = LOGIT_WEIGHT * self.baseline_.decision_function(values)
        changes = np.clip(self.scaler_.transform(values[:, FIRST:]), -CLIP, CLIP)
        return np.hstack([score[:, None], changes])


@dataclass(frozen=True, slots=True)
class SklearnModel:
    """A fitted pipeline and the calibration of its logit.

    Attributes:
        pipeline: Pipeline from features to probability.
        slope: Slope of the calibrated logit, slope * logit + offset.
        offset: See `slope`.
    """

    pipeline: Any
    slope: float = 1.0
    offset: float = 0.0

    def probability(self, values: Floats) -> Floats:
        """Return the probability of onset for each row of features."""
        raw = self.pipeline.predict_proba(values)[:, 1]
        return calibrated(raw, self.slope, self.offset)


def calibrated(raw: Floats, slope: float, offset: float) -> Floats:
    """Return raw probabilities after sigmoid calibration (Platt 1999)."""
    if (slope, offset) == (1.0, 0.0):
        return raw
    return sigmoid(slope * logit(raw) + offset)


class BaselineLearner:
    """Trains the baseline, which every other model must beat."""

    family = BASELINE

    def fit(self, examples: History) -> SklearnModel:
        """Return a baseline that is fitted to the examples."""
        with threadpool_limits(_THREADS, user_api="blas"):
            return SklearnModel(baseline_pipeline().fit(examples.features, examples.labels))


class SklearnLearner:
    """Trains scikit-learn's logistic regression on the baseline's logit and the changes."""

    family = SKLEARN

    def fit(self, examples: History) -> SklearnModel:
        """Return a calibrated model that is fitted to the examples."""
        with threadpool_limits(_THREADS, user_api="blas"):
            return self._fit(examples)

    @staticmethod
    def _fit(examples: History) -> SklearnModel:
        beyond = Beyond().fit(examples.features, examples.labels)
        seen = beyond.transform(examples.features)
        slope, offset = calibration(
            examples, lambda rows, asked: _last(seen, examples, rows, asked)
        )
        last = _regression().fit(seen, examples.labels)
        return SklearnModel(Pipeline([("beyond", beyond), ("last", last)]), slope, offset)


def _regression() -> LogisticRegression:
    return LogisticRegression(C=REGULARISATION, solver=_SOLVER)


def _last(
    seen: Floats, examples: History, rows: NDArray[np.bool_], asked: NDArray[np.bool_]
) -> Floats:
    fitted = _regression().fit(seen[rows], examples.labels[rows])
    found: Floats = fitted.decision_function(seen[asked])
    return found


def calibration(examples: History, score: Score) -> tuple[float, float]:
    """Return slope and offset of sigmoid calibration, from logits of left-out weeks.

    If calibration does not lower the Brier score of weeks that it has not seen, the logits stay
    unchanged.

    Args:
        examples: The training examples.
        score: Function from (training rows, test rows) to the logits of the test rows.

    Returns:
        Slope and offset; 1 and 0 if the logits stay unchanged.
    """
    week = examples.begins_ms // WEEK_MS
    part = np.zeros_like(week)
    for number, weeks in enumerate(np.array_split(np.unique(week), _PARTS)):
        part[np.isin(week, weeks)] = number
    logits = np.full(len(examples), np.nan)
    for number in range(_PARTS):
        left_out = part == number
        if left_out.any() and learnable(examples.labels[~left_out]):
            logits[left_out] = score(~left_out, left_out)
    known = ~np.isnan(logits)
    return _proven(logits[known], examples.labels[known], part[known])


def _proven(logits: Floats, onset: Floats, part: NDArray[np.int64]) -> tuple[float, float]:
    before = after = 0.0
    for number in np.unique(part):
        mine = part == number
        if not learnable(onset[~mine]):
            return 1.0, 0.0
        slope, offset = _fitted_sigmoid(logits[~mine], onset[~mine])
        before += float(((sigmoid(logits[mine]) - onset[mine]) ** 2).sum())
        after += float(((sigmoid(slope * logits[mine] + offset) - onset[mine]) ** 2).sum())
    return _fitted_sigmoid(logits, onset) if after < before else (1.0, 0.0)


def _fitted_sigmoid(logits: Floats, onset: Floats) -> tuple[float, float]:
    fitted = LogisticRegression(C=1e6, solver=_SOLVER).fit(logits[:, None], onset)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def sigmoid(logits: Floats) -> Floats:
    """Return the probabilities of log odds."""
    found: Floats = 1 / (1 + np.exp(-logits))
    return found
