"""The cycle: everything that is due between the lake and what the fleet should run, in order.

Truth and outcomes are brought to what the lake says, forecasts are judged by them, a condition is
trained where there is a reason, and what each device should run is written. Safe to repeat for the
same instant, and after a death at any step: each step writes the same rows again or none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from sqlalchemy import Engine

from cloud.monitoring.outcomes import Baseline, join_outcomes
from cloud.monitoring.rows import Outcomes
from cloud.monitoring.store import read_outcomes, write_assessment
from cloud.monitoring.truth import write_truth
from cloud.monitoring.watch import Service, assess, drift, due
from cloud.registry import Alias, DecisionRow, ModelRow, Registry, in_force
from cloud.rollout import DesiredStates, known_devices, roll_out
from cloud.training.history import History
from cloud.training.learners import BASELINE
from cloud.training.release import Provenance
from cloud.training.train import Trainer, load_model
from models.conditions import Condition
from models.signing import Signer
from models.skill import Skill, skill

__all__ = ["Cycle", "CycleResult", "HistorySource", "Judged"]


class HistorySource(Protocol):
    """The lake, as the cycle sees it."""

    def refresh(self) -> None:
        """Brings the lake's tables up to what has been folded."""
        ...

    def version(self) -> str:
        """Which state of the lake's table `history` would read."""
        ...

    def history(self, until_ms: int) -> pa.Table:
        """Every step of every device up to an instant, in `HISTORY_SCHEMA`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How a released model did on windows that no decision has seen.

    Attributes:
        condition_id: What it forecasts.
        version: Which it is.
        adopted: Whether it is the champion.
        skill: Against the baseline that was released with it.
    """

    condition_id: str
    version: str
    adopted: bool
    skill: Skill


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleResult:
    """What a cycle did.

    Attributes:
        decisions: One for each condition that was trained.
        told: Devices that should run something else now.
        judged: Challengers on windows since their release; where a cycle did not train.
    """

    decisions: tuple[DecisionRow, ...]
    told: tuple[str, ...]
    judged: tuple[Judged, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """What a cycle works with.

    Attributes:
        engine: The warehouse.
        registry: Of models.
        source: The lake.
        trainer: Judges and releases.
        conditions: What the fleet watches.
        signer: Vouches for what devices should run.
        code_version: Of this program.
        told: Told each step, for a person.
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
        """One cycle.

        Args:
            at_ms: Its instant, ms since 1970 UTC: later readings are not looked at.
            train: Whether to train where that is due; else forecasts are only judged.

        Raises:
            DewlineError: A step failed; call again with the same instant.
        """
        self.source.refresh()
        provenance = Provenance(
            cycle_at=at_ms,
            dataset_version=self.source.version(),
            code_version=self.code_version,
        )
        table = self.source.history(at_ms)
        self.told(f"{table.num_rows:,} steps from readings version {provenance.dataset_version}")
        decisions: list[DecisionRow] = []
        judged: list[Judged] = []
        for condition in self.conditions:
            history = History.of(table, condition.id)
            decided = self._judge(condition, history, provenance, train=train)
            if decided is not None:
                decisions.append(decided)
            else:
                judged += self._released(condition, history, at_ms)
        told = self._roll_out(at_ms)
        return CycleResult(decisions=tuple(decisions), told=told, judged=tuple(judged))

    def _judge(
        self, condition: Condition, history: History, provenance: Provenance, *, train: bool
    ) -> DecisionRow | None:
        at_ms = provenance.cycle_at
        write_truth(self.engine, condition.id, history.truth())
        join_outcomes(self.engine, condition, history, self._baselines(condition))
        outcomes = read_outcomes(self.engine, condition.id, 0, at_ms)
        service = self._service(condition, history, outcomes, at_ms)
        last = self.trainer.decisions.last_before(at_ms, condition.id)
        reason = due(at_ms, last, service)
        drifted = None if service is None else service.drift_psi
        found = assess(outcomes, condition.id, drifted, reason)
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
        decided = self.trainer.decisions.find(row.created_at, condition.id)  # where it was judged
        usable = history.rows(history.forecastable)
        learned = usable.begins_ms <= row.trained_to
        return Service(
            since_release=since.of_model(row.model, row.version).skill(),
            brier_at_release=_brier_at_release(row, decided),
            drift_psi=drift(usable.features[learned], usable.features[~learned]),
        )

    def _released(self, condition: Condition, history: History, at_ms: int) -> list[Judged]:
        """The last challenger against the baseline of its cycle, on windows since then."""
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
