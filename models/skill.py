"""Skill: how much better one set of probabilities is than another, and how sure that is.

Brier score: mean squared difference of probability and truth, lower is better (Brier 1950, Monthly
Weather Review 78, 1). Skill = 1 - Brier of the model / Brier of the baseline. Weather comes in
spells, so windows are no independent evidence: bounds come from a bootstrap over whole weeks, all
sites together (block bootstrap; Künsch 1989, Annals of Statistics 17, 1217). Pure; numpy.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_EVENT_WEEKS", "WEEK_MS", "ReliabilityBin", "Skill", "psi", "reliability", "skill"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MIN_EVENT_WEEKS = 8  # fewer weeks with events are no evidence
WEEK_MS = 7 * 86_400_000
_ROUNDS = 2000
_WORST = -1000.0  # of a draw in which only the model errs: it counts, and can be stored
_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """What a comparison came to; figures are None where nothing was compared.

    Attributes:
        windows_total: Forecasts compared.
        onsets_total: Of these, the ones that a beginning followed.
        event_weeks: Weeks in which one did.
        brier_baseline: Brier score of the baseline.
        brier_model: Brier score of the model.
        skill: 1 - model / baseline.
        low: Lower 95 % bound.
        high: Upper 95 % bound.
    """

    windows_total: int
    onsets_total: int
    event_weeks: int
    brier_baseline: float | None = None
    brier_model: float | None = None
    skill: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def enough(self) -> bool:
        """Whether there are weeks enough with events to conclude anything."""
        return self.event_weeks >= MIN_EVENT_WEEKS


def skill(model: Floats, baseline: Floats, onset: Floats, at_ms: Ints, seed: int = 0) -> Skill:
    """Compares two sets of probabilities for the same windows.

    Args:
        model: Probabilities of the model.
        baseline: Probabilities of the baseline.
        onset: 1 where the condition began within the horizon, else 0.
        at_ms: When each forecast was issued, ms since 1970 UTC: its week.
        seed: Of the bootstrap.
    """
    week, of_week = np.unique(at_ms // WEEK_MS, return_inverse=True)
    counts = {
        "windows_total": len(onset),
        "onsets_total": int(onset.sum()),
        "event_weeks": len(np.unique(of_week[onset == 1])),
    }
    if not len(onset):
        return Skill(**counts)
    errors = [
        np.bincount(of_week, weights=(p - onset) ** 2, minlength=len(week)).astype(np.float64)
        for p in (model, baseline)
    ]
    brier_model, brier_baseline = (float(e.sum()) / len(onset) for e in errors)
    if brier_baseline == 0.0:  # nothing is better than perfect
        return Skill(**counts, brier_baseline=0.0, brier_model=brier_model)
    low, high = _bounds(errors[0], errors[1], seed)
    return Skill(
        **counts,
        brier_baseline=brier_baseline,
        brier_model=brier_model,
        skill=1 - brier_model / brier_baseline,
        low=low,
        high=high,
    )


def _bounds(model: Floats, baseline: Floats, seed: int) -> tuple[float, float]:
    """95 % bounds of the skill, from sums of squared errors by week: weeks are drawn anew."""
    drawn = np.random.default_rng(seed).integers(0, len(model), (_ROUNDS, len(model)))
    with np.errstate(divide="ignore", invalid="ignore"):
        skills = 1 - model[drawn].sum(axis=1) / baseline[drawn].sum(axis=1)
    low, high = np.percentile(np.maximum(skills[~np.isnan(skills)], _WORST), [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Forecasts of about one probability, and how often it came true.

    Attributes:
        bin: From 0; bin k holds probabilities from k / 10 on.
        outcomes_total: Forecasts in it.
        mean_probability: Their mean probability.
        onset_share: Share of them that a beginning followed.
    """

    bin: int
    outcomes_total: int
    mean_probability: float
    onset_share: float


def reliability(probability: Floats, onset: Floats) -> list[ReliabilityBin]:
    """The reliability diagram's points, bins of a tenth; empty bins are left out."""
    bins = np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)
    return [
        ReliabilityBin(
            bin=int(b),
            outcomes_total=int((bins == b).sum()),
            mean_probability=float(probability[bins == b].mean()),
            onset_share=float(onset[bins == b].mean()),
        )
        for b in np.unique(bins)
    ]


def psi(reference: Floats, recent: Floats) -> float:
    """Population stability index of one feature over ten bins of equal share of the reference.

    0 for equal distributions; above 0.2 by convention a shift (Siddiqi 2006, Credit Risk
    Scorecards). Half a window is added to each bin, so that an empty one does not make it infinite.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, _BINS + 1)[1:-1]))
    shares = []
    for values in (reference, recent):
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
        shares.append((counts + 0.5) / (counts.sum() + 0.5 * len(counts)))
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
