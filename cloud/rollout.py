"""Plans, stores and publishes desired states: the bundles that each device should run.

`plan` computes them from the champions (released models), `DesiredStates` stores them in the
warehouse, `Rollout` publishes them by MQTT. A device's counter grows only if its desired state
changes. The device itself reports whether it runs a bundle.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Engine, select
from sqlalchemy.dialects.mysql import insert

from cloud.errors import BrokerError, WarehouseError
from cloud.mqtt import BrokerSettings, Connection
from cloud.registry import ModelRow, Registry
from cloud.warehouse.engine import converted
from cloud.warehouse.model_tables import DESIRED
from cloud.warehouse.tables import FACTS
from contract.desired import Desired, DesiredBundle, encode_desired
from contract.records import Kind
from contract.signals import Signal
from contract.topics import desired_topic
from models.conditions import Condition, signals_of
from transport.backoff import Backoff

__all__ = [
    "DesiredRow",
    "DesiredStates",
    "GatewaySignals",
    "Plan",
    "Rollout",
    "Sign",
    "known_devices",
    "plan",
    "roll_out",
]

_AT_ONCE = 100  # payloads in memory at once, each of at most 64 KiB

Sign = Callable[[bytes], tuple[str, bytes]]  # bytes to (key id, signature)
Plan = Mapping[str, tuple[DesiredBundle, ...]]  # by device

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySignals:
    """A gateway and its signals (pairs of sensor and quantity)."""

    device_id: str
    signals: frozenset[Signal]


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredRow:
    """A device's desired state, as it is published.

    Attributes:
        device_id: The device.
        counter: Grows with each change.
        issued_at: When the state was planned, ms since 1970 UTC.
        payload: The signed bytes.
    """

    device_id: str
    counter: int
    issued_at: int
    payload: bytes


def plan(
    devices: Iterable[GatewaySignals],
    conditions: Sequence[Condition],
    champions: Mapping[str, ModelRow],
) -> Plan:
    """Returns for each device the champions of the conditions that it can evaluate.

    Args:
        devices: The fleet.
        conditions: Conditions of the fleet; bundles have this order.
        champions: By condition id; a condition without one has no bundle.
    """
    with_model = [(condition, champions.get(condition.id)) for condition in conditions]
    return {
        device.device_id: tuple(
            _bundle(row)
            for condition, row in with_model
            if row is not None and device.signals.issuperset(signals_of(condition))
        )
        for device in devices
    }


def _bundle(row: ModelRow) -> DesiredBundle:
    return DesiredBundle(
        condition_id=row.condition_id,
        model=row.model,
        version=row.version,
        counter=row.counter,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
    )


def known_devices(engine: Engine) -> tuple[GatewaySignals, ...]:
    """Reads every device that has readings in the warehouse. Raises WarehouseError."""
    at = FACTS[Kind.READING].c
    query = select(at.device_id, at.sensor_id, at.quantity).distinct()
    signals: dict[str, set[Signal]] = {}
    with converted(), engine.connect() as connection:
        for device_id, sensor_id, quantity in connection.execute(query):
            signals.setdefault(device_id, set()).add(Signal.parse(f"{sensor_id}/{quantity}"))
    return tuple(
        GatewaySignals(device_id=name, signals=frozenset(found))
        for name, found in sorted(signals.items())
    )


class DesiredStates:
    """The warehouse's table of desired states."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def write(self, plans: Plan, sign: Sign, at_ms: int) -> tuple[Desired, ...]:
        """Writes the desired states that changed, and returns them.

        A plan for an earlier instant never replaces one for a later instant. A device without
        bundles gets a row only if it already had one.

        Args:
            plans: Bundles by device; other devices do not change.
            sign: Signs a state; with a new key every state changes.
            at_ms: Instant of the plan, ms since 1970 UTC.

        Raises:
            WarehouseError: Nothing was written.
            ContractError: A plan is too large for a message; nothing was written.
        """
        with converted(), self._engine.begin() as transaction:
            changed = (
                _write(transaction, device_id, bundles, sign, at_ms)
                for device_id, bundles in sorted(plans.items())
            )
            return tuple(desired for desired in changed if desired is not None)

    def rows(self) -> tuple[DesiredRow, ...]:
        """Reads every row, by device. Raises WarehouseError."""
        return tuple(row for rows in self.changed({}) for row in rows)

    def changed(self, known: Mapping[str, int]) -> Iterator[tuple[DesiredRow, ...]]:
        """Reads the rows whose counter differs from the known one, in groups.

        Raises:
            WarehouseError: The server did not answer.
        """
        query = select(DESIRED.c.device_id, DESIRED.c.counter).order_by(DESIRED.c.device_id)
        with converted(), self._engine.connect() as connection:
            counters = connection.execute(query).all()
        names = [name for name, counter in counters if known.get(name) != counter]
        for start in range(0, len(names), _AT_ONCE):
            yield self._read(names[start : start + _AT_ONCE])

    def _read(self, names: Sequence[str]) -> tuple[DesiredRow, ...]:
        at = DESIRED.c
        query = select(DESIRED).where(at.device_id.in_(names)).order_by(at.device_id)
        with converted(), self._engine.connect() as connection:
            return tuple(DesiredRow(**row._asdict()) for row in connection.execute(query))


def _write(
    transaction: Transaction,
    device_id: str,
    bundles: tuple[DesiredBundle, ...],
    sign: Sign,
    at_ms: int,
) -> Desired | None:
    query = select(DESIRED).where(DESIRED.c.device_id == device_id).with_for_update()
    old = transaction.execute(query).one_or_none()
    if old is None and not bundles:
        return None
    if old is not None and (old.issued_at > at_ms or old.payload == _payload(old, bundles, sign)):
        return None
    counter = 1 if old is None else old.counter + 1
    new = Desired(device_id=device_id, counter=counter, issued_at=at_ms, bundles=bundles)
    changes = {"counter": counter, "issued_at": at_ms, "payload": encode_desired(new, sign)}
    statement = insert(DESIRED).values(device_id=device_id, **changes)
    transaction.execute(statement.on_duplicate_key_update(changes))
    return new


def _payload(old: Any, bundles: tuple[DesiredBundle, ...], sign: Sign) -> bytes:
    """Returns the old row's payload with these bundles; Ed25519 signs deterministically."""
    same = Desired(
        device_id=old.device_id, counter=old.counter, issued_at=old.issued_at, bundles=bundles
    )
    return encode_desired(same, sign)


def roll_out(
    registry: Registry,
    states: DesiredStates,
    devices: Iterable[GatewaySignals],
    conditions: Sequence[Condition],
    sign: Sign,
    at_ms: int,
) -> tuple[Desired, ...]:
    """Plans with the champions of an instant, writes the plan and returns the changed states.

    Raises:
        WarehouseError: Nothing was written.
        ContractError: A plan is too large for a message; nothing was written.
    """
    found = ((c.id, registry.champion_at(c.id, at_ms)) for c in conditions)
    champions = {name: row for name, row in found if row is not None}
    return states.write(plan(devices, conditions, champions), sign, at_ms)


class Rollout:
    """Keeps the broker's retained messages equal to the table; one thread calls `run`."""

    def __init__(
        self,
        states: DesiredStates,
        settings: BrokerSettings,
        poll_s: float = 1.0,
        backoff: Backoff | None = None,
    ) -> None:
        self._states = states
        self._settings = settings
        self._poll_s = poll_s
        self._backoff = backoff or Backoff()
        self._away = False

    def run(self, stop: threading.Event) -> None:
        """Publishes all states after each connect, then changed ones, until `stop`.

        Raises:
            BrokerRefused: The broker refuses the account or a message.
            SchemaOutdated: The warehouse lacks the table.
        """
        while not stop.is_set():
            connection = Connection(self._settings)
            try:
                connection.open()
                self._serve(connection, stop)
            except (BrokerError, WarehouseError) as error:
                if not error.retryable:
                    raise
                if not self._away:
                    _log.warning("rollout: %s; trying again", error)
                self._away = True
                stop.wait(self._backoff.wait_s())
            finally:
                connection.close()

    def _serve(self, connection: Connection, stop: threading.Event) -> None:
        told: dict[str, int] = {}
        while not stop.is_set():
            for rows in self._states.changed(told):
                connection.retain({desired_topic(row.device_id): row.payload for row in rows})
                told |= {row.device_id: row.counter for row in rows}
                _log.info("rollout: published the desired state of %d devices", len(rows))
            if self._away:
                _log.info("rollout: connected again")
            self._away = False
            self._backoff.reset()
            connection.wait_for_end(stop, self._poll_s)
