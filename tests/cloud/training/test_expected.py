"""Warnings and events of judged windows, counted as a gateway raises them."""

from dataclasses import replace

import numpy as np
import pytest

from cloud.training.expected import expected
from cloud.training.history import History
from cloud.training.learners import SklearnLearner

HOUR = 3_600_000
HORIZON_H = 6


def timeline(plain_history, holds_at, hours, device="gw-1"):
    """Hourly steps of one device; the condition is true in the given hours."""
    begins = np.arange(hours) * HOUR
    holds = np.isin(np.arange(hours), holds_at)
    changed = np.diff(holds, prepend=False)
    begun = np.flatnonzero(changed & holds)
    ahead = begun[None, :] - np.arange(hours)[:, None]
    labels = ((ahead > 0) & (ahead <= HORIZON_H)).any(axis=1).astype(float)
    history = plain_history(begins, labels, device=device)
    return replace(history, holds=holds, changed=changed)


def counted(history, probability, condition, warn_at=0.5):
    """Counts for a probability of each hour in which the condition is false."""
    judged = history.rows(~history.holds)
    answers = np.array(probability, np.float64)[~history.holds]
    found = expected(history, judged, answers, condition, warn_at)
    totals = found.warnings_total, found.warnings_true, found.events_total
    return *totals, found.events_announced


def at_hours(hours, total=60):
    return np.isin(np.arange(total), hours) * 1.0


@pytest.mark.parametrize(
    ("warned", "counts"),
    [
        ([], (0, 0, 2, 0)),
        ([18, 19], (1, 1, 2, 1)),  # the event at 20 was announced 2 h before
        ([19], (1, 1, 2, 0)),  # 1 h before is late
        ([14], (1, 1, 2, 1)),  # one horizon before
        ([13], (1, 0, 2, 0)),  # earlier than the horizon: false
        ([15, 17], (2, 2, 2, 1)),  # ended between, raised again
        ([18, 19, 22, 23], (2, 1, 2, 1)),  # the event ends a warning
        ([5, 6, 7, 45, 46], (2, 1, 2, 1)),
        ([*range(60)], (3, 2, 2, 2)),  # until 20, between both, after the last
    ],
)
def test_warnings_and_events(plain_history, dampness, warned, counts):
    history = timeline(plain_history, [20, 21, 50], 60)
    if warned == [*range(60)]:
        counts = (3, 0, 2, 2)  # the first was raised 20 h before, the second 28 h before
    assert counted(history, at_hours(warned), dampness) == counts


def test_a_gap_of_a_horizon_ends_a_warning(plain_history, dampness):
    history = timeline(plain_history, [50], 60)
    answers = at_hours([*range(10, 30)])
    rows = (np.arange(60) < 12) | (np.arange(60) >= 12 + HORIZON_H)
    found = expected(history, history.rows(rows), answers[rows], dampness, 0.5)
    assert found.warnings_total == 2
    rows[12 + HORIZON_H - 1] = rows[12] = True
    found = expected(history, history.rows(rows), answers[rows], dampness, 0.5)
    assert found.warnings_total == 1


def test_each_device_has_its_own_warnings(plain_history, dampness):
    parts = [timeline(plain_history, [20], 60, name) for name in ("gw-1", "gw-2")]
    both = History(
        *(
            np.concatenate([getattr(p, name) for p in parts])
            for name in History.__dataclass_fields__
        )
    )
    answers = np.concatenate([at_hours([17, 18, 19]), at_hours([30])])
    assert counted(both, answers, dampness) == (2, 1, 2, 1)


def test_an_event_that_no_window_could_announce_does_not_count(plain_history, dampness):
    history = timeline(plain_history, [20, 50], 60)
    judged = history.rows(~history.holds & (np.arange(60) > 20))
    found = expected(history, judged, np.zeros(len(judged)), dampness, 0.5)
    assert (found.events_total, found.events_announced) == (1, 0)
    assert (found.warn_at, found.lead_s) == (0.5, dampness.horizon_s // 3)
    none = expected(history, judged.rows(np.arange(0)), np.empty(0), dampness, 0.5)
    assert (none.warnings_total, none.events_total) == (0, 0)


def test_probabilities_are_rounded_as_on_a_gateway(plain_history, dampness):
    history = timeline(plain_history, [20], 60)
    assert counted(history, at_hours([18]) * 0.4999996, dampness)[0] == 1
    assert counted(history, at_hours([18]) * 0.4999994, dampness)[0] == 0


def test_on_a_real_recording_counts_are_those_of_a_walk_through_it(
    recorded_history, demo_conditions
):
    """A loop over a gateway's forecasts, step by step, counts the same."""
    (damp,) = (c for c in demo_conditions if c.id == "damp")
    history = recorded_history("damp")
    history = history.rows(history.begins_ms < history.begins_ms.min() + 120 * 24 * HOUR)
    examples = history.examples
    answers = SklearnLearner().fit(examples).probability(examples.features)
    found = expected(history, examples, answers, damp, 0.4)
    by_hand = sum(
        np.array(walked_through(own, examples, answers, damp)) for _, own in history.by_device()
    )
    counts = (found.warnings_total, found.warnings_true, found.events_total)
    assert (*counts, found.events_announced) == tuple(by_hand.tolist())
    assert found.events_total > 50
    assert 0 < found.warnings_true < found.warnings_total


def walked_through(own, examples, answers, condition):
    mine = examples.devices == own.devices[0]
    known = dict(zip(examples.begins_ms[mine].tolist(), answers[mine].tolist(), strict=True))
    horizon_ms = condition.horizon_s * 1000
    opened, latest, warned, asked, events = [], None, [], [], []
    for begin, at, holds, changed in zip(
        own.begins_ms.tolist(), own.at_ms.tolist(), own.holds, own.changed, strict=True
    ):
        if holds:
            latest = None
            if changed:
                events.append((at, begin))
        if holds or begin not in known:
            continue
        asked.append((at, begin))
        if round(known[begin], 6) < 0.4:
            latest = None
            continue
        if latest is None or at - latest >= horizon_ms:
            opened.append(begin)
        latest = at
        warned.append((at, begin))
    # as labels count: an event in one of the horizon's steps after the forecast's own
    true = [any(0 < b - begin <= horizon_ms for _, b in events) for begin in opened]
    possible = announced = 0
    before = 0
    for at, b in events:  # a window belongs to the next event after it
        near = [of for of, begin in asked if of >= before and 0 < b - begin <= horizon_ms]
        early = [
            of
            for of, begin in warned
            if of >= before and 0 < b - begin <= horizon_ms and at - of >= horizon_ms / 3
        ]
        possible, announced, before = possible + bool(near), announced + bool(early), at
    return len(opened), sum(true), possible, announced
