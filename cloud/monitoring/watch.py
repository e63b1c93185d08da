"""Computes the skill of forecasts in service, and whether it is a reason to train again.

The module only computes: `cloud.monitoring.store` reads the outcomes and writes the results.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cloud.monitoring.rows import ALL, Assessment, MonitoringRow, Outcomes, ReliabilityRow
from cloud.monitoring.suspects import NOBODY_SUSPECT, Suspects
from models.features import BASELINE_NAMES
from models.skill import ReliabilityBin, Skill, psi, reliability

__all__ = [
    "COOL_DOWN_DAYS",
    "MAX_AGE_DAYS",
    "MAX_BRIER_RATIO",
    "MAX_DRIFT_PSI",
    "MIN_DRIFT_ROWS",
    "Service",
    "assess",
    "drift",
    "due",
]

Floats = NDArray[np.float64]
Words = NDArray[np.object_]

# Weather changes with the seasons: a model that was not trained on the last month forecasts days
# unlike its training data. Four weeks are this project's choice.
MAX_AGE_DAYS = 28
# One cycle of a weekly timer: if training cannot remove a reason, it must not run in every cycle.
COOL_DOWN_DAYS = 7
# A fifth worse than at release; this project's choice. An unnecessary training only costs time,
# because the judge decides whether its model is adopted.
MAX_BRIER_RATIO = 1.2
# Siddiqi 2006, Credit Risk Scorecards: above 0.2 a population has shifted.
MAX_DRIFT_PSI = 0.2
# Two samples of equal distribution differ by about (bins - 1) (1/n + 1/m): at 500 rows each 0.04.
MIN_DRIFT_ROWS = 500
_DAY_MS = 86_400_000


def assess(
    outcomes: Outcomes,
    condition_id: str,
    drift_psi: float | None = None,
    reason: str | None = None,
    suspects: Suspects = NOBODY_SUSPECT,
) -> Assessment:
    """Return the rows of tables `monitoring` and `reliability`.

    Args:
        outcomes: The condition's outcomes of all devices, origins and models.
        condition_id: The condition's id.
        drift_psi: The result of `drift`.
        reason: The result of `due`: the reason to train again; None if there is none.
        suspects: Sensors that cannot be trusted as truth, from `cloud.monitoring.suspects`.
    """
    whole = replace(
        _monitored(outcomes, condition_id, ALL, ALL, suspects),
        drift_psi=drift_psi,
        retrain=reason is not None,
        reason=reason,
    )
    parts = [
        _monitored(own, condition_id, device_id, origin, suspects)
        for device_id, origin, own in _parts(outcomes)
        if device_id != ALL or origin != ALL
    ]
    return Assessment(
        condition_id=condition_id,
        monitoring=(whole, *parts),
        reliability=tuple(_reliabilities(outcomes, condition_id)),
    )


def _reliabilities(outcomes: Outcomes, condition_id: str) -> Iterator[ReliabilityRow]:
    for origin, own in _by(outcomes, outcomes.origins):
        for found in reliability(own.probability, own.onset):
            yield _reliable(found, condition_id, origin)


def _parts(outcomes: Outcomes) -> Iterator[tuple[str, str, Outcomes]]:
    for device_id, of_device in _by(outcomes, outcomes.devices):
        for origin, own in _by(of_device, of_device.origins):
            yield device_id, origin, own


def _by(outcomes: Outcomes, names: Words) -> Iterator[tuple[str, Outcomes]]:
    """Yield all outcomes, then the outcomes of each name."""
    yield ALL, outcomes
    known, of_name = np.unique(names.astype(str), return_inverse=True)
    order = np.argsort(of_name, kind="stable")
    ends = np.cumsum(np.bincount(of_name, minlength=len(known)))[:-1]
    for name, chosen in zip(known.tolist(), np.split(order, ends), strict=False):
        yield name, outcomes.rows(chosen)


def _monitored(
    outcomes: Outcomes,
    condition_id: str,
    device_id: str,
    origin: str,
    suspects: Suspects,
) -> MonitoringRow:
    found, suspect = outcomes.skill(), suspects.of(device_id)
    return MonitoringRow(
        condition_id=condition_id,
        device_id=device_id,
        origin=origin,
        outcomes_total=found.windows_total,
        onsets_total=found.onsets_total,
        event_weeks=found.event_weeks,
        brier=found.brier_model,
        brier_baseline=found.brier_baseline,
        skill=found.skill,
        skill_low=found.low,
        skill_high=found.high,
        suspect_limits=suspect.limits,
        suspect=suspect.text,
    )


def _reliable(found: ReliabilityBin, condition_id: str, origin: str) -> ReliabilityRow:
    return ReliabilityRow(
        condition_id=condition_id,
        origin=origin,
        bin=found.bin,
        outcomes_total=found.outcomes_total,
        mean_probability=found.mean_probability,
        onset_share=found.onset_share,
    )


def drift(reference_features: Floats, recent_features: Floats) -> float | None:
    """Return the drift of features: the mean population stability index (PSI) of their columns.

    The baseline's columns are left out: the hour of day does not drift, and the distance to the
    limit follows the weather. Columns that are constant in the reference are left out too. PSI
    does not account for seasons: use a reference from the same time of year if there is one.

    Args:
        reference_features: The champion's training windows, one row for each usable window.
        recent_features: The usable windows since then.

    Returns:
        The mean PSI, 0 for no drift; None if either side has fewer than `MIN_DRIFT_ROWS` rows, or
        if all columns are left out.
    """
    if min(len(reference_features), len(recent_features)) < MIN_DRIFT_ROWS:
        return None
    columns = range(len(BASELINE_NAMES), reference_features.shape[1])
    found = [
        psi(reference_features[:, c], recent_features[:, c])
        for c in columns
        if np.ptp(reference_features[:, c]) > 0
    ]
    return float(np.mean(found)) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Quality in service of a condition's champion, the model that is in force.

    Attributes:
        since_release: The champion's skill over the outcomes since its release; see `Outcomes`.
        brier_at_release: Its Brier score when it was adopted; None if none is recorded.
        drift_psi: The result of `drift`.
    """

    since_release: Skill
    brier_at_release: float | None
    drift_psi: float | None


def due(at_ms: int, last_trained_at: int | None, champion: Service | None) -> str | None:
    """Return the reason to train again now; None if there is none or if it is too soon.

    Args:
        at_ms: The cycle's instant, ms since 1970 UTC.
        last_trained_at: The instant of the last cycle that trained, with any decision.
        champion: The champion's quality; None while there is no model.
    """
    if last_trained_at is not None and at_ms - last_trained_at < COOL_DOWN_DAYS * _DAY_MS:
        return None
    if champion is None:
        return "there is no model yet"
    if last_trained_at is None:
        return "no training is on record"
    age_days = (at_ms - last_trained_at) / _DAY_MS
    if age_days >= MAX_AGE_DAYS:
        return f"the last training was {age_days:.0f} days ago (limit {MAX_AGE_DAYS})"
    return _worse(champion) or _drifted(champion.drift_psi)


def _worse(champion: Service) -> str | None:
    found, at_release = champion.since_release, champion.brier_at_release
    if not found.enough:
        return None
    since = f"since its release, over {found.event_weeks} weeks with events,"
    if found.skill is not None and found.skill < 0:
        return f"{since} the model's skill against the baseline is {found.skill:.3f} (below 0)"
    if found.brier_model is None or not at_release:
        return None
    ratio = found.brier_model / at_release
    if ratio <= MAX_BRIER_RATIO:
        return None
    return (
        f"{since} the model's Brier score is {found.brier_model:.4f}, {ratio:.2f} times "
        f"that at release (limit {MAX_BRIER_RATIO:g})"
    )


def _drifted(drift_psi: float | None) -> str | None:
    if drift_psi is None or drift_psi <= MAX_DRIFT_PSI:
        return None
    return f"the features have drifted: PSI {drift_psi:.2f} on average (limit {MAX_DRIFT_PSI:g})"
