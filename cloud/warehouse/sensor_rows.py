"""Keeps `dim_sensor` and `dim_device` as the rows of `agg_day` require."""

from sqlalchemy import Connection, bindparam, text

from contract.quantities import Quantity

__all__ = ["follow_sensors"]

_TOUCHED = (
    "SELECT DISTINCT device_id FROM stg_aggregate_day WHERE attempt = :attempt AND calendar = 'utc'"
)
_DAY_OF_SENSOR = (
    "a.device_id = s.device_id AND a.calendar = 'utc'"
    " AND a.sensor_id = s.sensor_id AND a.quantity = s.quantity AND a.event_day = s."
)
_ENDLESS = " OR ".join(
    f"NOT EXISTS (SELECT 1 FROM agg_day AS a WHERE {_DAY_OF_SENSOR}{end})"
    for end in ("first_day", "last_day")
)
_UNITS = " ".join(f"WHEN '{q.value}' THEN :{q.value}" for q in Quantity if q.facts.shown_unit)
_SHOWN = {q.value: q.facts.shown_unit for q in Quantity if q.facts.shown_unit}


def _sensors_from(source: str) -> str:
    return (
        "INSERT INTO dim_sensor (device_id, sensor_id, quantity, unit, first_day, last_day)"
        " SELECT n.device_id, n.sensor_id, n.quantity, n.unit, n.first_day, n.last_day FROM ("
        f"SELECT a.device_id, a.sensor_id, a.quantity, CASE a.quantity {_UNITS} END AS unit,"
        " MIN(a.event_day) AS first_day, MAX(a.event_day) AS last_day"
        f" FROM {source} GROUP BY a.device_id, a.sensor_id, a.quantity) AS n"
        " ON DUPLICATE KEY UPDATE first_day = LEAST(dim_sensor.first_day, n.first_day),"
        " last_day = GREATEST(dim_sensor.last_day, n.last_day)"
    )


_FROM_ATTEMPT = _sensors_from(
    "stg_aggregate_day AS d JOIN agg_day AS a ON a.device_id = d.device_id"
    " AND a.calendar = 'utc' AND a.event_day = d.event_day"
    " WHERE d.attempt = :attempt AND d.calendar = 'utc'"
)
_FROM_ALL_DAYS = _sensors_from("agg_day AS a WHERE a.calendar = 'utc' AND a.device_id IN :devices")
_CALIBRATIONS = (
    f"UPDATE dim_sensor AS s JOIN agg_day AS a ON {_DAY_OF_SENSOR}last_day"
    f" SET s.calibration = a.calibration WHERE s.device_id IN ({_TOUCHED})"
)
_DEVICES = (
    f"UPDATE dim_device SET first_day = NULL, last_day = NULL WHERE device_id IN ({_TOUCHED})",
    (
        "INSERT INTO dim_device (device_id, first_day, last_day)"
        " SELECT n.device_id, n.first_day, n.last_day FROM ("
        "SELECT device_id, MIN(first_day) AS first_day, MAX(last_day) AS last_day FROM dim_sensor"
        f" WHERE device_id IN ({_TOUCHED}) GROUP BY device_id) AS n"
        " ON DUPLICATE KEY UPDATE first_day = n.first_day, last_day = n.last_day"
    ),
    "DELETE FROM dim_device WHERE site_id IS NULL AND first_day IS NULL",
)


def follow_sensors(connection: Connection, attempt: str) -> None:
    """Correct the rows of all devices whose days were replaced in this transaction.

    Only the replaced days are read, except for devices with a sensor whose first or last day has
    lost its readings: the rows of these devices are made again from all their days.
    """
    own = {"attempt": attempt}
    endless = (
        f"SELECT DISTINCT s.device_id FROM dim_sensor AS s"
        f" WHERE s.device_id IN ({_TOUCHED}) AND ({_ENDLESS})"
    )
    if devices := list(connection.scalars(text(endless), own)):
        for statement, more in (
            ("DELETE FROM dim_sensor WHERE device_id IN :devices", {}),
            (_FROM_ALL_DAYS, _SHOWN),
        ):
            named = text(statement).bindparams(bindparam("devices", devices, expanding=True))
            connection.execute(named, more)
    connection.execute(text(_FROM_ATTEMPT), own | _SHOWN)
    for statement in (_CALIBRATIONS, *_DEVICES):
        connection.execute(text(statement), own if ":attempt" in statement else {})
