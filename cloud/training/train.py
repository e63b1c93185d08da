"""One condition through one cycle: judge, release what has earned it, write the decision.

Safe to repeat for the same instant: what an interrupted run recorded is found again, and the
decision, written last, ends it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cloud.inference import Inference
from cloud.registry import Alias, AliasRow, DecisionRow, ModelRow, Registry
from cloud.training.decisions import Decisions
from cloud.training.history import History
from cloud.training.judge import Decision, Verdict, fresh_from, judge, undecided
from cloud.training.learners import BASELINE
from cloud.training.release import MIN_EXAMPLES, Origins, releasable
from cloud.training.walk import Learner, Trained, learnable
from models.bundle import unpack
from models.conditions import MODEL_INPUTS, Condition, forecastable
from models.signing import TrustedKeys

__all__ = ["Publishes", "Trainer", "load_model"]


class Publishes(Protocol):
    """What makes a recorded bundle of a trained model."""

    def publish(
        self,
        condition: Condition,
        family: str,
        trained: Trained,
        examples: History,
        origins: Origins,
    ) -> ModelRow:
        """The recorded bundle."""
        ...


def load_model(registry: Registry, row: ModelRow, trusted: TrustedKeys) -> Inference:
    """The model of a recorded bundle, verified.

    Raises:
        BundleRefused: The bundle is not what its name says, or nobody of trust signed it.
        ModelError: Its model cannot be loaded.
        DewlineError: It cannot be read.
    """
    return Inference(unpack(registry.bundle_bytes(row.sha256), trusted).model)


@dataclass(frozen=True, slots=True)
class Trainer:
    """What a cycle trains with.

    Attributes:
        registry: Of models.
        decisions: Table of decisions and choices.
        publisher: Makes bundles.
        learners: The baseline, and the candidates.
        trusted: Keys of bundles that may be loaded.
        told: Told each step, for a person.
    """

    registry: Registry
    decisions: Decisions
    publisher: Publishes
    learners: tuple[Learner, Sequence[Learner]]
    trusted: TrustedKeys
    told: Callable[[str], None]

    def train(
        self, condition: Condition, history: History, origins: Origins, why: str
    ) -> DecisionRow:
        """Judges, releases and decides for one condition.

        Args:
            condition: Which.
            history: Its steps on every device up to the cycle.
            origins: The cycle and its data.
            why: The reason for training now.

        Raises:
            DewlineError: A step failed; call again with the same arguments.
        """
        known = self.decisions.find(origins.cycle_at, condition.id)
        if known is not None:
            return known
        examples = history.examples
        verdict = self._judge(condition, examples, origins.cycle_at)
        self.told(f"{condition.id}: {verdict.decision}: {verdict.reason}")
        champion = self._release(condition, examples, origins, verdict)
        row = _decision(condition, origins, verdict, champion, why)
        self.decisions.write(row, verdict.scores)
        return row

    def _judge(self, condition: Condition, examples: History, cycle_at: int) -> Verdict:
        if not forecastable(condition):
            seen = ", ".join(MODEL_INPUTS)
            return undecided(f"models look at {seen}, and its signal is {condition.signal}")
        if not releasable(examples):
            needed = f"{MIN_EXAMPLES} are needed to release a model"
            return undecided(f"{len(examples)} windows, {needed}")
        last = self.decisions.unused_from(cycle_at, condition.id)
        span = (fresh_from(int(examples.begins_ms.min()), cycle_at, last), cycle_at)
        champion = self.registry.champion_at(condition.id, cycle_at - 1)
        learned = champion is not None and champion.family != BASELINE
        model = load_model(self.registry, champion, self.trusted) if champion and learned else None
        return judge(examples, condition, self.learners, model, span)

    def _release(
        self, condition: Condition, examples: History, origins: Origins, verdict: Verdict
    ) -> ModelRow | None:
        """The champion from now on; None while there is nothing to learn from."""
        before = self.registry.champion_at(condition.id, origins.cycle_at - 1)
        if not (learnable(examples.labels) and releasable(examples)):
            return before
        baseline = self._publish(condition, self.learners[0], examples, origins)
        self._name(Alias.BASELINE, baseline, origins)
        adopted = None
        if verdict.winner is not None:
            winner = next(c for c in self.learners[1] if c.family == verdict.winner)
            adopted = self._publish(condition, winner, examples, origins)
            self._name(Alias.CHALLENGER, adopted, origins)
        champion = _champion(verdict.decision, baseline, adopted, before)
        self._name(Alias.CHAMPION, champion, origins)
        return champion

    def _publish(
        self, condition: Condition, learner: Learner, examples: History, origins: Origins
    ) -> ModelRow:
        trained = learner.fit(examples)
        return self.publisher.publish(condition, learner.family, trained, examples, origins)

    def _name(self, alias: Alias, row: ModelRow, origins: Origins) -> None:
        self.registry.set_alias(
            AliasRow(
                condition_id=row.condition_id,
                alias=alias,
                from_at=origins.cycle_at,
                model=row.model,
                version=row.version,
            )
        )


def _champion(
    decision: Decision, baseline: ModelRow, adopted: ModelRow | None, before: ModelRow | None
) -> ModelRow:
    if decision is Decision.ADOPTED and adopted is not None:
        return adopted
    stays = decision in (Decision.KEPT, Decision.INSUFFICIENT_EVIDENCE)
    if stays and before is not None and before.family != BASELINE:
        return before
    return baseline


def _decision(
    condition: Condition,
    origins: Origins,
    verdict: Verdict,
    champion: ModelRow | None,
    why: str,
) -> DecisionRow:
    found = verdict.skill
    return DecisionRow(
        cycle_at=origins.cycle_at,
        condition_id=condition.id,
        candidate=verdict.winner,
        brier_baseline=found.brier_baseline,
        brier_model=found.brier_model,
        skill=found.skill,
        skill_low=found.low,
        skill_high=found.high,
        event_weeks=found.event_weeks,
        windows_total=found.windows_total,
        decision=verdict.decision.value,
        reason=f"{verdict.reason} (trained since {why})",
        model=champion.model if champion else None,
        version=champion.version if champion else None,
    )
