"""Moves staged summaries to their tables in one transaction, which replaces whole days.

The transaction also deletes the days from `aggregate_due`. So after a kill at any moment, a day is
either summarized or still due, and a repeated load gives the same rows.
"""

import uuid
from collections.abc import Collection, Iterable
from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection, Engine, Table, text

from cloud.warehouse.aggregate_tables import (
    CONDITION_DAYS,
    CONDITION_HOURS,
    DAYS,
    DUE,
    HOURS,
    MINUTES,
    STAGED_DAYS,
    STAGED_ROWS,
)
from cloud.warehouse.engine import converted
from cloud.warehouse.sensor_rows import follow_sensors

__all__ = ["StagedDay", "clear_staged", "due_days", "mark_due", "new_attempt", "replace_days"]

_ROWS_AT_ONCE = 5000
_DONE = (
    "DELETE q FROM stg_aggregate_day AS d JOIN aggregate_due AS q"
    " ON q.device_id = d.device_id AND q.event_day = d.event_day"
    " WHERE d.attempt = :attempt AND d.calendar = 'utc'"
)


class StagedDay(NamedTuple):
    """A day of one device whose summaries are replaced.

    Attributes:
        calendar: `utc`, `site`, or `condition` for the conditions' UTC days.
        device_id: The device.
        day: The date in that calendar.
    """

    calendar: str
    device_id: str
    day: date


class _Target(NamedTuple):
    """A level of staged rows, and the table and calendar to which it goes."""

    level: str
    table: Table
    calendar: str


_TARGETS = (
    _Target("minute", MINUTES, "utc"),
    _Target("hour", HOURS, "utc"),
    _Target("day", DAYS, "utc"),
    _Target("site_day", DAYS, "site"),
    _Target("condition_hour", CONDITION_HOURS, "condition"),
    _Target("condition_day", CONDITION_DAYS, "condition"),
)


def mark_due(engine: Engine, days: Iterable[tuple[str, date]]) -> None:
    """Record that the readings of these devices and UTC days have changed.

    Raises:
        WarehouseError: Nothing was recorded.
    """
    rows = [{"device_id": device_id, "event_day": day} for device_id, day in days]
    statement = text(
        "INSERT INTO aggregate_due (device_id, event_day) VALUES (:device_id, :event_day)"
        " ON DUPLICATE KEY UPDATE device_id = aggregate_due.device_id"
    )
    with converted(), engine.begin() as connection:
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            connection.execute(statement, rows[start : start + _ROWS_AT_ONCE])


def due_days(engine: Engine, limit: int) -> list[tuple[str, date]]:
    """Return at most `limit` due devices and UTC days, those of one device together.

    Raises:
        WarehouseError: The server did not answer.
    """
    query = DUE.select().order_by(*DUE.primary_key).limit(limit)
    with converted(), engine.connect() as connection:
        return [(row.device_id, row.event_day) for row in connection.execute(query)]


def new_attempt() -> str:
    """Return a name for the staged rows of one attempt, which no other attempt has."""
    return uuid.uuid4().hex


def clear_staged(engine: Engine) -> None:
    """Delete the staged rows of all earlier attempts.

    Raises:
        WarehouseError: The server did not answer.
    """
    with converted(), engine.begin() as connection:
        for table in (STAGED_ROWS, STAGED_DAYS):
            connection.execute(text(f"TRUNCATE TABLE {table.name}"))


def replace_days(engine: Engine, attempt: str, days: Collection[StagedDay]) -> None:
    """Replace the summaries of some days by the staged rows; their UTC days are no longer due.

    Args:
        engine: The warehouse.
        attempt: The attempt whose rows are staged.
        days: All days whose summaries are replaced, also those that have no row now.

    Raises:
        WarehouseError: Nothing was changed; the days are still due.
    """
    with converted(), engine.begin() as connection:
        _insert_days(connection, attempt, days)
        for target in _TARGETS:
            connection.execute(text(_delete(target)), {"attempt": attempt})
            connection.execute(text(_insert(target)), {"attempt": attempt})
        follow_sensors(connection, attempt)
        connection.execute(text(_DONE), {"attempt": attempt})


def _insert_days(connection: Connection, attempt: str, days: Collection[StagedDay]) -> None:
    rows = [
        {"attempt": attempt, "calendar": d.calendar, "device_id": d.device_id, "event_day": d.day}
        for d in days
    ]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        connection.execute(STAGED_DAYS.insert(), rows[start : start + _ROWS_AT_ONCE])


def _delete(target: _Target) -> str:
    calendar = " AND a.calendar = d.calendar" if target.table is DAYS else ""
    return (
        f"DELETE a FROM stg_aggregate_day AS d JOIN {target.table.name} AS a"
        f" ON a.device_id = d.device_id{calendar} AND a.event_day = d.event_day"
        f" WHERE d.attempt = :attempt AND d.calendar = '{target.calendar}'"
    )


def _insert(target: _Target) -> str:
    """Return SQL that inserts a level's rows; equal rows of repeated tasks count once."""
    names = [column.name for column in target.table.columns]
    cells = {name: f"s.`{name}`" for name in names}
    if target.table is DAYS:
        cells["calendar"] = f"'{target.calendar}'"
    if "steps_total" in cells:
        cells["steps_total"] = "s.`values_total`"
    listed = ", ".join(f"`{name}`" for name in names)
    return (
        f"INSERT INTO {target.table.name} ({listed})"
        f" SELECT {', '.join(cells.values())} FROM stg_aggregate AS s"
        f" WHERE s.attempt = :attempt AND s.level = '{target.level}'"
        f" ON DUPLICATE KEY UPDATE device_id = {target.table.name}.device_id"
    )
