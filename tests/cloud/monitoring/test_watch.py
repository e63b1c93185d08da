"""What monitoring says of outcomes, and when it asks for a training."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.monitoring.rows import ALL, Outcomes
from cloud.monitoring.watch import Service, assess, drift, due
from models.features import BASELINE_NAMES, FEATURE_NAMES
from models.skill import Skill, skill

NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z
HOUR, DAY, WEEK = 3_600_000, 86_400_000, 604_800_000


def outcomes_of(rows):
    """From (device, origin, version, issued_at, probability, baseline, onset)."""
    devices, origins, versions, at, p, b, onset = zip(*rows, strict=True) if rows else [()] * 7
    words = [np.array(w, np.object_) for w in (devices, origins, ["damp"] * len(rows), versions)]
    return Outcomes(*words, np.array(at, np.int64), *(np.array(f, float) for f in (p, b, onset)))


def year(seed=7, devices=("ewr", "jfk"), origins=("edge", "cloud")):
    """Twelve weeks in which the model knows half of what happens and the baseline the share."""
    rng = np.random.default_rng(seed)
    rows = []
    for device in devices:
        for hour in range(0, 12 * 168, 3):
            onset = int(rng.random() < 0.2)
            for origin in origins:
                told = 0.1 + 0.4 * onset
                rows.append((device, origin, "v1", NEW_YEAR + hour * HOUR, told, 0.2, onset))
    return rows


def by_name(assessment):
    return {(r.device_id, r.origin): r for r in assessment.monitoring}


def test_each_device_and_origin_has_its_row_and_so_have_all_of_them():
    found = by_name(assess(outcomes_of(year()), "damp", drift_psi=0.1, reason="it is cold"))
    names = [(d, o) for d in (ALL, "ewr", "jfk") for o in (ALL, "cloud", "edge")]
    assert list(found) == names
    assert [found[n].outcomes_total for n in names] == [2688, 1344, 1344, *[1344, 672, 672] * 2]
    whole = found[ALL, ALL]
    assert (whole.drift_psi, whole.retrain, whole.reason) == (0.1, True, "it is cold")
    others = {(r.drift_psi, r.retrain, r.reason) for n, r in found.items() if n != (ALL, ALL)}
    assert others == {(None, False, None)}


def test_the_figures_are_those_of_the_skill_score():
    rows = [r for r in year() if (r[0], r[1]) == ("jfk", "edge")]
    found = by_name(assess(outcomes_of(year()), "damp"))["jfk", "edge"]
    p, b, onset = (np.array(c, float) for c in list(zip(*rows, strict=True))[4:])
    # by hand: 0.1 off where nothing began and 0.5 where something did
    share = onset.mean()
    assert found.brier == pytest.approx(0.01 * (1 - share) + 0.25 * share)
    assert found.brier_baseline == pytest.approx(0.04 * (1 - share) + 0.64 * share)
    assert found.skill == pytest.approx(1 - found.brier / found.brier_baseline)
    assert found.onsets_total == onset.sum()
    expected = skill(p, b, onset, np.array([r[3] for r in rows]))
    assert (found.skill_low, found.skill_high) == (expected.low, expected.high)
    assert found.event_weeks == expected.event_weeks


def test_what_has_no_baseline_beside_it_is_reliable_or_not_but_has_no_skill():
    row = ("ewr", "edge", "v1", NEW_YEAR, 0.95, np.nan, 1)
    found = assess(outcomes_of([row]), "damp")
    assert {(r.outcomes_total, r.brier, r.skill) for r in found.monitoring} == {(0, None, None)}
    assert [(r.origin, r.bin, r.outcomes_total) for r in found.reliability] == [
        (ALL, 9, 1),
        ("edge", 9, 1),
    ]


def test_nothing_yet_is_a_row_that_says_so():
    found = assess(outcomes_of([]), "damp", reason="there is no model yet")
    assert [(r.device_id, r.origin, r.outcomes_total) for r in found.monitoring] == [(ALL, ALL, 0)]
    assert (found.monitoring[0].retrain, found.reliability) == (True, ())


def test_bins_hold_forecasts_of_about_one_probability():
    found = assess(outcomes_of(year(origins=("edge",))), "damp").reliability
    own = [r for r in found if r.origin == "edge"]
    assert [(r.bin, r.mean_probability, r.onset_share) for r in own] == [
        (1, pytest.approx(0.1), 0.0),
        (5, pytest.approx(0.5), 1.0),
    ]
    assert sum(r.outcomes_total for r in own) == 1344


row = st.tuples(
    st.sampled_from(["ewr", "jfk", "lga"]),
    st.sampled_from(["edge", "cloud"]),
    st.sampled_from(["v1", "v2"]),
    st.integers(0, 20).map(lambda week: NEW_YEAR + week * WEEK),
    st.integers(0, 10).map(lambda n: n / 10),
    st.one_of(st.just(np.nan), st.integers(0, 10).map(lambda n: n / 10)),
    st.integers(0, 1),
)


@given(st.lists(row, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_outcomes_says_nothing(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    for one, other in zip(
        assess(outcomes_of(rows), "damp").monitoring,
        assess(outcomes_of(shuffled), "damp").monitoring,
        strict=True,
    ):
        assert (one.device_id, one.origin) == (other.device_id, other.origin)
        assert (one.brier, one.skill) == (pytest.approx(other.brier), pytest.approx(other.skill))


@given(st.lists(row, max_size=30))
def test_parts_add_up_to_all(rows):
    found = assess(outcomes_of(rows), "damp")
    own = {(r.device_id, r.origin): r.outcomes_total for r in found.monitoring}
    assert own[ALL, ALL] == sum(not np.isnan(r[5]) for r in rows)
    for (device, origin), total in own.items():
        if origin != ALL:
            mine = [r for r in rows if r[1] == origin and device in (ALL, r[0])]
            assert total == sum(not np.isnan(r[5]) for r in mine)
    totals = dict.fromkeys((ALL, "edge", "cloud"), 0)
    for r in found.reliability:
        totals[r.origin] += r.outcomes_total
    assert totals[ALL] == totals["edge"] + totals["cloud"] == len(rows)


@given(st.lists(row, max_size=30), st.integers(0, 20))
def test_the_champion_s_own_since_its_release(rows, week):
    since = NEW_YEAR + week * WEEK
    own = outcomes_of(rows).of_model("damp", "v1").since(since)
    assert len(own) == sum(r[2] == "v1" and r[3] >= since for r in rows)
    assert len(outcomes_of(rows).of_model("frost", "v1")) == 0


# drift


def columns(seed, rows=2000):
    return np.random.default_rng(seed).normal(size=(rows, len(FEATURE_NAMES)))


def test_the_same_population_has_not_drifted():
    assert drift(columns(1), columns(2)) < 0.05
    assert drift(columns(1), columns(1)) == 0.0


def test_a_moved_population_has_drifted_whichever_way():
    for shift in (1.0, -1.0):
        assert drift(columns(1), columns(2) + shift) > 0.2


def test_the_baseline_s_columns_and_constant_ones_do_not_count():
    reference, recent = columns(1), columns(1)
    recent[:, : len(BASELINE_NAMES)] += 10
    assert drift(reference, recent) == 0.0
    changes = len(FEATURE_NAMES) - len(BASELINE_NAMES)
    recent[:, -1] += 10
    one_of_all = drift(reference, recent)
    reference[:, len(BASELINE_NAMES) : -1] = recent[:, len(BASELINE_NAMES) : -1] = 0.0
    assert drift(reference, recent) == pytest.approx(one_of_all * changes)


def test_few_rows_or_nothing_that_varies_say_nothing():
    assert drift(columns(1, rows=499), columns(2)) is None
    assert drift(columns(1), columns(2, rows=499)) is None
    assert drift(columns(1, rows=500), columns(2, rows=500)) < 0.2
    assert drift(np.zeros_like(columns(1)), columns(2)) is None


# due


def service(*, weeks=8, skill=0.1, brier=0.1, at_release=0.1, psi=0.0):
    since = Skill(
        windows_total=1000, onsets_total=99, event_weeks=weeks, brier_model=brier, skill=skill
    )
    return Service(since_release=since, brier_at_release=at_release, drift_psi=psi)


AT = NEW_YEAR + 365 * DAY


@pytest.mark.parametrize(
    ("days", "champion", "reason"),
    [
        (None, None, "no model yet"),
        (7, None, "no model yet"),
        (7 - 1e-6, None, None),  # a cycle that found too little does not try again at once
        (28, service(), "28 days ago"),
        (28 - 1e-6, service(), None),
        (None, service(), "no training is on record"),
        (7, service(skill=-0.001), "below 0"),
        (7, service(skill=0.0), None),
        (7, service(skill=-0.5, weeks=7), None),
        (7, service(brier=0.1201), "1.20 times"),
        (7, service(brier=0.12), None),
        (7, service(brier=0.3, weeks=7), None),
        (7, service(brier=0.3, at_release=None), None),
        (7, service(psi=0.201), "PSI 0.20"),
        (7, service(psi=0.2), None),
        (7, service(psi=0.3, weeks=0), "drifted"),
        (7, service(psi=None, skill=None, brier=None), None),
        (6, service(skill=-1.0, psi=9.0), None),
    ],
)
def test_a_training_is_due_for_a_reason_and_not_too_soon(days, champion, reason):
    last = None if days is None else AT - round(days * DAY)
    found = due(AT, last, champion)
    assert found is None if reason is None else reason in str(found)


@given(
    st.integers(0, 60 * DAY),
    st.integers(0, 20),
    *(st.one_of(st.none(), st.floats(-1, 1)) for _ in range(2)),
    st.one_of(st.none(), st.floats(0, 3)),
)
def test_reasons_fit_their_column_and_the_cool_down_holds(age, weeks, found, brier, psi):
    champion = service(weeks=weeks, skill=found, brier=brier and abs(brier), psi=psi)
    reason = due(AT, AT - age, champion)
    if age < 7 * DAY:
        assert reason is None
    if age >= 28 * DAY:
        assert reason is not None
    assert reason is None or 0 < len(reason) <= 500
