"""The replay of decisions: what they realise of the gain that hindsight would have."""

from dataclasses import replace

import numpy as np
import pytest

from bench.decisions import Year, fraction, year_of
from cloud.training.history import History
from cloud.training.judge import Decision
from contract.signals import Signal
from models.conditions import Comparison, Condition
from models.features import FEATURE_NAMES, LAGS

DAY, HOUR = 86_400_000, 3_600_000
DAYS = 800
BEGIN = 1_356_998_400_000  # 2013-01-01T00:00:00Z
CONDITION = Condition(
    id="damp",
    signal=Signal.parse("air/humidity"),
    comparison=Comparison.ABOVE,
    limit=75.0,
    step_s=3600,
    max_age_s=7200,
)


class Column:
    """A learner whose model answers with one column of the features."""

    def __init__(self, family, column):
        self.family, self._column = family, column

    def fit(self, examples):
        assert len(examples)
        return self

    def probability(self, values):
        return values[:, self._column]


LEARNERS = Column("baseline", 0), (Column("learned", 1),)


def year(sharpness):
    """Hourly windows; `sharpness(day)` of the candidate, the baseline's is 0.2."""
    begins = np.arange(BEGIN, BEGIN + DAYS * DAY, HOUR)
    count, day = len(begins), (begins - BEGIN) / DAY
    labels = (np.arange(count) % 7 == 0).astype(float)
    features = np.zeros((count, len(FEATURE_NAMES)))
    for column, sharp in ((0, 0.2), (1, sharpness(day))):
        features[:, column] = 0.5 + sharp * (labels - 0.5)
    yes, no = np.ones(count, np.bool_), np.zeros(count, np.bool_)
    return History(
        devices=np.array(["gw-1"] * count, np.object_),
        begins_ms=begins,
        at_ms=begins,
        values=np.full(count, 60.0),
        holds=no,
        changed=no,
        full=yes,
        usable=yes,
        labels=labels,
        masked=no,
        fit=yes,
        features=features,
        grids=np.zeros((count, 3 * LAGS)),
    )


def test_a_model_that_is_always_better_is_adopted_once_and_kept():
    found = year_of(year(lambda day: 0.4 + 0 * day), CONDITION, LEARNERS)
    changed = [d for _, d in found.decisions if d is not Decision.INSUFFICIENT_EVIDENCE]
    assert changed[0] is Decision.ADOPTED
    assert set(changed[1:]) == {Decision.KEPT}
    first = next(at for at, d in found.decisions if d is Decision.ADOPTED)
    assert 8 * 7 * DAY < first - BEGIN < 150 * DAY
    assert found.best == pytest.approx(found.candidate)
    # what is missed is the time from the first model to the adoption
    begun = BEGIN + 1000 * HOUR  # so many windows are needed for a model
    share = 1 - (first - begun) / (BEGIN + DAYS * DAY - begun)
    assert 0.8 < share < 0.98
    assert fraction([found]) == pytest.approx(share, abs=0.015)


def test_a_model_that_is_never_better_gains_nothing():
    found = year_of(year(lambda day: 0.1 + 0 * day), CONDITION, LEARNERS)
    assert (found.realised, found.best, fraction([found])) == (0.0, 0.0, None)
    assert found.candidate < 0
    assert {d for _, d in found.decisions} == {Decision.REFUSED, Decision.INSUFFICIENT_EVIDENCE}


def test_seasons_bring_a_model_back():
    """The candidate helps, is worse than the baseline for 300 days, and helps again."""
    found = year_of(
        year(lambda day: np.where((day > 300) & (day < 600), 0.1, 0.4)), CONDITION, LEARNERS
    )
    decided = [d for _, d in found.decisions]
    changes = [d for d in decided if d in (Decision.BASELINE, Decision.RETURNED, Decision.ADOPTED)]
    assert changes[:2] == [Decision.ADOPTED, Decision.BASELINE]
    assert len(changes) == 3  # the newest candidate is the same model
    assert 0.3 < fraction([found]) < 0.9


def test_windows_without_known_truth_teach_nothing():
    """A horizon longer than the recording: no truth is known in time."""
    endless = replace(CONDITION, horizon_s=10**8)
    found = year_of(year(lambda day: 0.4 + 0 * day), endless, LEARNERS)
    assert {d for _, d in found.decisions} == {Decision.INSUFFICIENT_EVIDENCE}
    assert (found.realised, found.best) == (0.0, 0.0)


def test_fractions_add_up_by_gain():
    def gains(realised, best):
        return Year(realised=realised, best=best, candidate=0.0, decisions=())

    assert fraction([gains(1.0, 2.0), gains(3.0, 6.0)]) == 0.5
    assert fraction([gains(-1.0, 2.0), gains(4.0, 4.0)]) == 0.5
    assert fraction([]) is None
