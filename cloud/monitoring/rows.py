"""What monitoring reads and writes, as values: columns of outcomes, rows of an assessment."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.skill import Skill, skill

__all__ = ["ALL", "Assessment", "MonitoringRow", "Outcomes", "ReliabilityRow"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.object_]

ALL = ""  # instead of a device or an origin: all of them together


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Forecasts of one condition whose truth is known, one row each.

    Attributes:
        devices: Device of each.
        origins: `edge` or `cloud`.
        models: Model that made it.
        versions: Its version.
        issued_at: When, ms since 1970 UTC.
        probability: Of onset.
        baseline: What the baseline in force said; NaN where there was none.
        onset: 1 where the condition began within the horizon, else 0.
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
        """The chosen ones."""
        return Outcomes(*(getattr(self, f.name)[chosen] for f in fields(self)))

    def of_model(self, model: str, version: str) -> "Outcomes":
        """Those of one version of a model."""
        return self.rows((self.models == model) & (self.versions == version))

    def since(self, at_ms: int) -> "Outcomes":
        """Those issued at or after an instant."""
        return self.rows(self.issued_at >= at_ms)

    def skill(self) -> Skill:
        """Skill against the baseline, of those that have one beside them."""
        own = self.rows(~np.isnan(self.baseline))
        return skill(own.probability, own.baseline, own.onset, own.issued_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringRow:
    """Skill in service; figures are None where nothing was compared.

    Attributes:
        condition_id: The condition.
        device_id: The device, or `ALL`.
        origin: `edge` or `cloud`, or `ALL`.
        outcomes_total: Forecasts with a baseline beside them: what the figures are made of.
        onsets_total: Of these, the ones that a beginning followed.
        event_weeks: Weeks in which one did.
        brier: Brier score of the forecasts.
        brier_baseline: Brier score of the baseline for the same windows.
        skill: 1 - brier / brier_baseline.
        skill_low: Lower 95 % bound.
        skill_high: Upper 95 % bound.
        drift_psi: Mean PSI of the features; in the row of all devices and origins only.
        retrain: Whether to train anew; in that row only.
        reason: Why, for a person.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityRow:
    """Forecasts of about one probability, all devices; see `models.skill.ReliabilityBin`."""

    condition_id: str
    origin: str
    bin: int
    outcomes_total: int
    mean_probability: float
    onset_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What a cycle says of one condition."""

    condition_id: str
    monitoring: tuple[MonitoringRow, ...]
    reliability: tuple[ReliabilityRow, ...]
