"""What each device should run: planned from the champions, kept in the warehouse, told by MQTT.

Planning is pure; writing raises a device's counter only when what it should run changes; `Rollout`
publishes what the table says and decides nothing. Whether a device runs it, it reports itself.
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

_AT_ONCE = 100  # payloads in memory, each of 64 KiB at most

Sign = Callable[[bytes], tuple[str, bytes]]  # bytes to (key id, signature)
Plan = Mapping[str, tuple[DesiredBundle, ...]]  # by device

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySignals:
    """A gateway and the signals that it has."""

    device_id: str
    signals: frozenset[Signal]


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredRow:
    """The message that a device should have, as it is published.

    Attributes:
        device_id: The device.
        counter: Grows with each change.
        issued_at: When it was planned, ms since 1970 UTC.
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
    """For each device the champion of every condition that it can evaluate.

    Args:
        devices: The fleet.
        conditions: What it watches; bundles stand in this order.
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
    """Every device that has readings in the warehouse. Raises WarehouseError."""
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
    """The warehouse's table of what each device should run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def write(self, plans: Plan, sign: Sign, at_ms: int) -> tuple[Desired, ...]:
        """Writes what differs from what is there, and returns it.

        A plan made for an earlier instant never replaces one of a later; a device without bundles
        gets a row only if it had one.

        Args:
            plans: Bundles by device; other devices are left as they are.
            sign: Signs; a change of the key is a change of what is written.
            at_ms: When it was planned, ms since 1970 UTC.

        Raises:
            WarehouseError: Nothing was written.
            ContractError: A plan is larger than a message may be; nothing was written.
        """
        with converted(), self._engine.begin() as transaction:
            changed = (
                _write(transaction, device_id, bundles, sign, at_ms)
                for device_id, bundles in sorted(plans.items())
            )
            return tuple(desired for desired in changed if desired is not None)

    def rows(self) -> tuple[DesiredRow, ...]:
        """Every row, by device. Raises WarehouseError."""
        return tuple(row for rows in self.changed({}) for row in rows)

    def changed(self, known: Mapping[str, int]) -> Iterator[tuple[DesiredRow, ...]]:
        """Rows whose counter is not the known one of their device, some at a time.

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
    """What the old row would hold if it were for these bundles: Ed25519 has no chance in it."""
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
    """Plans with the champions in force at an instant and writes it; what has changed.

    Raises:
        WarehouseError: Nothing was written.
        ContractError: A plan is larger than a message may be; nothing was written.
    """
    found = ((c.id, registry.champion_at(c.id, at_ms)) for c in conditions)
    champions = {name: row for name, row in found if row is not None}
    return states.write(plan(devices, conditions, champions), sign, at_ms)


class Rollout:
    """Keeps the broker's retained messages as the table says; `run` belongs to one thread."""

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
        """Publishes every device's message at each connect, then what changes; until `stop`.

        Raises:
            BrokerRefused: The broker refuses the account or what it publishes.
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
                _log.info("rollout: %d devices are told what to run", len(rows))
            if self._away:
                _log.info("rollout: connected again")
            self._away = False
            self._backoff.reset()
            connection.wait_for_end(stop, self._poll_s)
