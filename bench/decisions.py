"""Replays the cycle's decisions over a recorded year, and compares them with hindsight.

Each week a training is due or not, as in the product. If it is due, the judge decides on the
windows known by then, all models are trained on them, and forecast until the next training. The
gain of a model is the baseline's sum of squared errors minus its own. With hindsight, each month
has a best model among those that existed: the baseline, the model in force, the newest candidate
and the withdrawn model. No decision can know that, so a fraction of 1 is out of reach.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cloud.monitoring.watch import Service, drift, due
from cloud.training.history import History
from cloud.training.judge import Champion, Decision, Judgement, fresh_span, judge, undecided
from cloud.training.release import releasable
from cloud.training.walk import Learner, Trained, learnable, month_starts
from models.conditions import Condition
from models.skill import WEEK_MS, skill

__all__ = ["Year", "fraction", "year_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """Gains over a year, in sums of squared errors.

    Attributes:
        realised: Gain of the models that the decisions had in force.
        best: Gain of the best model of each month, chosen with hindsight.
        candidate: Gain of the newest candidate, as if each one were released.
        decisions: Instant (ms since 1970 UTC) and decision of each cycle that trained.
    """

    realised: float
    best: float
    candidate: float
    decisions: tuple[tuple[int, Decision], ...]


def fraction(years: Sequence[Year]) -> float | None:
    """Returns the realised fraction of the best gain; None if no model was ever better."""
    best = sum(year.best for year in years)
    return sum(year.realised for year in years) / best if best > 0 else None


def year_of(
    examples: History, condition: Condition, learners: tuple[Learner, Sequence[Learner]]
) -> Year:
    """Returns the gains of weekly cycles, from an empty lake to the end of the windows."""
    replay = _Replay(examples, condition, learners)
    begin_ms, end_ms = int(examples.begins_ms.min()), int(examples.begins_ms.max())
    for at_ms in range(begin_ms + WEEK_MS, end_ms, WEEK_MS):
        replay.cycle(at_ms)
    return replay.year()


class _Models(NamedTuple):
    """Models of one time, in the order of the columns of `_Replay.asked`."""

    baseline: Trained
    in_force: Trained
    candidate: Trained
    withdrawn: Trained


@dataclass(frozen=True, slots=True)
class _Released:
    """A model in force with the figures of its release; `model` is None for a baseline."""

    model: Trained | None
    since_ms: int
    trained_to_ms: int
    brier: float | None


class _Replay:
    def __init__(
        self,
        examples: History,
        condition: Condition,
        learners: tuple[Learner, Sequence[Learner]],
    ) -> None:
        self._examples, self._condition, self._learners = examples, condition, learners
        self._asked = np.full((len(examples), len(_Models._fields)), np.nan)
        self._models: _Models | None = None
        self._in_force: _Released | None = None
        self._withdrawn: _Released | None = None
        self._trained_at: int | None = None
        self._used_until: int | None = None  # as `Decisions.unused_from`
        self._decisions: list[tuple[int, Decision]] = []

    def cycle(self, at_ms: int) -> None:
        """Trains if it is due, then forecasts the next week."""
        ends_ms = at_ms - (self._condition.horizon_s + self._condition.step_s) * 1000
        known = self._examples.begins_ms < ends_ms  # with known truth
        if due(at_ms, self._trained_at, self._service(known)) is not None:
            self._train(self._examples.rows(known), at_ms)
        begins = self._examples.begins_ms
        rows = np.flatnonzero((begins >= at_ms) & (begins < at_ms + WEEK_MS))
        if self._models is not None and len(rows):
            asked = [model.probability(self._examples.features[rows]) for model in self._models]
            self._asked[rows] = np.stack(asked, axis=1)

    def _service(self, known: NDArray[np.bool_]) -> Service | None:
        if self._in_force is None:
            return None
        begins, released = self._examples.begins_ms, self._in_force
        rows = known & (begins >= released.since_ms) & ~np.isnan(self._asked[:, 0])
        base, own = self._asked[rows, 0], self._asked[rows, 1]
        learned = begins <= released.trained_to_ms
        features = self._examples.features
        return Service(
            since_release=skill(own, base, self._examples.labels[rows], begins[rows]),
            brier_at_release=released.brier,
            drift_psi=drift(features[known & learned], features[known & ~learned]),
        )

    def _train(self, known: History, at_ms: int) -> None:
        verdict = self._judged(known, at_ms)
        self._decisions.append((at_ms, verdict.decision))
        self._trained_at = at_ms
        if self._used_until is None or verdict.decision is not Decision.INSUFFICIENT_EVIDENCE:
            self._used_until = at_ms
        if len(known) and learnable(known.labels) and releasable(known):
            self._release(known, verdict, at_ms)

    def _judged(self, known: History, at_ms: int) -> Judgement:
        if not releasable(known):
            return undecided("too few windows")
        span = fresh_span(known, at_ms, self._used_until)
        in_force, withdrawn = map(_champion, (self._in_force, self._withdrawn))
        return judge(known, self._condition, self._learners, in_force, span, withdrawn)

    def _release(self, known: History, verdict: Judgement, at_ms: int) -> None:
        first, candidates = self._learners
        chosen = next((c for c in candidates if c.family == verdict.winner), candidates[0])
        baseline, candidate = first.fit(known), chosen.fit(known)
        before = self._in_force
        self._in_force = self._next(candidate, known, verdict, at_ms)
        if verdict.decision in (Decision.ADOPTED, Decision.RETURNED):
            self._withdrawn = None
        elif verdict.decision is Decision.BASELINE:
            self._withdrawn = before
        in_force, withdrawn = (_model(m, baseline) for m in (self._in_force, self._withdrawn))
        self._models = _Models(baseline, in_force, candidate, withdrawn)

    def _next(
        self, candidate: Trained, known: History, verdict: Judgement, at_ms: int
    ) -> _Released:
        """Returns the model in force after a decision, as `Trainer` releases it."""
        trained_to_ms, found, before = int(known.begins_ms.max()), verdict.skill, self._in_force
        if verdict.decision is Decision.ADOPTED:
            return _Released(candidate, at_ms, trained_to_ms, found.brier_model)
        if verdict.decision is Decision.RETURNED and self._withdrawn is not None:
            return replace(self._withdrawn, since_ms=at_ms, brier=found.brier_model)
        stays = verdict.decision is not Decision.BASELINE
        if stays and before is not None and before.model is not None:
            return before
        return _Released(None, at_ms, trained_to_ms, found.brier_baseline)

    def year(self) -> Year:
        """Returns the gains of all forecasts so far."""
        rows = ~np.isnan(self._asked[:, 0])
        if not rows.any():
            return Year(realised=0.0, best=0.0, candidate=0.0, decisions=tuple(self._decisions))
        errors = (self._asked[rows] - self._examples.labels[rows, None]) ** 2
        gains = errors[:, :1] - errors
        begins = self._examples.begins_ms[rows]
        starts = month_starts(int(begins.min()), int(begins.max()))
        month = np.searchsorted(starts, begins, side="right")
        of_months = np.stack([np.bincount(month, gain) for gain in gains.T], axis=1)
        totals = dict(zip(_Models._fields, gains.sum(axis=0).tolist(), strict=True))
        return Year(
            realised=totals["in_force"],
            best=float(of_months.max(axis=1).sum()),  # the baseline's gain is 0
            candidate=totals["candidate"],
            decisions=tuple(self._decisions),
        )


def _champion(released: _Released | None) -> Champion | None:
    if released is None or released.model is None:
        return None
    return Champion(released.model, released.since_ms)


def _model(released: _Released | None, baseline: Trained) -> Trained:
    return baseline if released is None or released.model is None else released.model
