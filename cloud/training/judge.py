"""The judge: whether a candidate has earned to go out.

Candidates are chosen on weeks that earlier decisions have used; the chosen one is judged once, on
weeks that no decision has seen, against the baseline and against the champion. Too few weeks with
events are no evidence, and the lower bound of its skill must be above zero. Pure, but for learners.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cloud.training.history import History
from cloud.training.walk import Learner, Trained, Walked, folds, learnable, month_starts, walk
from models.conditions import Condition
from models.skill import MIN_EVENT_WEEKS, WEEK_MS, Skill, skill

__all__ = ["CandidateScore", "Decision", "Judgement", "fresh_from", "judge", "undecided"]

Floats = NDArray[np.float64]

CLEARLY = 0.99  # of the first candidate's Brier score: less of a difference is chance
SELECTION_MONTHS = 1  # the last one before the weeks that judge
_NO_WINDOWS = Skill(windows_total=0, onsets_total=0, event_weeks=0)


class Decision(StrEnum):
    """What a cycle decided for a condition."""

    ADOPTED = "adopted"  # the candidate goes out
    REFUSED = "refused"  # it is not better than the baseline, or not surely
    INSUFFICIENT_EVIDENCE = "insufficient_evidence"  # too few weeks with events
    KEPT = "kept"  # a learned champion stays: the candidate is not better than it
    BASELINE = "baseline"  # a learned champion is withdrawn: it no longer beats the baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateScore:
    """What one candidate came to on the weeks of the choice."""

    family: str
    brier: float
    brier_baseline: float
    windows_total: int

    @property
    def skill(self) -> float:
        """Against the baseline on the same windows."""
        return 1 - self.brier / self.brier_baseline if self.brier_baseline else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the judge says.

    Attributes:
        decision: What shall happen.
        reason: Why, for a person.
        winner: The candidate that was judged; None where none could be.
        scores: The choice.
        skill: Of the winner against the baseline, on weeks that no decision had seen.
    """

    decision: Decision
    reason: str
    winner: str | None
    scores: tuple[CandidateScore, ...]
    skill: Skill


def fresh_from(first_ms: int, now_ms: int, last_decision_ms: int | None) -> int:
    """From when on no decision has seen the data.

    Before the first decision it is the last month or so: the months before it must choose.
    """
    if last_decision_ms is not None:
        return last_decision_ms
    starts = [start for start in month_starts(first_ms, now_ms) if start < now_ms]
    return starts[-1] if starts else now_ms


def judge(
    examples: History,
    condition: Condition,
    learners: tuple[Learner, Sequence[Learner]],
    champion: Trained | None,
    span: tuple[int, int],
) -> Judgement:
    """Chooses among candidates and judges the chosen one.

    Args:
        examples: All windows with known truth up to the cycle.
        condition: What they are of.
        learners: The baseline, and the candidates.
        champion: A learned model that is in force; None if that is a baseline.
        span: From when to when no decision has seen the data, ms since 1970 UTC.
    """
    baseline, candidates = learners
    if not learnable(examples.labels):
        return undecided("too few beginnings to learn from")
    if not _enough(examples, span):  # a choice would decide nothing: the first one's figures do
        candidates = candidates[:1]
    scores, chosen = _choose(examples, condition, baseline, candidates, span[0])
    walked = walk(examples, folds(*span, condition), [baseline, chosen])
    found = _skill(examples, walked)
    if not found.enough:
        text = f"{found.event_weeks} weeks with events, {MIN_EVENT_WEEKS} are needed"
        return undecided(text, found, chosen.family, scores)
    decision, text = _decide(found, _against_champion(examples, walked, champion))
    return Judgement(
        decision=decision, reason=text, winner=chosen.family, scores=scores, skill=found
    )


def _enough(examples: History, span: tuple[int, int]) -> bool:
    """Whether there can be weeks enough with events, whoever is judged on them."""
    inside = (examples.begins_ms >= span[0]) & (examples.begins_ms < span[1])
    weeks = examples.begins_ms[inside & (examples.labels == 1)] // WEEK_MS
    return len(np.unique(weeks)) >= MIN_EVENT_WEEKS


def undecided(
    text: str,
    found: Skill = _NO_WINDOWS,
    winner: str | None = None,
    scores: tuple[CandidateScore, ...] = (),
) -> Judgement:
    """The judgement where there is no evidence to decide on."""
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
    """The first candidate, unless another one is clearly better; it also where no month tells."""
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
class _Champion:
    """How a learned champion did on the same windows: against the baseline, and the candidate."""

    brier: float
    skill: float


def _against_champion(
    examples: History, walked: Walked, champion: Trained | None
) -> _Champion | None:
    if champion is None:
        return None
    answers = champion.probability(examples.features[walked.rows])
    onset = examples.labels[walked.rows]
    baseline = walked.probability[:, 0]
    found = skill(answers, baseline, onset, examples.begins_ms[walked.rows])
    return _Champion(found.brier_model or 0.0, found.skill or 0.0)


def _decide(found: Skill, champion: _Champion | None) -> tuple[Decision, str]:
    bounds = f"skill {found.skill:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    earned = found.low is not None and found.low > 0
    if earned and (champion is None or (found.brier_model or 0.0) < champion.brier):
        return Decision.ADOPTED, f"{bounds}: better than the baseline, also at the lower bound"
    if champion is not None and champion.skill >= 0:
        return Decision.KEPT, f"{bounds}: not better than the champion, Brier {champion.brier:.4f}"
    if champion is not None:
        return Decision.BASELINE, f"the champion's skill fell to {champion.skill:+.3f}; {bounds}"
    return Decision.REFUSED, f"{bounds}: the lower bound is not above zero"
