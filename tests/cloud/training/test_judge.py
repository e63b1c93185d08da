"""The judge: what has earned it goes out, and nothing else does."""

from dataclasses import replace

import numpy as np
import pytest

from cloud.training.history import History
from cloud.training.judge import Champion, Decision, fresh_from, fresh_span, judge
from cloud.training.learners import BaselineLearner, SklearnLearner
from cloud.training.walk import MIN_ONSETS
from deploy.local.weather import recorded_ms
from models.skill import MIN_EVENT_WEEKS

DAY = 86_400_000
HOUR = 3_600_000


def ms(day):
    return recorded_ms(f"{day}T00:00:00+00:00")


# learners whose answers are known: a column of the features, whatever they have learned


class Column:
    def __init__(self, family, column):
        self.family = family
        self._column = column

    def fit(self, examples):
        del examples
        return self

    def probability(self, values):
        return values[:, self._column]


BASELINE, GOOD, POOR = Column("baseline", 0), Column("good", 1), Column("poor", 2)
BEGIN, FRESH, END = ms("2013-01-01"), ms("2013-04-01"), ms("2013-07-01")


def told(labels, sharpness):
    """Probabilities that are right by so much; 0 knows nothing."""
    return 0.5 + sharpness * (labels - 0.5)


@pytest.fixture(scope="module")
def year(plain_history):
    """`year(early, fresh)`: half a year; sharpness of both candidates by part, baseline 0.2."""

    def make(early, fresh, onset_days=range(10**6)):
        begins = np.arange(BEGIN, END, HOUR)
        day = begins // DAY - begins[0] // DAY
        labels = ((np.arange(len(begins)) % 7 == 0) & np.isin(day, list(onset_days))).astype(float)
        is_fresh = begins >= FRESH
        columns = [told(labels, 0.2)]
        columns += [
            told(labels, np.where(is_fresh, late, soon))
            for soon, late in zip(early, fresh, strict=True)
        ]
        return plain_history(begins, labels, columns)

    return make


def judged(
    examples, dampness, candidates=(GOOD, POOR), champion=None, span=(FRESH, END), withdrawn=None
):
    known = None if champion is None else Champion(champion, span[0])
    before = None if withdrawn is None else Champion(withdrawn, BEGIN, "20130101t0000-poor")
    return judge(examples, dampness, (BASELINE, candidates), known, span, before)


def test_the_better_one_is_adopted_for_its_figures_on_fresh_weeks(year, dampness):
    verdict = judged(year((0.6, 0.3), (0.4, 0.3)), dampness)
    assert (verdict.decision, verdict.winner) == (Decision.ADOPTED, "good")
    found = verdict.skill
    # error 0.4 and 0.3 of each probability, squared
    assert found.brier_baseline == pytest.approx(0.16)
    assert found.brier_model == pytest.approx(0.09)
    assert found.skill == pytest.approx(1 - 0.09 / 0.16)
    assert found.low == pytest.approx(found.skill)  # each week is alike
    assert found.event_weeks >= MIN_EVENT_WEEKS
    scores = {s.family: s for s in verdict.scores}
    assert scores["good"].brier == pytest.approx(0.04)
    assert scores["poor"].brier == pytest.approx(0.35**2)
    assert scores["good"].skill == pytest.approx(1 - 0.04 / 0.16)
    days = scores["good"].windows_total / 24
    assert 29 < days < 31, "the last month before the fresh weeks chooses"


def test_the_choice_does_not_look_at_fresh_weeks(year, dampness):
    """The one that was worse before is the better one now: it is not even judged."""
    verdict = judged(year((0.6, 0.3), (0.1, 0.9)), dampness)
    assert (verdict.decision, verdict.winner) == (Decision.REFUSED, "good")
    assert verdict.skill.high < 0


def test_the_first_goes_on_unless_another_is_clearly_better(year, dampness):
    alike = judged(year((0.5, 0.499), (0.4, 0.3)), dampness, (POOR, GOOD))
    assert alike.scores[1].brier < alike.scores[0].brier
    assert alike.winner == "poor"
    assert judged(year((0.6, 0.3), (0.4, 0.3)), dampness, (POOR, GOOD)).winner == "good"


def test_the_verdict_does_not_look_at_earlier_weeks(year, dampness):
    for early, expected in ((0.9, Decision.REFUSED), (-0.5, Decision.ADOPTED)):
        late = 0.2 - 0.1 if expected is Decision.REFUSED else 0.2 + 0.1
        examples = year((early, early), (late, late))
        assert judged(examples, dampness, (GOOD,)).decision is expected
        # and not at those beyond the span
        short = judged(examples, dampness, (GOOD,), span=(BEGIN + 30 * DAY, FRESH))
        assert (short.decision is Decision.ADOPTED) == (early > 0.2)


def test_a_repeated_baseline_is_refused(year, dampness):
    verdict = judged(year((0.2, 0.2), (0.2, 0.2)), dampness)
    assert verdict.decision is Decision.REFUSED
    assert (verdict.skill.skill, verdict.skill.low, verdict.skill.high) == (0.0, 0.0, 0.0)


def test_better_on_average_is_not_enough(year, dampness):
    """Much better in two weeks, a little worse in the others: the mean is luck."""
    examples = year((0.3, 0.3), (0.2, 0.2))
    fresh_day = (examples.begins_ms - FRESH) // DAY
    lucky, other = (fresh_day >= 70) & (fresh_day < 84), (fresh_day >= 0) & (fresh_day < 70)
    examples.features[lucky, 1] = told(examples.labels[lucky], 0.9)
    examples.features[other, 1] = told(examples.labels[other], 0.13)
    verdict = judged(examples, dampness, (GOOD,))
    assert verdict.skill.skill > 0 > verdict.skill.low
    assert verdict.decision is Decision.REFUSED
    assert "lower bound is not above zero" in verdict.reason


@pytest.mark.parametrize(
    ("weeks", "decision"),
    [
        (MIN_EVENT_WEEKS - 1, Decision.INSUFFICIENT_EVIDENCE),
        (MIN_EVENT_WEEKS, Decision.ADOPTED),
    ],
)
def test_too_few_weeks_with_events_are_no_evidence(year, dampness, weeks, decision):
    """However good the candidate is; and however often it began in these weeks."""
    begin_day, fresh_day = BEGIN // DAY, FRESH // DAY
    thursday = fresh_day + (-fresh_day) % 7 + 7 - begin_day  # weeks begin as 1970 did
    onset_days = [*range(90), *(thursday + 7 * w + d for w in range(weeks) for d in range(3))]
    verdict = judged(year((0.9, 0.9), (0.9, 0.9), onset_days), dampness)
    assert verdict.skill.event_weeks == weeks
    assert verdict.decision is decision
    assert verdict.winner == "good"
    if weeks < MIN_EVENT_WEEKS:
        assert verdict.reason == f"{weeks} weeks with events, {MIN_EVENT_WEEKS} are needed"


def test_too_few_beginnings_are_nothing_to_learn_from(year, dampness):
    examples = year((0.9, 0.9), (0.9, 0.9), onset_days=range(5))
    assert examples.labels.sum() < MIN_ONSETS
    verdict = judged(examples, dampness)
    assert verdict.decision is Decision.INSUFFICIENT_EVIDENCE
    assert (verdict.winner, verdict.scores, verdict.skill.windows_total) == (None, (), 0)


def test_nothing_fresh_is_no_evidence(year, dampness):
    examples = year((0.9, 0.9), (0.9, 0.9))
    for span in ((END, END), (END - HOUR, END), (BEGIN, BEGIN + DAY)):
        verdict = judged(examples, dampness, span=span)
        assert verdict.decision is Decision.INSUFFICIENT_EVIDENCE
        assert verdict.skill.windows_total == 0


# against a champion


@pytest.mark.parametrize(
    ("candidate", "champion", "decision", "says"),
    [
        (0.5, 0.4, Decision.ADOPTED, "better than the baseline"),
        (0.4, 0.5, Decision.KEPT, "not better than the champion, Brier 0.0625"),
        (0.4, 0.4, Decision.KEPT, "not better than the champion"),
        (0.1, 0.4, Decision.KEPT, "not better than the champion"),
        (0.1, 0.2, Decision.KEPT, "not better than the champion"),  # no worse than the baseline
        (0.3, 0.1, Decision.ADOPTED, "better than the baseline"),  # the champion has become bad
        (0.1, 0.0, Decision.BASELINE, "the champion's skill fell to"),
        (0.0, 0.1, Decision.BASELINE, "the champion's skill fell to"),
    ],
)
def test_against_a_learned_champion(year, dampness, candidate, champion, decision, says):
    examples = year((0.3, 0.3), (candidate, champion))
    verdict = judged(examples, dampness, (GOOD,), champion=POOR)
    assert verdict.decision is decision
    assert says in verdict.reason


def test_a_champion_that_is_worse_by_chance_stays(year, dampness):
    """Its mean is worse than the baseline, but two weeks make it so."""
    examples = year((0.3, 0.3), (0.1, 0.2))
    fresh_day = (examples.begins_ms - FRESH) // DAY
    unlucky, other = (fresh_day >= 70) & (fresh_day < 84), (fresh_day >= 0) & (fresh_day < 70)
    examples.features[unlucky, 2] = told(examples.labels[unlucky], -0.2)
    examples.features[other, 2] = told(examples.labels[other], 0.25)
    verdict = judged(examples, dampness, (GOOD,), champion=POOR)
    baseline, champion = (
        ((examples.features[fresh_day >= 0, column] - examples.labels[fresh_day >= 0]) ** 2).mean()
        for column in (0, 2)
    )
    assert champion > baseline
    assert verdict.decision is Decision.KEPT


# a withdrawn model


@pytest.mark.parametrize(
    ("candidate", "withdrawn", "decision"),
    [
        (0.1, 0.3, Decision.RETURNED),
        (0.3, 0.4, Decision.RETURNED),  # both are better than the baseline: the better one
        (0.4, 0.3, Decision.ADOPTED),
        (0.3, 0.3, Decision.ADOPTED),  # alike: the newer one
        (0.1, 0.2, Decision.REFUSED),  # no worse than the baseline is not enough
        (0.1, 0.15, Decision.REFUSED),
        (0.3, 0.1, Decision.ADOPTED),
    ],
)
def test_a_withdrawn_model_returns_if_it_is_better_again(
    year, dampness, candidate, withdrawn, decision
):
    examples = year((0.3, -0.5), (candidate, withdrawn))  # it was poor before the fresh weeks
    verdict = judged(examples, dampness, (GOOD,), withdrawn=POOR)
    assert verdict.decision is decision
    sharp = withdrawn if decision is Decision.RETURNED else candidate
    assert verdict.skill.brier_model == pytest.approx(((1 - sharp) / 2) ** 2)
    says = "the withdrawn 20130101t0000-poor is again better than the baseline"
    assert (says in verdict.reason) == (decision is Decision.RETURNED)


def test_the_judged_windows_and_both_answers_are_kept(year, dampness):
    examples = year((0.6, 0.3), (0.1, 0.3))
    refused = judged(examples, dampness, (GOOD,))
    assert (examples.begins_ms[refused.walked.rows] >= FRESH).all()
    assert len(refused.walked.rows) == refused.skill.windows_total
    for verdict, column in ((refused, 1), (judged(examples, dampness, (GOOD,), withdrawn=POOR), 2)):
        asked = examples.features[verdict.walked.rows]
        np.testing.assert_array_equal(verdict.walked.probability, asked[:, [0, column]])
    few = judged(examples, dampness, (GOOD,), span=(END - 20 * DAY, END))
    assert few.decision is Decision.INSUFFICIENT_EVIDENCE
    assert len(few.walked.rows) == few.skill.windows_total > 0


def test_a_withdrawn_model_that_is_better_by_luck_stays_withdrawn(year, dampness):
    """A mean that would keep a champion is not enough for a return: the bounds differ."""
    examples = year((0.3, 0.3), (0.1, 0.2))
    fresh_day = (examples.begins_ms - FRESH) // DAY
    lucky, other = (fresh_day >= 70) & (fresh_day < 84), (fresh_day >= 0) & (fresh_day < 70)
    examples.features[lucky, 2] = told(examples.labels[lucky], 0.9)
    examples.features[other, 2] = told(examples.labels[other], 0.13)
    assert judged(examples, dampness, (GOOD,), champion=POOR).decision is Decision.KEPT
    assert judged(examples, dampness, (GOOD,), withdrawn=POOR).decision is Decision.REFUSED


def test_a_withdrawn_model_does_not_return_without_evidence(year, dampness):
    examples = year((0.3, 0.3), (0.2, 0.9))
    span = (END - 20 * DAY, END)
    verdict = judged(examples, dampness, (GOOD,), span=span, withdrawn=POOR)
    assert verdict.decision is Decision.INSUFFICIENT_EVIDENCE


def seasons(plain_history, seed):
    """Three years in which the candidate helps in winter and hurts a little in summer."""
    begins = np.arange(BEGIN, BEGIN + 3 * 365 * DAY, 3 * HOUR)
    draw, week = np.random.default_rng(seed), begins // (7 * DAY)
    season = np.cos(2 * np.pi * (begins - BEGIN) / (365 * DAY))
    luck = draw.normal(0, 0.12, week.max() + 1)[week]
    labels = (np.arange(len(begins)) % 7 == 0).astype(float)
    columns = [told(labels, 0.2), told(labels, 0.2 + 0.05 + 0.09 * season + luck)]
    return plain_history(begins, labels, columns)


def realised(examples, dampness):
    """Share of the gain of always using the candidate, and the changes of the champion."""
    gain = (examples.features[:, 0] - examples.labels) ** 2
    gain = gain - (examples.features[:, 1] - examples.labels) ** 2
    begin, champion, last, used, changes = int(examples.begins_ms.min()), None, None, 0.0, 0
    withdrawn = None
    always_from = begin + 90 * DAY
    for at in range(always_from, int(examples.begins_ms.max()), 28 * DAY):
        known = examples.rows(examples.begins_ms < at)
        span = (fresh_from(begin, at, last), at)
        verdict = judge(known, dampness, (BASELINE, [GOOD]), champion, span, withdrawn)
        if verdict.decision is not Decision.INSUFFICIENT_EVIDENCE or last is None:
            last = at
        before = champion
        if verdict.decision in (Decision.ADOPTED, Decision.RETURNED):
            champion, withdrawn = Champion(GOOD, at), None
        elif verdict.decision is Decision.BASELINE:
            champion, withdrawn = None, champion
        changes += (before is None) != (champion is None)
        used += gain[(examples.begins_ms >= at) & (examples.begins_ms < at + 28 * DAY)].sum() * (
            champion is not None
        )
    return used / gain[examples.begins_ms >= always_from].sum(), changes


def test_decisions_over_seasons_realise_most_of_the_gain(plain_history, dampness):
    """A champion that is withdrawn for each poor month misses much of the winter after it."""
    found = [realised(seasons(plain_history, seed), dampness) for seed in range(4)]
    print([f"{share:.2f} of the gain, {changes} changes" for share, changes in found])
    assert np.mean([share for share, _ in found]) >= 0.8
    assert max(changes for _, changes in found) <= 3


def test_a_champion_does_not_matter_without_evidence(year, dampness):
    examples = year((0.3, 0.3), (0.9, -0.9))
    verdict = judged(examples, dampness, (GOOD,), champion=POOR, span=(END - 20 * DAY, END))
    assert verdict.decision is Decision.INSUFFICIENT_EVIDENCE


# from when on


@pytest.mark.parametrize(
    ("first", "now", "last", "expected"),
    [
        ("2013-01-01", "2013-04-01", None, "2013-03-01"),
        ("2013-01-01", "2013-04-02", None, "2013-04-01"),
        ("2013-01-01", "2013-07-01", "2013-04-01", "2013-04-01"),
        ("2013-03-05", "2013-03-20", None, "2013-03-20"),  # no month has begun: nothing is fresh
        ("2012-11-01", "2013-04-02", None, "2013-02-01"),  # half of six months
        ("2008-01-01", "2013-01-01", None, "2012-01-01"),  # a year of an imported history
    ],
)
def test_fresh_is_what_no_decision_has_seen(first, now, last, expected):
    assert fresh_from(ms(first), ms(now), None if last is None else ms(last)) == ms(expected)


def test_a_history_that_ended_long_ago_is_judged_on_its_own_later_half(made_weather, dampness):
    weather = made_weather(1, 270, day_0="pressure")
    examples = History.of(weather.table(dampness, weather.at(270)), "damp").examples
    now, later = weather.at(270), weather.at(600)
    assert fresh_span(examples, later, None) == (fresh_span(examples, now, None)[0], later)
    assert fresh_span(examples, later, now) == (now, later)


# planted predictors


def learned(weather, dampness, days, champion=None):
    """The verdict of real learners over days (from, to), with the history up to the last."""
    span = tuple(weather.at(day) for day in days)
    examples = History.of(weather.table(dampness, span[1]), "damp").examples
    known = None if champion is None else Champion(champion, span[0])
    return judge(examples, dampness, (BaselineLearner(), [SklearnLearner()]), known, span)


def test_a_planted_predictor_is_found(made_weather, dampness):
    weather = made_weather(1, 270, day_0="pressure")
    verdict = learned(weather, dampness, (90, 180))
    assert verdict.decision is Decision.ADOPTED
    assert verdict.skill.low > 0.3
    print(verdict.reason)


def test_a_long_history_is_judged_in_the_first_cycle(made_weather, dampness):
    """Without it, a first decision had one month, which is too few weeks."""
    weather = made_weather(1, 270, day_0="pressure")
    now = weather.at(270)
    assert learned(weather, dampness, (240, 270)).decision is Decision.INSUFFICIENT_EVIDENCE
    span = (fresh_from(weather.at(0), now, None), now)
    examples = History.of(weather.table(dampness, now), "damp").examples
    verdict = judge(examples, dampness, (BaselineLearner(), [SklearnLearner()]), None, span)
    assert verdict.decision is Decision.ADOPTED
    assert verdict.skill.event_weeks >= MIN_EVENT_WEEKS


def test_where_nothing_was_planted_nothing_is_found(made_weather, dampness):
    for seed in (2, 3):
        verdict = learned(made_weather(seed, 180, day_0=None), dampness, (90, 180))
        print(f"seed {seed}: {verdict.reason}")
        assert verdict.decision is Decision.REFUSED


def test_what_told_before_and_no_longer_does_is_refused(made_weather, dampness):
    weather = made_weather(4, 180, day_0="pressure", day_90=None)
    verdict = learned(weather, dampness, (90, 180))
    assert verdict.decision is Decision.REFUSED
    earlier = learned(made_weather(4, 180, day_0="pressure", day_90=None), dampness, (30, 90))
    assert earlier.decision is Decision.ADOPTED


def test_a_better_one_replaces_the_champion(made_weather, dampness):
    weather = made_weather(5, 270, day_0="pressure", day_165="temperature")
    early = History.of(weather.table(dampness, weather.at(165)), "damp").examples
    champion = SklearnLearner().fit(early)
    verdict = learned(weather, dampness, (180, 270), champion)
    assert verdict.decision is Decision.ADOPTED
    # on what the champion knows it stays: another of the same kind is no better
    same = learned(weather, dampness, (75, 165), Certain(early))
    assert same.decision is Decision.KEPT


class Certain:
    """A champion that was told the truth."""

    def __init__(self, examples):
        rows = zip(examples.features.tolist(), examples.labels.tolist(), strict=True)
        self._known = {tuple(features): label for features, label in rows}

    def probability(self, values):
        return np.array([self._known[tuple(row)] for row in values.tolist()])


# the real year


def real(examples, condition, begin, end):
    span = ms(begin), ms(end)
    known = examples.rows(examples.begins_ms < span[1])
    return judge(known, condition, (BaselineLearner(), [SklearnLearner()]), None, span)


@pytest.fixture(scope="module")
def condensation(recorded_history, demo_conditions):
    return recorded_history("condensation").examples, demo_conditions[0]


def test_autumn_is_learned_on_the_real_year(condensation):
    verdict = real(*condensation, "2013-09-01", "2013-12-01")
    print(verdict.reason)
    assert verdict.decision is Decision.ADOPTED
    assert verdict.skill.low > 0
    assert 0.03 < verdict.skill.skill < 0.12  # an independent script: 0.069 for Sep-Dec


def test_june_is_refused_on_the_real_year(condensation):
    verdict = real(*condensation, "2013-04-01", "2013-07-01")
    print(verdict.reason)
    assert verdict.decision is Decision.REFUSED
    assert verdict.skill.high < 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shuffled_labels_are_refused(condensation, seed):
    examples, condition = condensation
    shuffled = replace(examples, labels=np.random.default_rng(seed).permutation(examples.labels))
    verdict = real(shuffled, condition, "2013-09-01", "2013-12-01")
    print(f"seed {seed}: {verdict.reason}")
    assert verdict.decision is Decision.REFUSED


def test_a_model_that_repeats_the_baseline_is_refused(condensation):
    class Repeating(BaselineLearner):
        family = "repeating"

    examples, condition = condensation
    span = ms("2013-09-01"), ms("2013-12-01")
    known = examples.rows(examples.begins_ms < span[1])
    verdict = judge(known, condition, (BaselineLearner(), [Repeating()]), None, span)
    assert verdict.decision is Decision.REFUSED
    assert (verdict.skill.skill, verdict.skill.low) == (0.0, 0.0)
