"""Compares the skill that the cloud reports while a sensor is faulty with the true skill.

A model and its baseline learn from January to August of one year. From September on, one station's
humidity has a fault. The reported skill uses truth from the faulty sensor, as the cloud has it:
unknown where readings are found to be unfit. The true skill uses the same forecasts, and truth from
the sensor without the fault. Every two weeks all is computed from the readings up to then.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from bench.checked import Checked, Recording
from bench.faults import DAY_MS, with_fault
from cloud.monitoring.suspects import suspects_of
from cloud.quality.spans import Fault
from cloud.training.history import History, device_history
from cloud.training.learners import BaselineLearner, SklearnLearner
from cloud.training.walk import Trained
from contract.signals import Signal
from models.conditions import Condition, all_signals
from models.replay import Readings
from models.skill import skill

__all__ = ["Honesty", "Models", "drifting", "faulty", "honesty", "trained"]

HUMIDITY = Signal.parse("air/humidity")
FROM_MS = 1_377_993_600_000  # 2013-09-01T00:00:00Z
LEARNING_MS = 60 * DAY_MS  # `with_fault` leaves so much of a recording without a fault
FORTNIGHT_MS = 14 * DAY_MS
FIRST = 3  # fortnights; before that there are too few events for a skill


@dataclass(frozen=True, slots=True)
class Models:
    """The baseline and the model that learned from January to August."""

    condition: Condition
    baseline: Trained
    model: Trained


@dataclass(frozen=True, slots=True, kw_only=True)
class Honesty:
    """Skill of one station since September, as computed at one instant.

    Attributes:
        until_ms: The instant, ms since 1970 UTC.
        raw: Skill with all truth of the faulty sensor.
        reported: Skill as the cloud reports it, without truth from unfit readings.
        true: Skill with truth from the sensor without the fault.
        suspect: What the cloud writes beside the figure; None if it trusts the sensor.
    """

    until_ms: int
    raw: float | None
    reported: float | None
    true: float | None
    suspect: str | None

    @property
    def off(self) -> float:
        """Distance of the reported skill from the true one; 0 if nothing is reported."""
        if self.reported is None or self.true is None:
            return 0.0
        return abs(self.reported - self.true)


def trained(recording: Recording, condition: Condition) -> Models:
    """Returns the models of a condition."""
    parts = []
    for device, readings in recording.items():
        table = device_history(device, readings.rows(readings.at_ms < FROM_MS), (condition,))
        parts.append(History.of(table, condition.id).examples)
    names = [field.name for field in fields(History)]
    examples = History(*(np.concatenate([getattr(p, n) for p in parts]) for n in names))
    return Models(condition, BaselineLearner().fit(examples), SklearnLearner().fit(examples))


def faulty(readings: Readings, fault: Fault, seed: int) -> Readings:
    """Returns the readings with faults of one kind in the humidity from September on."""
    draw = np.random.default_rng([seed, list(Fault).index(fault)])
    late = readings.at_ms >= FROM_MS - LEARNING_MS
    changed, _ = with_fault(readings.rows(late), HUMIDITY, fault, draw)
    values = readings.values.copy()
    values[late] = changed.values
    return Readings(readings.signals, readings.codes, readings.at_ms, values)


def drifting(readings: Readings, pct_per_day: float) -> Readings:
    """Returns the readings with humidity that drifts from September on."""
    mine = readings.are((HUMIDITY,))
    days = np.maximum(0, readings.at_ms - FROM_MS) / DAY_MS
    changed = np.round(np.clip(readings.values + pct_per_day * days, 0, 100), 1)
    values = np.where(mine, changed, readings.values)
    return Readings(readings.signals, readings.codes, readings.at_ms, values)


def honesty(
    clean: Readings, own: Readings, models: Models, device: str, known: Checked
) -> Iterator[Honesty]:
    """Yields the skills of one station, every two weeks.

    Args:
        clean: The station's readings without the fault.
        own: The same with the fault.
        models: The models in service.
        device: The station.
        known: The check of all stations, of this one with the fault.
    """
    truth = _history(device, clean, models.condition)
    labels = dict(zip(truth.begins_ms.tolist(), truth.labels.tolist(), strict=True))
    first, last = FROM_MS + FIRST * FORTNIGHT_MS, int(clean.at_ms[-1])
    for until_ms in range(first, last, FORTNIGHT_MS):
        yield _at(until_ms, own, models, (device, labels), known.until(until_ms))


def _at(
    until_ms: int,
    own: Readings,
    models: Models,
    truth: tuple[str, dict[int, float]],
    known: Checked,
) -> Honesty:
    device, labels = truth
    verdicts, rows = known.verdicts(), own.rows(own.at_ms < until_ms)
    table = device_history(device, rows, (models.condition,), verdicts.of(device))
    raw = _served(_history(device, rows, models.condition))
    seen = _served(History.of(table, models.condition.id))
    signals = all_signals((models.condition,))
    suspects = suspects_of(verdicts, signals, [device], FROM_MS, until_ms)
    real = np.array([labels.get(begin, np.nan) for begin in raw.begins_ms.tolist()])
    return Honesty(
        until_ms=until_ms,
        raw=_skill(models, raw, raw.labels),
        reported=_skill(models, seen, seen.labels),
        true=_skill(models, raw, real),
        suspect=suspects.of(device).text,
    )


def _history(device: str, readings: Readings, condition: Condition) -> History:
    return History.of(device_history(device, readings, (condition,)), condition.id)


def _served(history: History) -> History:
    """Returns the steps since September at which a forecast was made."""
    return history.rows(history.forecastable & (history.begins_ms >= FROM_MS))


def _skill(models: Models, steps: History, labels: np.ndarray) -> float | None:
    known = ~np.isnan(labels)
    asked = steps.features[known]
    answers = [model.probability(asked).ravel() for model in (models.model, models.baseline)]
    return skill(answers[0], answers[1], labels[known], steps.begins_ms[known]).skill
