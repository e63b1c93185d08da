"""Runs a cycle: judges forecasts, trains models that are due, writes the desired states.

A cycle updates truth and outcomes from the lake and judges the forecasts with them. It trains a
condition if there is a reason, and writes what each device should run. A cycle can be repeated for
the same instant, also after a kill at any moment: it writes the same rows again, or none. A step is
a piece of time, such as 10 minutes, in which a condition is judged once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from sqlalchemy import Engine

from cloud.monitoring.excursions import write_excursions
from cloud.monitoring.outcomes import Baseline, join_outcomes
from cloud.monitoring.quality_spans import write_spans
from cloud.monitoring.rows import Outcomes
from cloud.monitoring.store import read_outcomes, write_assessment
from cloud.monitoring.suspects import Suspects, suspects_of
from cloud.monitoring.truth import faults_of, write_truth
from cloud.monitoring.watch import Service, assess, drift, due
from cloud.quality.verdicts import Verdicts
from cloud.registry import Alias, DecisionRow, ModelRow, Registry, in_force
from cloud.rollout import DesiredStates, known_devices, roll_out
from cloud.training.history import History
from cloud.training.learners import BASELINE
from cloud.training.release import Provenance
from cloud.training.train import Trainer, load_model
from models.conditions import Condition, all_signals
from models.signing import Signer
from models.skill import Skill, skill

__all__ = ["Cycle", "CycleResult", "HistorySource", "Judged"]


class HistorySource(Protocol):
    """Source of the readings' history for a cycle."""

    def refresh(self) -> None:
        """Updates the lake's tables with all folded files."""
        ...

    def version(self) -> str:
        """Returns the version of the lake's table that `history` would read."""
        ...

    def verdicts(self, until_ms: int) -> Verdicts:
        """Returns the times up to an instant in which signals are unfit."""
        ...

    def history(self, until_ms: int, verdicts: Verdicts) -> pa.Table:
        """Returns every step of every device up to an instant, in `HISTORY_SCHEMA`.

        Labels that depend on readings within the spans of `verdicts` are unknown.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Skill of a released model on windows that no decision has seen.

    Attributes:
        condition_id: Condition that the model forecasts.
        version: Version of the model.
        adopted: Whether the model is the champion.
        skill: Skill against the baseline that was released with it.
    """

    condition_id: str
    version: str
    adopted: bool
    skill: Skill


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleResult:
    """Result of a cycle.

    Attributes:
        decisions: One for each condition that was trained.
        told: Devices whose desired state changed.
        judged: Skill of challengers since their release, for conditions that were not trained.
    """

    decisions: tuple[DecisionRow, ...]
    told: tuple[str, ...]
    judged: tuple[Judged, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """A cycle with everything that it needs.

    Attributes:
        engine: Connection to the warehouse.
        registry: Registry of models.
        source: The lake's history.
        trainer: Trains, judges and releases models.
        conditions: Conditions of the fleet.
        signer: Signs the desired states.
        code_version: Version of this program.
        told: Called with a line of progress for the operator.
    """

    engine: Engine
    registry: Registry
    source: HistorySource
    trainer: Trainer
    conditions: Sequence[Condition]
    signer: Signer
    code_version: str
    told: Callable[[str], None]

    def run(self, at_ms: int, *, train: bool = True) -> CycleResult:
        """Runs one cycle.

        Args:
            at_ms: Instant of the cycle, ms since 1970 UTC; later readings are ignored.
            train: Whether to train conditions that are due; if not, forecasts are only judged.

        Raises:
            DewlineError: A step failed; call again with the same instant.
        """
        self.source.refresh()
        provenance = Provenance(
            cycle_at=at_ms,
            dataset_version=self.source.version(),
            code_version=self.code_version,
        )
        verdicts = self.source.verdicts(at_ms)
        write_spans(self.engine, verdicts)
        table = self.source.history(at_ms, verdicts)
        self.told(
            f"{table.num_rows:,} steps from readings version {provenance.dataset_version}, "
            f"{len(verdicts.spans):,} spans of unfit readings"
        )
        decisions: list[DecisionRow] = []
        judged: list[Judged] = []
        for condition in self.conditions:
            history = History.of(table, condition.id)
            decided = self._judge(condition, history, verdicts, provenance, train=train)
            if decided is not None:
                decisions.append(decided)
            else:
                judged += self._released(condition, history, at_ms)
        told = self._roll_out(at_ms)
        return CycleResult(decisions=tuple(decisions), told=told, judged=tuple(judged))

    def _judge(
        self,
        condition: Condition,
        history: History,
        verdicts: Verdicts,
        provenance: Provenance,
        *,
        train: bool,
    ) -> DecisionRow | None:
        at_ms = provenance.cycle_at
        faults = faults_of(verdicts, condition)
        write_truth(self.engine, condition.id, history.truth(), faults)
        write_excursions(self.engine, condition, history, verdicts)
        join_outcomes(self.engine, condition, history, self._baselines(condition))
        outcomes = read_outcomes(self.engine, condition.id, 0, at_ms)
        service = self._service(condition, history, outcomes, at_ms)
        last = self.trainer.decisions.last_before(at_ms, condition.id)
        reason = due(at_ms, last, service)
        drifted = None if service is None else service.drift_psi
        suspects = _suspects(condition, outcomes, verdicts, at_ms)
        found = assess(outcomes, condition.id, drifted, reason, suspects)
        write_assessment(self.engine, at_ms, found)
        if reason is None or not train:
            return None
        return self.trainer.train(condition, history, provenance, reason)

    def _baselines(self, condition: Condition) -> list[Baseline]:
        rows = [a for a in self.registry.aliases() if a.alias is Alias.BASELINE]
        found: list[Baseline] = []
        for alias in (a for a in rows if a.condition_id == condition.id):
            row = self.registry.find(alias.model, alias.version)
            if row is not None:
                model = load_model(self.registry, row, self.trainer.trusted)
                found.append((alias.from_at, model.probability))
        return found

    def _service(
        self, condition: Condition, history: History, outcomes: Outcomes, at_ms: int
    ) -> Service | None:
        row = self.registry.champion_at(condition.id, at_ms - 1)
        if row is None:
            return None
        since = outcomes.since(row.created_at)
        decided = self.trainer.decisions.find(row.created_at, condition.id)  # of its cycle
        usable = history.rows(history.forecastable & history.fit)
        learned = usable.begins_ms <= row.trained_to
        return Service(
            since_release=since.of_model(row.model, row.version).skill(),
            brier_at_release=_brier_at_release(row, decided),
            drift_psi=drift(usable.features[learned], usable.features[~learned]),
        )

    def _released(self, condition: Condition, history: History, at_ms: int) -> list[Judged]:
        """Compares the last challenger with its cycle's baseline, on windows since then."""
        rows = [a for a in self.registry.aliases() if a.from_at < at_ms]
        pair = [
            in_force([a for a in rows if a.alias is alias], condition.id, at_ms)
            for alias in (Alias.CHALLENGER, Alias.BASELINE, Alias.CHAMPION)
        ]
        challenger, baseline, champion = pair
        if challenger is None or baseline is None or challenger.from_at != baseline.from_at:
            return []
        examples = history.examples
        fresh = examples.rows(examples.begins_ms >= challenger.from_at)
        answers = [self._asked(a.model, a.version, fresh) for a in (challenger, baseline)]
        adopted = champion is not None and champion.version == challenger.version
        return [
            Judged(
                condition_id=condition.id,
                version=challenger.version,
                adopted=adopted,
                skill=skill(answers[0], answers[1], fresh.labels, fresh.begins_ms),
            )
        ]

    def _asked(self, model: str, version: str, windows: History) -> np.ndarray:
        row = self.registry.find(model, version)
        if row is None or not len(windows):
            return np.empty(0)
        return load_model(self.registry, row, self.trainer.trusted).probability(windows.features)

    def _roll_out(self, at_ms: int) -> tuple[str, ...]:
        changed = roll_out(
            self.registry,
            DesiredStates(self.engine),
            known_devices(self.engine),
            self.conditions,
            self.signer.sign,
            at_ms,
        )
        return tuple(desired.device_id for desired in changed)


def _brier_at_release(row: ModelRow, decided: DecisionRow | None) -> float | None:
    if decided is None:
        return None
    return decided.brier_baseline if row.family == BASELINE else decided.brier_model


def _suspects(condition: Condition, outcomes: Outcomes, verdicts: Verdicts, at_ms: int) -> Suspects:
    """Returns the sensors that are suspect in the time of the outcomes or now."""
    from_ms = int(outcomes.issued_at.min()) if len(outcomes) else at_ms
    devices = {standing.device_id for standing in verdicts.standings}
    return suspects_of(verdicts, all_signals((condition,)), devices, from_ms, at_ms)
