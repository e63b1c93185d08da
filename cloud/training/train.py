"""Trains one condition in one cycle: judges candidates, releases models, writes the decision.

You can repeat a cycle safely for the same instant: an interrupted run's bundles are found again,
and the decision is written last. An alias is the role of a model version, such as `champion`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cloud.expectation import Expectation
from cloud.registry import Alias, AliasRow, DecisionRow, ModelRow, Registry
from cloud.training.decisions import Decisions
from cloud.training.expected import expected
from cloud.training.history import History
from cloud.training.judge import Champion, Decision, Judgement, fresh_span, judge, undecided
from cloud.training.learners import BASELINE
from cloud.training.release import MIN_EXAMPLES, Provenance, releasable
from cloud.training.walk import NOTHING_WALKED, Learner, Trained, learnable
from models.bundle import Bundle, unpack
from models.conditions import MODEL_INPUTS, Condition, forecastable
from models.inference import Inference
from models.signing import TrustedKeys

__all__ = ["Publishes", "Trainer", "load_model"]


class Publishes(Protocol):
    """Publisher of trained models."""

    def publish(
        self,
        condition: Condition,
        family: str,
        trained: Trained,
        examples: History,
        provenance: Provenance,
        found: Expectation | None = None,
    ) -> ModelRow:
        """Record a bundle of a trained model and return its row."""
        ...

    def reissue(
        self, row: ModelRow, bundle: Bundle, provenance: Provenance, found: Expectation
    ) -> ModelRow:
        """Record a withdrawn model again and return its new row."""
        ...


def load_model(registry: Registry, row: ModelRow, trusted: TrustedKeys) -> Inference:
    """Return the model of a recorded bundle after verification.

    Raises:
        BundleRefused: The bundle's hash is wrong, or no trusted key has signed it.
        ModelError: The model cannot be loaded.
        DewlineError: The bundle cannot be read.
    """
    return Inference(unpack(registry.bundle_bytes(row.sha256), trusted).model)


@dataclass(frozen=True, slots=True)
class Trainer:
    """Trains the conditions of a cycle.

    Attributes:
        registry: Registry of models.
        decisions: Tables of decisions and scores.
        publisher: Publisher of trained models.
        learners: The baseline, and the candidates.
        trusted: Keys that may sign bundles.
        told: Function that reports progress; called with a text for each step.
    """

    registry: Registry
    decisions: Decisions
    publisher: Publishes
    learners: tuple[Learner, Sequence[Learner]]
    trusted: TrustedKeys
    told: Callable[[str], None]

    def train(
        self, condition: Condition, history: History, provenance: Provenance, why: str
    ) -> DecisionRow:
        """Judge candidates of one condition, release models and write the decision.

        Args:
            condition: The condition.
            history: Its steps on all devices up to the cycle.
            provenance: The cycle and its data.
            why: The reason for training now.

        Raises:
            DewlineError: A step failed; call again with the same arguments.
        """
        known = self.decisions.find(provenance.cycle_at, condition.id)
        if known is not None:
            return known
        examples = history.examples
        judgement = self._judge(condition, examples, provenance.cycle_at)
        self.told(f"{condition.id}: {judgement.decision}: {judgement.reason}")
        champion = self._release(condition, history, examples, provenance, judgement)
        row = _decision(condition, provenance, judgement, champion, why)
        self.decisions.write(row, judgement.scores)
        return row

    def _judge(self, condition: Condition, examples: History, cycle_at: int) -> Judgement:
        if not forecastable(condition):
            if condition.statistic is not None:
                return undecided(f"models forecast only the last value, not {condition.statistic}")
            seen = ", ".join(MODEL_INPUTS)
            return undecided(f"models use only {seen}, but the signal is {condition.signal}")
        if not releasable(examples):
            needed = f"{MIN_EXAMPLES} are needed to release a model"
            return undecided(f"{len(examples)} windows, {needed}")
        last = self.decisions.unused_from(cycle_at, condition.id)
        span = fresh_span(examples, cycle_at, last)
        champion = self.registry.champion_at(condition.id, cycle_at - 1)
        known = None
        if champion is not None and champion.family != BASELINE:
            model = load_model(self.registry, champion, self.trusted)
            known = Champion(model, champion.created_at, champion.version)
        withdrawn = self._withdrawn(condition, cycle_at)
        return judge(examples, condition, self.learners, known, span, withdrawn)

    def _withdrawn(self, condition: Condition, cycle_at: int) -> Champion | None:
        """Return the model that was withdrawn last, if it still suits condition and program."""
        row = self.registry.withdrawn_at(condition.id, cycle_at - 1)
        if row is None:
            return None
        bundle = self._bundle(row)
        if not (bundle.manifest.takes_our_features and bundle.manifest.made_for(condition)):
            return None
        return Champion(Inference(bundle.model), row.created_at, row.version)

    def _bundle(self, row: ModelRow) -> Bundle:
        return unpack(self.registry.bundle_bytes(row.sha256), self.trusted)

    def _release(
        self,
        condition: Condition,
        history: History,
        examples: History,
        provenance: Provenance,
        judgement: Judgement,
    ) -> ModelRow | None:
        """Release models and return the new champion; None if no model can be trained yet."""
        before = self.registry.champion_at(condition.id, provenance.cycle_at - 1)
        if not (learnable(examples.labels) and releasable(examples)):
            return before
        first, found = _expectations(condition, history, examples, judgement)
        baseline = self._publish(condition, self.learners[0], examples, provenance, first)
        self._name(Alias.BASELINE, baseline, provenance)
        adopted = self._challenger(condition, examples, provenance, judgement, found)
        if adopted is not None:
            self._name(Alias.CHALLENGER, adopted, provenance)
        champion = _champion(judgement.decision, baseline, adopted, before)
        self._name(Alias.CHAMPION, champion, provenance)
        return champion

    def _challenger(
        self,
        condition: Condition,
        examples: History,
        provenance: Provenance,
        judgement: Judgement,
        found: Expectation,
    ) -> ModelRow | None:
        """Release the version that was judged, adopted or not; None if none could be judged."""
        if judgement.decision is Decision.RETURNED:
            row = self.registry.withdrawn_at(condition.id, provenance.cycle_at - 1)
            return row and self.publisher.reissue(row, self._bundle(row), provenance, found)
        if judgement.winner is None:
            return None
        winner = next(c for c in self.learners[1] if c.family == judgement.winner)
        return self._publish(condition, winner, examples, provenance, found)

    def _publish(
        self,
        condition: Condition,
        learner: Learner,
        examples: History,
        provenance: Provenance,
        found: Expectation,
    ) -> ModelRow:
        trained, family = learner.fit(examples), learner.family
        return self.publisher.publish(condition, family, trained, examples, provenance, found)

    def _name(self, alias: Alias, row: ModelRow, provenance: Provenance) -> None:
        self.registry.set_alias(
            AliasRow(
                condition_id=row.condition_id,
                alias=alias,
                from_at=provenance.cycle_at,
                model=row.model,
                version=row.version,
            )
        )


def _expectations(
    condition: Condition, history: History, examples: History, judgement: Judgement
) -> list[Expectation]:
    """Return what to expect of the baseline's warnings, then of the judged model's."""
    walked = judgement.walked or NOTHING_WALKED
    judged = examples.rows(walked.rows)
    return [
        expected(history, judged, asked, condition, condition.warn_at)
        for asked in walked.probability.T
    ]


def _champion(
    decision: Decision, baseline: ModelRow, adopted: ModelRow | None, before: ModelRow | None
) -> ModelRow:
    if decision in (Decision.ADOPTED, Decision.RETURNED) and adopted is not None:
        return adopted
    stays = decision in (Decision.KEPT, Decision.INSUFFICIENT_EVIDENCE)
    if stays and before is not None and before.family != BASELINE:
        return before
    return baseline


def _decision(
    condition: Condition,
    provenance: Provenance,
    judgement: Judgement,
    champion: ModelRow | None,
    why: str,
) -> DecisionRow:
    found = judgement.skill
    returned = champion is not None and judgement.decision is Decision.RETURNED
    return DecisionRow(
        cycle_at=provenance.cycle_at,
        condition_id=condition.id,
        candidate=champion.family if champion and returned else judgement.winner,
        brier_baseline=found.brier_baseline,
        brier_model=found.brier_model,
        skill=found.skill,
        skill_low=found.low,
        skill_high=found.high,
        event_weeks=found.event_weeks,
        windows_total=found.windows_total,
        decision=judgement.decision.value,
        reason=f"{judgement.reason} (trained since {why})",
        model=champion.model if champion else None,
        version=champion.version if champion else None,
    )
