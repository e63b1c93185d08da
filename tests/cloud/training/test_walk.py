"""Walk-forward: months, nothing that a tested window could have leaked into training."""

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.training.walk import (
    MIN_ONSETS,
    Fold,
    folds,
    learnable,
    month_starts,
    purge_ms,
    walk,
)
from contract.signals import Signal
from models.conditions import load_conditions
from models.features import LAGS, MAX_AGE_H, features, windows
from models.replay import Readings, onsets, replay

HOUR = 3_600_000
DAY = 24 * HOUR


def ms(text):
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def condition(**keys):
    table = {
        "id": "damp",
        "signal": "air/humidity",
        "temperature": "air/temperature",
        "pressure": "roof/pressure",
        "comparison": "above",
        "limit": 70.0,
        "step_s": 3600,
        "max_age_s": 7200,
        **keys,
    }
    return load_conditions([table], "here")[0]


# months


def test_months_begin_in_utc_and_years_go_on():
    found = month_starts(ms("2012-11-15"), ms("2013-03-01"))
    assert found == [ms(d) for d in ("2012-12-01", "2013-01-01", "2013-02-01")]
    assert month_starts(ms("2013-03-01"), ms("2013-03-01T00:00:00.001")) == [ms("2013-03-01")]
    assert month_starts(ms("2013-03-01"), ms("2013-03-01")) == []
    assert month_starts(ms("2024-02-29"), ms("2024-03-02")) == [ms("2024-03-01")]


@given(st.integers(0, 2**42), st.integers(0, 3 * 366 * DAY))
def test_month_starts_are_all_there_are(begin, length):
    found = month_starts(begin, begin + length)
    assert found == sorted(set(found))
    for at in found:
        when = datetime.fromtimestamp(at / 1000, tz=UTC)
        assert (when.day, when.hour, when.minute, when.second, at % 1000) == (1, 0, 0, 0, 0)
        assert begin <= at < begin + length
    # no month is left out: two neighbours are never further apart than a long month
    edges = [begin, *found, begin + length]
    assert max(b - a for a, b in pairwise(edges)) <= 31 * DAY


def test_folds_are_months_cut_to_the_span():
    purged = purge_ms(condition())
    assert folds(ms("2013-03-10"), ms("2013-05-02"), condition()) == [
        Fold(ms(a), ms(a) + purged, ms(b))
        for a, b in (
            ("2013-03-10", "2013-04-01"),
            ("2013-04-01", "2013-05-01"),
            ("2013-05-01", "2013-05-02"),
        )
    ]
    assert folds(ms("2013-03-01"), ms("2013-03-01"), condition()) == []


@given(st.integers(0, 2**41), st.integers(1, 366 * DAY))
def test_folds_cover_the_span_but_for_what_is_purged(begin, length):
    found = folds(begin, begin + length, condition())
    assert found[0].until_ms == begin
    assert found[-1].to_ms == begin + length
    for one, after in pairwise(found):
        assert one.to_ms == after.until_ms
    for one in found:
        assert one.from_ms == one.until_ms + purge_ms(condition())


# purge


@given(
    horizon_s=st.integers(0, 3 * 86_400),
    step_s=st.sampled_from([60, 3600, 6 * 3600, 86_400]),
    offset_ms=st.integers(0, DAY),
)
def test_what_a_training_window_knew_ends_before_a_tested_one_begins(horizon_s, step_s, offset_ms):
    """In the words of the definition: instants that a training row depends on, and a tested one."""
    declared = condition(horizon_s=horizon_s, step_s=step_s)
    step_ms, until = step_s * 1000, 1000 * DAY + offset_ms
    (fold,) = folds(until, until + 1, declared)
    last_begin = (until - 1) // step_ms * step_ms  # of a step, on the grid of steps
    # Its label is that of the last of its next steps; that may complete when it ends.
    known_until = last_begin + (horizon_s // step_s) * step_ms + step_ms
    first_begin = -(-fold.from_ms // step_ms) * step_ms
    oldest_used = first_begin - (LAGS - 1) * HOUR - round(max(MAX_AGE_H[:2]) * HOUR)
    assert oldest_used >= known_until


def test_readings_that_a_label_needs_change_no_tested_window():
    """The same by doing: other weather up to the last label of training leaves the test alone."""
    declared = condition(horizon_s=6 * 3600, step_s=6 * 3600, max_age_s=6 * 3600)
    until = 100 * DAY
    (fold,) = folds(until, until + 10 * DAY, declared)
    names = [
        Signal.parse(f"{name}") for name in ("air/temperature", "air/humidity", "roof/pressure")
    ]
    draw = np.random.default_rng(5)
    rows = [(s, at) for at in range(until - 5 * DAY, until + 5 * DAY, HOUR) for s in names]
    signals, at_ms = zip(*rows, strict=True)
    values = np.where(np.arange(len(rows)) % 3 == 2, 1e5, draw.uniform(20, 90, len(rows)))
    made = Readings.of_rows(signals, np.array(at_ms, np.int64), values)
    steps = replay(declared, made)
    train = np.flatnonzero(steps.begins_ms < fold.until_ms)
    known = onsets(steps, declared)[train]
    # the last instant on which a training label depends
    deciding = int(steps.at_ms[train.max() + 1])
    other = Readings.of_rows(
        signals, made.at_ms, np.where(made.at_ms <= deciding, values + 1.0, values)
    )
    asked = steps.at_ms[steps.begins_ms >= fold.from_ms]
    assert min(len(known), len(asked)) > 0
    one, two = (features(windows(r, asked, declared), asked, declared) for r in (made, other))
    np.testing.assert_array_equal(one.values, two.values)


# learning


class Counting:
    """Learns the share of onsets, and remembers from when it learned."""

    family = "counting"

    def __init__(self):
        self.learned = []

    def fit(self, examples):
        self.learned.append((int(examples.begins_ms.min()), int(examples.begins_ms.max())))
        return Share(examples.labels.mean())


class Share:
    def __init__(self, share):
        self._share = share

    def probability(self, values):
        return np.full(len(values), self._share)


def test_each_month_is_judged_by_what_was_learned_before_it(plain_history):
    begins = np.arange(ms("2013-01-01"), ms("2013-05-01"), HOUR)
    months = np.array([datetime.fromtimestamp(b / 1000, tz=UTC).month for b in begins])
    labels = (np.arange(len(begins)) % 10 < months).astype(float)  # a tenth more each month
    examples = plain_history(begins, labels)
    splits = folds(ms("2013-02-01"), ms("2013-05-01"), condition())
    learner, told = Counting(), []
    walked = walk(examples, splits, [learner, Counting()], told.append)
    assert told == splits
    assert learner.learned == [(ms("2013-01-01"), ms(f"2013-{m:02}-01") - HOUR) for m in (2, 3, 4)]
    purged = purge_ms(condition())
    for month in (2, 3, 4):
        mine = months[walked.rows] == month
        first, next_month = ms(f"2013-{month:02}-01"), ms(f"2013-{month + 1:02}-01")
        expected = begins[(begins >= first + purged) & (begins < next_month)]
        np.testing.assert_array_equal(begins[walked.rows][mine], expected)
        share = labels[begins < first].mean()
        np.testing.assert_allclose(walked.probability[mine], share)
    assert walked.probability.shape == (len(walked.rows), 2)


def test_a_month_with_nothing_to_learn_from_is_left_out(plain_history):
    begins = np.arange(ms("2013-01-01"), ms("2013-04-01"), HOUR)
    labels = ((begins >= ms("2013-02-01")) & (np.arange(len(begins)) % 5 == 0)).astype(float)
    walked = walk(
        plain_history(begins, labels),
        folds(ms("2013-02-01"), ms("2013-04-01"), condition()),
        [Counting()],
    )
    assert begins[walked.rows].min() == ms("2013-03-01") + purge_ms(condition())
    nothing = walk(plain_history(begins, 0 * labels), folds(begins[0], begins[-1], condition()), [])
    assert len(nothing.rows) == 0
    assert nothing.probability.shape == (0, 0)


@pytest.mark.parametrize(
    ("onsets_total", "others", "expected"),
    [
        (MIN_ONSETS, MIN_ONSETS, True),
        (MIN_ONSETS - 1, 1000, False),
        (1000, MIN_ONSETS - 1, False),
        (0, 0, False),
    ],
)
def test_both_answers_must_occur_to_learn(onsets_total, others, expected):
    assert learnable(np.array([1.0] * onsets_total + [0.0] * others)) is expected
