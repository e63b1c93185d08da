"""Reads and writes the tables of decisions and of the candidates' scores."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Engine, func, select

from cloud.registry import DecisionRow
from cloud.training.judge import CandidateScore, Decision
from cloud.warehouse.engine import converted
from cloud.warehouse.model_tables import CANDIDATES, DECISIONS

__all__ = ["Decisions"]


class Decisions:
    """The decisions of all cycles; a decision never changes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, cycle_at: int, condition_id: str) -> DecisionRow | None:
        """Return the decision of a cycle (ms since 1970 UTC) or None. Raises WarehouseError."""
        at = DECISIONS.c
        query = select(DECISIONS).where(at.cycle_at == cycle_at, at.condition_id == condition_id)
        with converted(), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else DecisionRow(**row._asdict())

    def last_before(self, cycle_at: int, condition_id: str) -> int | None:
        """Return the instant of the last decision before a cycle or None. Raises WarehouseError."""
        at = DECISIONS.c
        query = select(func.max(at.cycle_at)).where(
            at.condition_id == condition_id, at.cycle_at < cycle_at
        )
        with converted(), self._engine.connect() as connection:
            found = connection.scalar(query)
        return None if found is None else int(found)

    def unused_from(self, cycle_at: int, condition_id: str) -> int | None:
        """Return the instant after which no decision on evidence has used the data.

        A decision for lack of evidence uses no data. Otherwise a cycle every few weeks would never
        have enough weeks.

        Returns:
            The last decision on evidence before a cycle; if there is none, the first decision;
            None if there is no decision.

        Raises:
            WarehouseError: The server did not answer.
        """
        at = DECISIONS.c
        before = at.condition_id == condition_id, at.cycle_at < cycle_at
        decided = at.decision != Decision.INSUFFICIENT_EVIDENCE.value
        with converted(), self._engine.connect() as connection:
            last = connection.scalar(select(func.max(at.cycle_at)).where(*before, decided))
            first = connection.scalar(select(func.min(at.cycle_at)).where(*before))
        found = first if last is None else last
        return None if found is None else int(found)

    def write(self, row: DecisionRow, scores: Sequence[CandidateScore]) -> None:
        """Write a decision and the scores in one transaction. Raises WarehouseError."""
        told = [
            {
                "cycle_at": row.cycle_at,
                "condition_id": row.condition_id,
                "family": score.family,
                "brier": score.brier,
                "brier_baseline": score.brier_baseline,
                "skill": score.skill,
                "windows_total": score.windows_total,
            }
            for score in scores
        ]
        with converted(), self._engine.begin() as connection:
            if told:
                connection.execute(CANDIDATES.insert(), told)
            connection.execute(DECISIONS.insert(), [asdict(row)])
