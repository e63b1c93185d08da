"""Answers named queries on the views, for `dewline-cloud warehouse query`.

Every query is limited to days, so that it reads a part of a large table by an index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Engine, text

from cloud.warehouse.engine import converted
from contract.errors import ConfigError

__all__ = ["QUERIES", "Answer", "Asked", "NamedQuery", "ask", "sql_of"]

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedQuery:
    """A query on one view.

    Attributes:
        name: Name on the command line.
        about: Content of its rows.
        view: The view.
        order: Columns that order the rows.
        by_device: Whether the view has devices.
        day: Column with the day of a row; empty if the rows have none.
        instant: Column with the instant of a row; empty if the rows have none.
    """

    name: str
    about: str
    view: str
    order: str
    by_device: bool = True
    day: str = ""
    instant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a caller wants to see.

    Attributes:
        device_id: Only rows of this device; None for all.
        first_day: First day.
        last_day: Last day; it is included.
    """

    device_id: str | None
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns and rows of a query, in its order; cells are as MySQL returns them."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


QUERIES = {
    query.name: query
    for query in (
        NamedQuery(
            name="latest",
            about="the last value of each signal",
            view="v_latest",
            order="device_id, sensor_id, quantity",
        ),
        NamedQuery(
            name="hourly",
            about="each signal by UTC hour",
            view="v_hourly",
            order="device_id, sensor_id, quantity, begin_at",
            day="event_day",
        ),
        NamedQuery(
            name="daily",
            about="each signal by local day of the site",
            view="v_daily",
            order="device_id, sensor_id, quantity, event_day",
            day="event_day",
        ),
        NamedQuery(
            name="conditions",
            about="time and distance beyond the limit of each condition by UTC day",
            view="v_condition_daily",
            order="device_id, condition_id, event_day",
            day="event_day",
        ),
        NamedQuery(
            name="excursions",
            about="intervals in which a condition was true",
            view="v_excursion",
            order="began_at, device_id, condition_id",
            instant="began_at",
        ),
        NamedQuery(
            name="forecasts",
            about="forecasts with their outcomes",
            view="v_forecast",
            order="issued_at, device_id, condition_id, origin",
            day="event_day",
            instant="issued_at",
        ),
        NamedQuery(
            name="losses",
            about="declared losses of records",
            view="v_loss",
            order="event_day, device_id, stream_id, seq",
            day="event_day",
        ),
        NamedQuery(
            name="decisions",
            about="decisions of the cycles",
            view="v_decision",
            order="cycle_at, condition_id",
            by_device=False,
            instant="cycle_at",
        ),
    )
}


def sql_of(query: NamedQuery, asked: Asked) -> tuple[str, dict[str, Any]]:
    """Return the SQL of a query, and its parameters.

    Raises:
        ConfigError: A device is wanted, but the rows have none.
    """
    parts = []
    values: dict[str, Any] = {}
    if asked.device_id is not None:
        if not query.by_device:
            raise ConfigError(f"query {query.name} has no devices; leave out --device")
        parts.append("device_id = :device_id")
        values["device_id"] = asked.device_id
    if query.day:
        parts.append(f"{query.day} BETWEEN :first_day AND :last_day")
        values |= {"first_day": asked.first_day, "last_day": asked.last_day}
    if query.instant:
        parts.append(f"{query.instant} >= :begin AND {query.instant} < :end")
        values |= {"begin": asked.first_day, "end": asked.last_day + _DAY}
    where = f" WHERE {' AND '.join(parts)}" if parts else ""
    return f"SELECT * FROM {query.view}{where} ORDER BY {query.order}", values


def ask(engine: Engine, query: NamedQuery, asked: Asked) -> Answer:
    """Return the rows of a query.

    Raises:
        ConfigError: A device is wanted, but the rows have none.
        SchemaOutdated: The view is missing.
        WarehouseError: The server did not answer.
    """
    statement, values = sql_of(query, asked)
    with converted(), engine.connect() as connection:
        result = connection.execute(text(statement), values)
        return Answer(tuple(result.keys()), [tuple(row) for row in result])
