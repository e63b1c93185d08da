"""Defines the tables of summaries and excursions, their staging tables, and the dimensions.

All of them can be computed again from the lake and the configuration. `cloud.aggregates` writes
them; `cloud.monitoring.excursions` writes table `excursion`.
"""

from typing import Any

from sqlalchemy import Column, Date, Index, PrimaryKeyConstraint, Table
from sqlalchemy.dialects import mysql

from cloud.warehouse.tables import METADATA, OPTIONS, Instant

__all__ = [
    "AGGREGATES",
    "CONDITION_DAYS",
    "CONDITION_HOURS",
    "DAYS",
    "DIM_CONDITIONS",
    "DIM_DEVICES",
    "DIM_SENSORS",
    "DIM_SITES",
    "DUE",
    "EXCURSIONS",
    "HOURS",
    "MINUTES",
    "STAGED_DAYS",
    "STAGED_ROWS",
]


def _word(name: str, length: int = 63, *, nullable: bool = False) -> Column[Any]:
    return Column(name, mysql.VARCHAR(length), nullable=nullable)


def _integer(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, mysql.BIGINT(), nullable=nullable, autoincrement=False)


def _real(name: str, *, nullable: bool = True) -> Column[Any]:
    return Column(name, mysql.DOUBLE(asdecimal=False), nullable=nullable)


def _instant(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Instant(), nullable=nullable)


def _day(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Date(), nullable=nullable)


def _values() -> list[Column[Any]]:
    return [_real("lowest"), _real("mean"), _real("highest")]


def _of_signal() -> list[Column[Any]]:
    return [
        _integer("values_total"),
        _integer("unusable_total"),
        *_values(),
        _real("last"),
        _instant("last_at", nullable=True),
        _real("coverage_ratio", nullable=False),
        _real("mean_kinetic_temperature"),
    ]


def _of_condition() -> list[Column[Any]]:
    return [
        _integer("steps_total"),
        *_values(),
        _integer("beyond_s"),
        _real("degree_minutes", nullable=False),
        _real("coverage_ratio", nullable=False),
    ]


def _table(name: str, columns: list[Column[Any]], key: tuple[str, ...], *more: Index) -> Table:
    # The key begins with device and day: a day is replaced as a whole, and its rows are neighbours.
    return Table(name, METADATA, *columns, PrimaryKeyConstraint(*key), *more, **OPTIONS)


def _by_day(table: str) -> Index:
    return Index(f"ix_{table}_day", "event_day", "device_id")


def _short(name: str) -> Table:
    own = [_word("device_id"), _day("event_day"), _word("sensor_id"), _word("quantity")]
    key = ("device_id", "event_day", "sensor_id", "quantity", "begin_at")
    return _table(name, [*own, _instant("begin_at"), *_of_signal()], key, _by_day(name))


# Grain: one row per device, signal and UTC minute with a reading, on days with more than one
# value a minute.
MINUTES = _short("agg_minute")
# Grain: one row per device, signal and UTC hour with a reading.
HOURS = _short("agg_hour")
# Grain: one row per device, calendar (utc, or site for the local days of the device's site), day
# and signal with a reading.
DAYS = _table(
    "agg_day",
    [
        *(_word("device_id"), _word("calendar", 8), _day("event_day")),
        *(_word("sensor_id"), _word("quantity"), _instant("begin_at"), _integer("length_s")),
        *_of_signal(),
        _word("calibration", 200, nullable=True),
    ],
    ("device_id", "calendar", "event_day", "sensor_id", "quantity"),
    _by_day("agg_day"),
)

# Grain: one row per device, condition and UTC hour with a step.
CONDITION_HOURS = _table(
    "agg_condition_hour",
    [
        *(_word("device_id"), _day("event_day"), _word("condition_id"), _instant("begin_at")),
        *_of_condition(),
    ],
    ("device_id", "event_day", "condition_id", "begin_at"),
    _by_day("agg_condition_hour"),
)
# Grain: one row per device, condition and UTC day with a step.
CONDITION_DAYS = _table(
    "agg_condition_day",
    [*(_word("device_id"), _day("event_day"), _word("condition_id")), *_of_condition()],
    ("device_id", "event_day", "condition_id"),
    _by_day("agg_condition_day"),
)
AGGREGATES = (MINUTES, HOURS, DAYS, CONDITION_HOURS, CONDITION_DAYS)

# Grain: one row per interval of table truth.
EXCURSIONS = _table(
    "excursion",
    [
        *(_word("device_id"), _word("condition_id"), _instant("began_at")),
        _instant("ended_at", nullable=True),
        _real("peak", nullable=False),
        _instant("peak_at"),
        _real("mean", nullable=False),
        *(_integer("steps_total"), _integer("beyond_s")),
        _real("degree_minutes", nullable=False),
        _word("causes", 200),
    ],
    ("device_id", "condition_id", "began_at"),
    Index("ix_excursion_began", "began_at", "device_id"),
)

# Grain: one row per device with a dated reading.
DIM_DEVICES = _table(
    "dim_device",
    [
        *(_word("device_id"), _word("site_id", nullable=True)),
        *(_day("first_day", nullable=True), _day("last_day", nullable=True)),
    ],
    ("device_id",),
)
# Grain: one row per declared site.
DIM_SITES = _table("dim_site", [_word("site_id"), _word("time_zone", 200)], ("site_id",))
# Grain: one row per device and signal with a dated reading.
DIM_SENSORS = _table(
    "dim_sensor",
    [
        *(_word("device_id"), _word("sensor_id"), _word("quantity")),
        _word("unit", nullable=True),
        _word("calibration", 200, nullable=True),
        *(_day("first_day"), _day("last_day")),
    ],
    ("device_id", "sensor_id", "quantity"),
)
# Grain: one row per declared condition.
DIM_CONDITIONS = _table(
    "dim_condition",
    [
        *(_word("condition_id"), _word("signal", 200)),
        *(_word("unit", nullable=True), _word("comparison")),
        *(_real("limit_value", nullable=False), _real("hysteresis", nullable=False)),
        *(_integer(name) for name in ("duration_s", "horizon_s", "step_s", "max_age_s")),
        _real("warn_at", nullable=False),
        _word("declaration", 64),
    ],
    ("condition_id",),
)

# Grain: one row per device and UTC day whose readings have changed since its summaries.
DUE = _table("aggregate_due", [_word("device_id"), _day("event_day")], ("device_id", "event_day"))

# Grain: one row per summary and attempt of a load; a task that Spark repeats appends rows again.
STAGED_ROWS = Table(
    "stg_aggregate",
    METADATA,
    Column("row_id", mysql.BIGINT(), primary_key=True, autoincrement=True),
    *(_word("attempt"), _word("level"), _word("device_id"), _day("event_day")),
    *(_word(name, nullable=True) for name in ("sensor_id", "quantity", "condition_id")),
    *(_instant("begin_at"), _integer("length_s"), _integer("values_total")),
    *(_integer("unusable_total", nullable=True), *_values(), _real("last")),
    *(_instant("last_at", nullable=True), _real("coverage_ratio", nullable=False)),
    *(_real("mean_kinetic_temperature"), _word("calibration", 200, nullable=True)),
    *(_integer("beyond_s", nullable=True), _real("degree_minutes")),
    Index("ix_stg_aggregate_attempt", "attempt", "level"),
    **OPTIONS,
)
# Grain: one row per attempt, calendar (utc, site or condition), device and day to replace.
STAGED_DAYS = _table(
    "stg_aggregate_day",
    [_word("attempt"), _word("calendar", 16), _word("device_id"), _day("event_day")],
    ("attempt", "calendar", "device_id", "event_day"),
)
