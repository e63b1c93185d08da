"""Defines the values that monitoring reads and writes: outcomes and rows of an assessment."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.skill import Skill, skill

__all__ = ["ALL", "Assessment", "MonitoringRow", "Outcomes", "ReliabilityRow"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.object_]

ALL = ""  # in place of a device or an origin: all of them together


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Forecasts of one condition with known truth, one row each.

    Attributes:
        devices: Device of each forecast.
        origins: `edge` or `cloud`.
        models: Model that made the forecast.
        versions: Version of the model.
        issued_at: Time of the forecast, ms since 1970 UTC.
        probability: Forecast probability of onset.
        baseline: Probability from the baseline in force; NaN where there was none.
        onset: 1 where the condition became true within the horizon, else 0.
    """

    devices: Words
    origins: Words
    models: Words
    versions: Words
    issued_at: Ints
    probability: Floats
    baseline: Floats
    onset: Floats

    def __len__(self) -> int:
        return len(self.issued_at)

    def rows(self, chosen: NDArray[Any]) -> "Outcomes":
        """Return the chosen rows."""
        return Outcomes(*(getattr(self, f.name)[chosen] for f in fields(self)))

    def of_model(self, model: str, version: str) -> "Outcomes":
        """Return the outcomes of one version of a model."""
        return self.rows((self.models == model) & (self.versions == version))

    def since(self, at_ms: int) -> "Outcomes":
        """Return the outcomes of forecasts issued at or after an instant."""
        return self.rows(self.issued_at >= at_ms)

    def skill(self) -> Skill:
        """Return the skill against the baseline, over the outcomes that have a baseline."""
        own = self.rows(~np.isnan(self.baseline))
        return skill(own.probability, own.baseline, own.onset, own.issued_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringRow:
    """Skill in service; figures are None if nothing was compared.

    Attributes:
        condition_id: The condition.
        device_id: The device, or `ALL`.
        origin: `edge` or `cloud`, or `ALL`.
        outcomes_total: Number of outcomes with a baseline; all figures use only these.
        onsets_total: Number of these outcomes with an onset.
        event_weeks: Number of weeks with an onset.
        brier: Brier score of the forecasts.
        brier_baseline: Brier score of the baseline for the same windows.
        skill: 1 - brier / brier_baseline.
        skill_low: Lower 95 % bound.
        skill_high: Upper 95 % bound.
        drift_psi: Mean PSI of the features; only in the row of all devices and origins.
        retrain: Whether to train again; only in that row.
        reason: Reason to train again, as text; only in that row.
        suspect_limits: How far the condition's signals are from signals that usually agree, in
            limits: 1 or more is drift. None if there is nothing to compare with.
        suspect: Sensors whose readings cannot be trusted as truth since the model's release, as
            text. None if there are none.
    """

    condition_id: str
    device_id: str
    origin: str
    outcomes_total: int
    onsets_total: int
    event_weeks: int
    brier: float | None
    brier_baseline: float | None
    skill: float | None
    skill_low: float | None
    skill_high: float | None
    drift_psi: float | None = None
    retrain: bool = False
    reason: str | None = None
    suspect_limits: float | None = None
    suspect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityRow:
    """Forecasts of all devices in one bin of probability; see `models.skill.ReliabilityBin`."""

    condition_id: str
    origin: str
    bin: int
    outcomes_total: int
    mean_probability: float
    onset_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A cycle's monitoring and reliability rows of one condition."""

    condition_id: str
    monitoring: tuple[MonitoringRow, ...]
    reliability: tuple[ReliabilityRow, ...]
