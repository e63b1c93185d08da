"""Checks that rules agree with labels, and that gateways and cloud compute the same forecasts.

Rules and labels agree if the alerts that gateways raised and cleared are the intervals that the
cloud computed from readings. Only changes after the gateways' first step count: a gateway does not
know the imported history, so it cannot know when an interval began before. Forecasts agree if
gateway and cloud computed the same probability for the same window. Both checks read the warehouse.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Select, select

from cloud.warehouse.engine import converted
from cloud.warehouse.model_tables import CLOUD_PREDICTIONS, TRUTH
from cloud.warehouse.tables import FACTS
from contract.records import AlertBasis, AlertState, Kind

__all__ = ["Agreement", "agree"]

MOST_APART = 1e-5  # largest allowed difference of two probabilities
_Change = tuple[str, str, str, int]  # device, condition, raised or cleared, instant
_Window = tuple[str, str, int, str]  # device, condition, instant, version of the model


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Holds the results of both checks.

    Attributes:
        changes_total: Alerts raised and cleared by rules.
        changes_apart: Changes that only the rules have, or only the labels.
        windows_total: Windows that gateway and cloud forecast with the same model.
        windows_apart: Windows that a gateway forecast and the cloud did not.
        largest: Largest difference of two probabilities; 0 if nothing was compared.
    """

    changes_total: int
    changes_apart: int
    windows_total: int
    windows_apart: int
    largest: float

    @property
    def agreed(self) -> bool:
        """True if there are changes and windows to compare, and all of them agree."""
        compared = self.changes_total > 0 and self.windows_total > 0
        return compared and not self.changes_apart and self.largest <= MOST_APART


def agree(engine: Engine, after_ms: int) -> Agreement:
    """Compares alerts and forecasts in the warehouse.

    Args:
        engine: The warehouse.
        after_ms: Instant of the gateways' first step, ms since 1970 UTC.

    Raises:
        WarehouseError: MySQL did not answer.
    """
    with converted(), engine.connect() as connection:
        rule, label = _after(_rule(connection), after_ms), _after(_label(connection), after_ms)
        edge, cloud = _edge(connection), _cloud(connection)
    both = edge.keys() & cloud.keys()
    return Agreement(
        changes_total=len(rule),
        changes_apart=len(rule ^ label),
        windows_total=len(both),
        windows_apart=len(edge) - len(both),
        largest=max((abs(edge[window] - cloud[window]) for window in both), default=0.0),
    )


def _after(changes: set[_Change], after_ms: int) -> set[_Change]:
    return {change for change in changes if change[-1] > after_ms}


def _rule(connection: Connection) -> set[_Change]:
    at = FACTS[Kind.ALERT].c
    query = select(at.device_id, at.condition_id, at.state, at.observed_at).where(
        at.basis == AlertBasis.OBSERVED.value
    )
    return {(d, c, state, when) for d, c, state, when in connection.execute(query)}


def _label(connection: Connection) -> set[_Change]:
    at = TRUTH.c
    query = select(at.device_id, at.condition_id, at.began_at, at.ended_at)
    found: set[_Change] = set()
    for device_id, condition_id, began_at, ended_at in connection.execute(query):
        found.add((device_id, condition_id, AlertState.RAISED.value, began_at))
        if ended_at is not None:
            found.add((device_id, condition_id, AlertState.CLEARED.value, ended_at))
    return found


def _edge(connection: Connection) -> dict[_Window, float]:
    at = FACTS[Kind.PREDICTION].c
    return _probabilities(connection, select(*_named(at, at.observed_at)))


def _cloud(connection: Connection) -> dict[_Window, float]:
    at = CLOUD_PREDICTIONS.c
    return _probabilities(connection, select(*_named(at, at.issued_at)))


def _named(at: Any, instant: Any) -> tuple[Any, ...]:
    return (at.device_id, at.condition_id, instant, at.version, at.probability)


def _probabilities(connection: Connection, query: Select[Any]) -> dict[_Window, float]:
    # Compared here and not by a join, because MySQL may choose an index that reads millions of
    # pairs.
    return {(d, c, when, v): float(p) for d, c, when, v, p in connection.execute(query)}
