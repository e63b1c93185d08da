"""Computes skill: how much better one set of probabilities is than another, with 95 % bounds.

Brier score: mean squared difference of probability and truth, lower is better (Brier 1950, Monthly
Weather Review 78, 1). Skill = 1 - Brier of the model / Brier of the baseline. Neighbouring windows
have similar weather and are not independent. So the bounds are those of a bootstrap over whole
weeks, all sites together (block bootstrap; Künsch 1989, Annals of Statistics 17, 1217). Uses numpy.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "HALF_LIFE_MS",
    "MIN_EVENT_WEEKS",
    "WEEK_MS",
    "ReliabilityBin",
    "Skill",
    "psi",
    "recent_weight",
    "reliability",
    "skill",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MIN_EVENT_WEEKS = 8  # fewer weeks with events are not enough evidence
WEEK_MS = 7 * 86_400_000
HALF_LIFE_MS = 26 * WEEK_MS  # the same season of the year before still counts a quarter
_ROUNDS = 2000
_WORST = -1000.0  # replaces -infinity, for a draw in which only the model has errors
_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """Holds the result of a comparison; scores are None if nothing was compared.

    Attributes:
        windows_total: Number of forecasts compared.
        onsets_total: Number of these after which the condition became true within the horizon.
        event_weeks: Number of weeks with such a forecast.
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
        """True if enough weeks have events for a conclusion."""
        return self.event_weeks >= MIN_EVENT_WEEKS


def skill(
    model: Floats,
    baseline: Floats,
    onset: Floats,
    at_ms: Ints,
    seed: int = 0,
    weight: Floats | None = None,
) -> Skill:
    """Compares two sets of probabilities for the same windows.

    Args:
        model: Probabilities of the model.
        baseline: Probabilities of the baseline.
        onset: 1 where the condition became true within the horizon, else 0.
        at_ms: Time of each forecast, ms since 1970 UTC; it determines the week.
        seed: Random seed of the bootstrap.
        weight: Weight of each forecast, above 0; None for equal weights. See `recent_weight`.
    """
    week, of_week = np.unique(at_ms // WEEK_MS, return_inverse=True)
    counts = {
        "windows_total": len(onset),
        "onsets_total": int(onset.sum()),
        "event_weeks": len(np.unique(of_week[onset == 1])),
    }
    if not len(onset):
        return Skill(**counts)
    share = np.ones(len(onset)) if weight is None else weight
    errors = [
        np.bincount(of_week, share * (p - onset) ** 2, len(week)).astype(np.float64)
        for p in (model, baseline)
    ]
    return _scored(Skill(**counts), (errors[0], errors[1]), float(share.sum()), seed)


def _scored(counts: Skill, errors: tuple[Floats, Floats], total: float, seed: int) -> Skill:
    """Returns the counts with the scores of the weeks' sums of squared errors."""
    brier_model, brier_baseline = (float(e.sum() / total) for e in errors)
    found = replace(counts, brier_baseline=brier_baseline, brier_model=brier_model)
    if brier_baseline == 0.0:  # skill is not defined: no model is better than a perfect baseline
        return found
    low, high = _bounds(*errors, seed)
    return replace(found, skill=1 - brier_model / brier_baseline, low=low, high=high)


def recent_weight(at_ms: Ints, now_ms: int) -> Floats:
    """Returns weights of forecasts that halve with each `HALF_LIFE_MS` of age."""
    found: Floats = 0.5 ** ((now_ms - at_ms) / HALF_LIFE_MS)
    return found


def _bounds(model: Floats, baseline: Floats, seed: int) -> tuple[float, float]:
    """Returns 95 % bounds of the skill, by resampling the weeks' sums of squared errors."""
    drawn = np.random.default_rng(seed).integers(0, len(model), (_ROUNDS, len(model)))
    with np.errstate(divide="ignore", invalid="ignore"):
        skills = 1 - model[drawn].sum(axis=1) / baseline[drawn].sum(axis=1)
    low, high = np.percentile(np.maximum(skills[~np.isnan(skills)], _WORST), [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Compares forecasts of similar probability with how often the condition became true.

    Attributes:
        bin: Number of the bin, from 0; bin k begins at probability k / 10.
        outcomes_total: Number of forecasts in the bin.
        mean_probability: Mean probability of these forecasts.
        onset_share: Share of these forecasts after which the condition became true.
    """

    bin: int
    outcomes_total: int
    mean_probability: float
    onset_share: float


def reliability(probability: Floats, onset: Floats) -> list[ReliabilityBin]:
    """Returns the points of the reliability diagram, in bins of 0.1; empty bins are left out."""
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
    """Returns the population stability index of one feature, over ten bins.

    Each bin contains an equal share of the reference. The index is 0 for equal distributions; by
    convention, more than 0.2 is a shift (Siddiqi 2006, Credit Risk Scorecards). Half a window is
    added to each bin, because an empty bin would make the index infinite.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, _BINS + 1)[1:-1]))
    shares = []
    for values in (reference, recent):
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
        shares.append((counts + 0.5) / (counts.sum() + 0.5 * len(counts)))
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
