"""Defines the views: stable names for queries by people and dashboards.

A view has no data of its own. `warehouse migrate` creates all of them again, so they always fit the
tables of this program.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

__all__ = ["VIEWS", "View", "create_views"]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A view.

    Attributes:
        name: Its name in MySQL.
        row: Content of one row.
        select: The query behind it.
    """

    name: str
    row: str
    select: str


_SUMMARY = (
    "a.values_total, a.unusable_total, a.lowest, a.mean, a.highest, a.last, a.last_at,"
    " a.coverage_ratio, a.mean_kinetic_temperature"
)
_SENSOR = (
    " JOIN dim_sensor AS s ON s.device_id = a.device_id AND s.sensor_id = a.sensor_id"
    " AND s.quantity = a.quantity LEFT JOIN dim_device AS d ON d.device_id = a.device_id"
)
_OUTCOME = (
    " LEFT JOIN outcome AS o ON o.device_id = p.device_id AND o.condition_id = p.condition_id"
    " AND o.origin = '{origin}' AND o.issued_at = p.{at} AND o.model = p.model"
    " AND o.version = p.version"
)


def _forecasts(table: str, origin: str, at: str, day: str) -> str:
    joined = _OUTCOME.format(origin=origin, at=at)
    return (
        f"SELECT p.device_id, p.condition_id, '{origin}' AS origin, {day} AS event_day,"
        f" p.{at} AS issued_at, p.model, p.version, p.horizon_s, p.probability,"
        f" o.baseline_probability, o.onset FROM {table} AS p{joined}"
    )


VIEWS = (
    View(
        name="v_latest",
        row="a signal of a device: its last usable value of its newest day",
        select=(
            "SELECT a.device_id, d.site_id, a.sensor_id, a.quantity, s.unit, a.last AS value,"
            " a.last_at AS observed_at, a.event_day, a.coverage_ratio"
            f" FROM agg_day AS a{_SENSOR} WHERE a.calendar = 'utc' AND a.event_day = s.last_day"
        ),
    ),
    View(
        name="v_hourly",
        row="a signal of a device and a UTC hour",
        select=(
            "SELECT a.device_id, d.site_id, a.sensor_id, a.quantity, s.unit, a.event_day,"
            f" a.begin_at, {_SUMMARY} FROM agg_hour AS a{_SENSOR}"
        ),
    ),
    View(
        name="v_daily",
        row="a signal of a device and a local day of its site, or a UTC day without a site",
        select=(
            "SELECT a.device_id, d.site_id, t.time_zone, a.sensor_id, a.quantity, s.unit,"
            f" a.event_day, a.begin_at, a.length_s, {_SUMMARY}, a.calibration"
            f" FROM agg_day AS a{_SENSOR} LEFT JOIN dim_site AS t ON t.site_id = d.site_id"
            " WHERE a.calendar = IF(d.site_id IS NULL, 'utc', 'site')"
        ),
    ),
    View(
        name="v_condition_daily",
        row="a condition on a device and a UTC day",
        select=(
            "SELECT a.device_id, d.site_id, a.condition_id, a.event_day, c.unit, c.comparison,"
            " c.limit_value, a.steps_total, a.lowest, a.mean, a.highest, a.beyond_s,"
            " a.degree_minutes, a.coverage_ratio FROM agg_condition_day AS a"
            " LEFT JOIN dim_condition AS c ON c.condition_id = a.condition_id"
            " LEFT JOIN dim_device AS d ON d.device_id = a.device_id"
        ),
    ),
    View(
        name="v_excursion",
        row="an interval in which a condition was true on a device",
        select=(
            "SELECT e.device_id, d.site_id, e.condition_id, e.began_at, e.ended_at,"
            " TIMESTAMPDIFF(SECOND, e.began_at, e.ended_at) AS duration_s, c.unit, c.comparison,"
            " c.limit_value, e.peak, e.peak_at, e.mean, e.beyond_s, e.degree_minutes, e.causes"
            " FROM excursion AS e LEFT JOIN dim_condition AS c ON c.condition_id = e.condition_id"
            " LEFT JOIN dim_device AS d ON d.device_id = e.device_id"
        ),
    ),
    View(
        name="v_forecast",
        row="a forecast of a gateway or of the cloud, with its outcome once that is known",
        select=(
            _forecasts("fct_prediction", "edge", "observed_at", "p.event_day")
            + " WHERE p.origin = 'edge' AND p.mode = 'active' UNION ALL "
            + _forecasts("cloud_prediction", "cloud", "issued_at", "DATE(p.issued_at)")
        ),
    ),
    View(
        name="v_loss",
        row="a declared loss of records",
        select=(
            "SELECT device_id, event_day, observed_at, reason, lost, from_at, to_at,"
            " estimated_total, stream_id, seq FROM fct_loss"
        ),
    ),
    View(
        name="v_decision",
        row="a cycle's decision on a condition",
        select=(
            "SELECT cycle_at, condition_id, decision, reason, candidate, brier_baseline,"
            " brier_model, skill, skill_low, skill_high, event_weeks, windows_total, model,"
            " version FROM decision"
        ),
    ),
    View(
        name="dim_model",
        row="a version of a model",
        select=(
            "SELECT model, version, condition_id, family, created_at, trained_from, trained_to,"
            " size_bytes, sha256 FROM model"
        ),
    ),
)


def create_views(connection: Connection) -> None:
    """Create or replace all views. They have the rights of the account that queries them."""
    for view in VIEWS:
        connection.execute(
            text(f"CREATE OR REPLACE SQL SECURITY INVOKER VIEW {view.name} AS {view.select}")
        )
