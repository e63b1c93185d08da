"""Decides whether a candidate model is released.

The judge selects a candidate on weeks that earlier decisions have used. Then it judges this
candidate once, on weeks that no decision has seen, against the baseline and the champion (the model
in force). The lower bound of the skill's 95 % interval must be above zero. Too few weeks with
events are not enough evidence.

A withdrawn model is judged again on the same weeks. Withdrawal and return use different bounds: the
upper one must be below zero for the first, the lower one above zero for the second.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cloud.training.history import History
from cloud.training.walk import Learner, Trained, Walked, folds, learnable, month_starts, walk
from models.conditions import Condition
from models.skill import MIN_EVENT_WEEKS, WEEK_MS, Skill, recent_weight, skill

__all__ = [
    "CandidateScore",
    "Champion",
    "Decision",
    "Judgement",
    "fresh_from",
    "fresh_span",
    "judge",
    "undecided",
]

Floats = NDArray[np.float64]

CLEARLY = 0.99  # share of the first candidate's Brier score; a smaller difference is chance
LONG_MONTHS = 6  # fewest months of a history of which the first decision judges half
FIRST_MONTHS = 12  # most months that the first decision judges
YEAR_MS = 366 * 86_400_000
SELECTION_MONTHS = 1  # months before the judged weeks on which candidates are compared
_NO_WINDOWS = Skill(windows_total=0, onsets_total=0, event_weeks=0)


class Decision(StrEnum):
    """Decision of a cycle for a condition."""

    ADOPTED = "adopted"  # the candidate is released
    REFUSED = "refused"  # the candidate is not better than the baseline, or not certainly
    INSUFFICIENT_EVIDENCE = "insufficient_evidence"  # too few weeks with events
    KEPT = "kept"  # a learned champion stays: the candidate is not better
    BASELINE = "baseline"  # a learned champion is withdrawn: it is certainly worse
    RETURNED = "returned"  # a withdrawn model is released again: it is certainly better


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateScore:
    """Scores of one candidate on the weeks of the selection."""

    family: str
    brier: float
    brier_baseline: float
    windows_total: int

    @property
    def skill(self) -> float:
        """Skill against the baseline on the same windows."""
        return 1 - self.brier / self.brier_baseline if self.brier_baseline else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Result of the judge.

    Attributes:
        decision: The decision.
        reason: Reason of the decision, as text.
        winner: Family of the judged candidate; None if none could be judged.
        scores: Scores of the selection.
        skill: Skill of the winner against the baseline, on weeks that no decision had seen; that
            of the withdrawn model if it returns.
        walked: The judged windows and their probabilities: of the baseline, then of the model that
            `skill` is about; None if no window was judged.
    """

    decision: Decision
    reason: str
    winner: str | None
    scores: tuple[CandidateScore, ...]
    skill: Skill
    walked: Walked | None = None


def fresh_from(first_ms: int, end_ms: int, last_decision_ms: int | None) -> int:
    """Return the instant from which no decision has seen the data.

    For the first decision this is the begin of the last month: the months before are needed for
    the selection. With a long history, such as an imported one, it judges the later half, at most
    a year, so that all seasons of that year count. The end is that of the data: an imported history
    may have ended long ago.
    """
    if last_decision_ms is not None:
        return last_decision_ms
    starts = [start for start in month_starts(first_ms, end_ms) if start < end_ms]
    if not starts:
        return end_ms
    judged = min(FIRST_MONTHS, len(starts) // 2) if len(starts) >= LONG_MONTHS else 1
    return starts[-judged]


def fresh_span(examples: History, at_ms: int, last_decision_ms: int | None) -> tuple[int, int]:
    """Return the span that a cycle at `at_ms` judges: what no decision has seen, up to now."""
    first_ms, last_ms = int(examples.begins_ms.min()), int(examples.begins_ms.max())
    return fresh_from(first_ms, min(at_ms, last_ms + 1), last_decision_ms), at_ms


@dataclass(frozen=True, slots=True)
class Champion:
    """A learned model that is in force, or was until it was withdrawn.

    Attributes:
        model: The model.
        since_ms: Instant of its release, ms since 1970 UTC; it has seen no later data.
        version: Its version, for the reason of a decision.
    """

    model: Trained
    since_ms: int
    version: str = ""


def judge(
    examples: History,
    condition: Condition,
    learners: tuple[Learner, Sequence[Learner]],
    champion: Champion | None,
    span: tuple[int, int],
    withdrawn: Champion | None = None,
) -> Judgement:
    """Select a candidate and judge it, and the withdrawn model beside it.

    Args:
        examples: All windows with known truth up to the cycle.
        condition: The condition of the windows.
        learners: The baseline, and the candidates.
        champion: The learned model in force; None if a baseline or no model is in force.
        span: First and last instant of the data that no decision has seen, ms since 1970 UTC.
        withdrawn: The learned model that was withdrawn last; None if a learned model is in force.
    """
    baseline, candidates = learners
    if not learnable(examples.labels):
        return undecided("too few windows with an onset, or without one, to learn from")
    if not _enough(examples, span):  # no decision is possible: report the first candidate's figures
        candidates = candidates[:1]
    scores, chosen = _choose(examples, condition, baseline, candidates, span[0])
    walked = walk(examples, folds(*span, condition), [baseline, chosen])
    found = _skill(examples, walked)
    if not found.enough:
        text = f"{found.event_weeks} weeks with events, {MIN_EVENT_WEEKS} are needed"
        return replace(undecided(text, found, chosen.family, scores), walked=walked)
    known = _known(examples, condition, baseline, champion, walked, span)
    decision, text = _decide(found, known)
    winner = chosen.family
    first = Judgement(decision=decision, reason=text, winner=winner, scores=scores, skill=found)
    return _or_returned(first, examples, walked, withdrawn)


def _enough(examples: History, span: tuple[int, int]) -> bool:
    """Return whether the span can have enough weeks with events."""
    inside = (examples.begins_ms >= span[0]) & (examples.begins_ms < span[1])
    weeks = examples.begins_ms[inside & (examples.labels == 1)] // WEEK_MS
    return len(np.unique(weeks)) >= MIN_EVENT_WEEKS


def undecided(
    text: str,
    found: Skill = _NO_WINDOWS,
    winner: str | None = None,
    scores: tuple[CandidateScore, ...] = (),
) -> Judgement:
    """Return the judgement for insufficient evidence."""
    return Judgement(
        decision=Decision.INSUFFICIENT_EVIDENCE,
        reason=text,
        winner=winner,
        scores=scores,
        skill=found,
    )


def _choose(
    examples: History,
    condition: Condition,
    baseline: Learner,
    candidates: Sequence[Learner],
    until_ms: int,
) -> tuple[tuple[CandidateScore, ...], Learner]:
    """Return the scores and the best candidate.

    This is the first candidate, unless another one is clearly better. Without a month for the
    comparison there are no scores.
    """
    starts = month_starts(int(examples.begins_ms.min()), until_ms)
    if not starts or len(candidates) == 1:
        return (), candidates[0]
    begin_ms = starts[-SELECTION_MONTHS:][0]
    walked = walk(examples, folds(begin_ms, until_ms, condition), [baseline, *candidates])
    if not len(walked.rows):
        return (), candidates[0]
    onset = examples.labels[walked.rows]
    briers = ((walked.probability - onset[:, None]) ** 2).mean(axis=0).tolist()
    scores = tuple(
        CandidateScore(
            family=c.family, brier=brier, brier_baseline=briers[0], windows_total=len(onset)
        )
        for c, brier in zip(candidates, briers[1:], strict=True)
    )
    best = min(range(len(scores)), key=lambda i: scores[i].brier)
    clear = scores[best].brier <= CLEARLY * scores[0].brier
    return scores, candidates[best if clear else 0]


def _skill(examples: History, walked: Walked) -> Skill:
    if not len(walked.rows):
        return _NO_WINDOWS
    rows, asked = walked.rows, walked.probability
    return skill(asked[:, 1], asked[:, 0], examples.labels[rows], examples.begins_ms[rows])


@dataclass(frozen=True, slots=True)
class _Known:
    """Figures of a learned champion.

    Attributes:
        brier: Brier score on the judged weeks, to compare it with the candidate.
        skill: Skill against the baseline in its service.
        high: Upper bound of this skill.
    """

    brier: float
    skill: float
    high: float


def _known(
    examples: History,
    condition: Condition,
    baseline: Learner,
    champion: Champion | None,
    walked: Walked,
    span: tuple[int, int],
) -> _Known | None:
    if champion is None:
        return None
    kept = _service(examples, condition, baseline, champion, span)
    judged = _skill_of(examples, walked, champion.model)
    return _Known(brier=judged.brier_model or 0.0, skill=kept.skill or 0.0, high=kept.high or 0.0)


def _skill_of(examples: History, walked: Walked, model: Trained) -> Skill:
    """Return the skill of a known model on the judged weeks."""
    # The same sums as the candidate's score: equal answers must not differ by rounding.
    rows, baseline = walked.rows, walked.probability[:, 0]
    answers = model.probability(examples.features[rows])
    return skill(answers, baseline, examples.labels[rows], examples.begins_ms[rows])


def _service(
    examples: History,
    condition: Condition,
    baseline: Learner,
    champion: Champion,
    span: tuple[int, int],
) -> Skill:
    """Return the champion's skill since its release, at most a year back, recent weeks first.

    The judged weeks are a part of it. Earlier ones were part of earlier decisions; they prove
    nothing about the candidate, but they are evidence about a model that had not seen them.
    """
    begin_ms = min(span[0], max(champion.since_ms, span[1] - YEAR_MS))
    walked = walk(examples, folds(begin_ms, span[1], condition), [baseline])
    if not len(walked.rows):
        return _NO_WINDOWS
    begins = examples.begins_ms[walked.rows]
    return skill(
        champion.model.probability(examples.features[walked.rows]),
        walked.probability[:, 0],
        examples.labels[walked.rows],
        begins,
        weight=recent_weight(begins, span[1]),
    )


def _or_returned(
    first: Judgement, examples: History, walked: Walked, withdrawn: Champion | None
) -> Judgement:
    """Return the judgement for the return of a withdrawn model; the first one if it stays so.

    It needs a lower bound above zero, and a lower score than a candidate that would be adopted.
    """
    first = replace(first, walked=walked)
    if withdrawn is None:
        return first
    again = _skill_of(examples, walked, withdrawn.model)
    adopted = first.decision is Decision.ADOPTED
    better = (again.brier_model or 0.0) < (first.skill.brier_model or 0.0)
    if not _earned(again) or (adopted and not better):
        return first
    text = f"{_bounds(again)}: the withdrawn {withdrawn.version} is again better than the baseline"
    answers = withdrawn.model.probability(examples.features[walked.rows])
    own = Walked(walked.rows, np.stack([walked.probability[:, 0], answers], axis=1))
    return replace(first, decision=Decision.RETURNED, reason=text, skill=again, walked=own)


def _earned(found: Skill) -> bool:
    return found.low is not None and found.low > 0


def _bounds(found: Skill) -> str:
    return f"skill {found.skill:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _decide(found: Skill, champion: _Known | None) -> tuple[Decision, str]:
    bounds = _bounds(found)
    earned = _earned(found)
    if earned and (champion is None or (found.brier_model or 0.0) < champion.brier):
        return Decision.ADOPTED, f"{bounds}: better than the baseline, lower bound above zero"
    # It was proven before. One poor season does not disprove it, and withdrawing it for every poor
    # month would cost more than it saves.
    if champion is not None and champion.high >= 0:
        return Decision.KEPT, f"{bounds}: not better than the champion, Brier {champion.brier:.4f}"
    if champion is not None:
        fell = f"{champion.skill:+.3f}, certainly below zero (at most {champion.high:+.3f})"
        return Decision.BASELINE, f"the champion's skill fell to {fell}; {bounds}"
    return Decision.REFUSED, f"{bounds}: the lower bound is not above zero"
