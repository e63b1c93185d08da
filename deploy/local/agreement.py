"""Two agreements that the demo proves: label and rule, gateway and cloud.

Label = rule: the alerts that the gateways' rules raised and cleared are the intervals that the
cloud computed from readings. Same numbers: a window's forecast is the same on the gateway and in
the cloud's stream. Both are asked of the warehouse's rows.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Select, select

from cloud.warehouse.engine import converted
from cloud.warehouse.model_tables import CLOUD_PREDICTIONS, TRUTH
from cloud.warehouse.tables import FACTS
from contract.records import AlertBasis, AlertState, Kind

__all__ = ["Agreement", "agree"]

MOST_APART = 1e-5  # of a probability, gateway and cloud
_Change = tuple[str, str, str, int]  # device, condition, raised or cleared, instant
_Window = tuple[str, str, int, str]  # device, condition, instant, version of the model


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far rule and label, gateway and cloud agree.

    Attributes:
        changes_total: Alerts raised and cleared by rules.
        changes_apart: Of these and of the truth's, the ones that the other side lacks.
        windows_total: Forecasts that gateway and cloud made of one window with one model.
        windows_apart: Forecasts of gateways that the cloud lacks.
        largest: Largest difference of a probability; 0 where nothing was compared.
    """

    changes_total: int
    changes_apart: int
    windows_total: int
    windows_apart: int
    largest: float

    @property
    def agreed(self) -> bool:
        """Whether there is something to compare, and both pairs say the same."""
        compared = self.changes_total > 0 and self.windows_total > 0
        return compared and not self.changes_apart and self.largest <= MOST_APART


def agree(engine: Engine) -> Agreement:
    """Compares all there is. Raises WarehouseError."""
    with converted(), engine.connect() as connection:
        rule, label = _rule(connection), _label(connection)
        edge, cloud = _edge(connection), _cloud(connection)
    both = edge.keys() & cloud.keys()
    return Agreement(
        changes_total=len(rule),
        changes_apart=len(rule ^ label),
        windows_total=len(both),
        windows_apart=len(edge) - len(both),
        largest=max((abs(edge[window] - cloud[window]) for window in both), default=0.0),
    )


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
    # compared here and not by a join: MySQL may choose an index that looks at millions of pairs
    return {(d, c, when, v): float(p) for d, c, when, v, p in connection.execute(query)}
