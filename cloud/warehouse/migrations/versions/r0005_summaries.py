"""Creates the tables of summaries, excursions and dimensions, and marks every stored day as due.

As in the first revision, the SQL is written out, with one statement for each table. There is no
downgrade: all these tables can be computed again. The large ones are partitioned by day. Their only
partition has all rows, until the program adds one for each month.
"""

from alembic import op
from sqlalchemy import text

__all__ = ["upgrade"]

revision = "0005"
down_revision = "0004"

_OPTIONS = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
_MONTHS = "PARTITION BY RANGE (TO_DAYS(event_day)) (PARTITION p_rest VALUES LESS THAN MAXVALUE)"
_PARTITIONED = ("agg_minute", "agg_hour", "agg_day", "agg_condition_hour", "agg_condition_day")
_TABLES = {
    "agg_minute": """
    device_id VARCHAR(63) NOT NULL,
    event_day DATE NOT NULL,
    sensor_id VARCHAR(63) NOT NULL,
    quantity VARCHAR(63) NOT NULL,
    begin_at DATETIME(3) NOT NULL,
    values_total BIGINT NOT NULL,
    unusable_total BIGINT NOT NULL,
    lowest DOUBLE NULL,
    mean DOUBLE NULL,
    highest DOUBLE NULL,
    last DOUBLE NULL,
    last_at DATETIME(3) NULL,
    coverage_ratio DOUBLE NOT NULL,
    mean_kinetic_temperature DOUBLE NULL,
    PRIMARY KEY (device_id, event_day, sensor_id, quantity, begin_at),
    KEY ix_agg_minute_day (event_day, device_id)""",
    "agg_hour": """
    device_id VARCHAR(63) NOT NULL,
    event_day DATE NOT NULL,
    sensor_id VARCHAR(63) NOT NULL,
    quantity VARCHAR(63) NOT NULL,
    begin_at DATETIME(3) NOT NULL,
    values_total BIGINT NOT NULL,
    unusable_total BIGINT NOT NULL,
    lowest DOUBLE NULL,
    mean DOUBLE NULL,
    highest DOUBLE NULL,
    last DOUBLE NULL,
    last_at DATETIME(3) NULL,
    coverage_ratio DOUBLE NOT NULL,
    mean_kinetic_temperature DOUBLE NULL,
    PRIMARY KEY (device_id, event_day, sensor_id, quantity, begin_at),
    KEY ix_agg_hour_day (event_day, device_id)""",
    "agg_day": """
    device_id VARCHAR(63) NOT NULL,
    calendar VARCHAR(8) NOT NULL,
    event_day DATE NOT NULL,
    sensor_id VARCHAR(63) NOT NULL,
    quantity VARCHAR(63) NOT NULL,
    begin_at DATETIME(3) NOT NULL,
    length_s BIGINT NOT NULL,
    values_total BIGINT NOT NULL,
    unusable_total BIGINT NOT NULL,
    lowest DOUBLE NULL,
    mean DOUBLE NULL,
    highest DOUBLE NULL,
    last DOUBLE NULL,
    last_at DATETIME(3) NULL,
    coverage_ratio DOUBLE NOT NULL,
    mean_kinetic_temperature DOUBLE NULL,
    calibration VARCHAR(200) NULL,
    PRIMARY KEY (device_id, calendar, event_day, sensor_id, quantity),
    KEY ix_agg_day_day (event_day, device_id)""",
    "agg_condition_hour": """
    device_id VARCHAR(63) NOT NULL,
    event_day DATE NOT NULL,
    condition_id VARCHAR(63) NOT NULL,
    begin_at DATETIME(3) NOT NULL,
    steps_total BIGINT NOT NULL,
    lowest DOUBLE NULL,
    mean DOUBLE NULL,
    highest DOUBLE NULL,
    beyond_s BIGINT NOT NULL,
    degree_minutes DOUBLE NOT NULL,
    coverage_ratio DOUBLE NOT NULL,
    PRIMARY KEY (device_id, event_day, condition_id, begin_at),
    KEY ix_agg_condition_hour_day (event_day, device_id)""",
    "agg_condition_day": """
    device_id VARCHAR(63) NOT NULL,
    event_day DATE NOT NULL,
    condition_id VARCHAR(63) NOT NULL,
    steps_total BIGINT NOT NULL,
    lowest DOUBLE NULL,
    mean DOUBLE NULL,
    highest DOUBLE NULL,
    beyond_s BIGINT NOT NULL,
    degree_minutes DOUBLE NOT NULL,
    coverage_ratio DOUBLE NOT NULL,
    PRIMARY KEY (device_id, event_day, condition_id),
    KEY ix_agg_condition_day_day (event_day, device_id)""",
    "excursion": """
    device_id VARCHAR(63) NOT NULL,
    condition_id VARCHAR(63) NOT NULL,
    began_at DATETIME(3) NOT NULL,
    ended_at DATETIME(3) NULL,
    peak DOUBLE NOT NULL,
    peak_at DATETIME(3) NOT NULL,
    mean DOUBLE NOT NULL,
    steps_total BIGINT NOT NULL,
    beyond_s BIGINT NOT NULL,
    degree_minutes DOUBLE NOT NULL,
    causes VARCHAR(200) NOT NULL,
    PRIMARY KEY (device_id, condition_id, began_at),
    KEY ix_excursion_began (began_at, device_id)""",
    "dim_device": """
    device_id VARCHAR(63) NOT NULL,
    site_id VARCHAR(63) NULL,
    first_day DATE NULL,
    last_day DATE NULL,
    PRIMARY KEY (device_id)""",
    "dim_site": """
    site_id VARCHAR(63) NOT NULL,
    time_zone VARCHAR(200) NOT NULL,
    PRIMARY KEY (site_id)""",
    "dim_sensor": """
    device_id VARCHAR(63) NOT NULL,
    sensor_id VARCHAR(63) NOT NULL,
    quantity VARCHAR(63) NOT NULL,
    unit VARCHAR(63) NULL,
    calibration VARCHAR(200) NULL,
    first_day DATE NOT NULL,
    last_day DATE NOT NULL,
    PRIMARY KEY (device_id, sensor_id, quantity)""",
    "dim_condition": """
    condition_id VARCHAR(63) NOT NULL,
    `signal` VARCHAR(200) NOT NULL,
    unit VARCHAR(63) NULL,
    comparison VARCHAR(63) NOT NULL,
    limit_value DOUBLE NOT NULL,
    hysteresis DOUBLE NOT NULL,
    duration_s BIGINT NOT NULL,
    horizon_s BIGINT NOT NULL,
    step_s BIGINT NOT NULL,
    max_age_s BIGINT NOT NULL,
    warn_at DOUBLE NOT NULL,
    declaration VARCHAR(64) NOT NULL,
    PRIMARY KEY (condition_id)""",
    "aggregate_due": """
    device_id VARCHAR(63) NOT NULL,
    event_day DATE NOT NULL,
    PRIMARY KEY (device_id, event_day)""",
    "stg_aggregate": """
    row_id BIGINT NOT NULL AUTO_INCREMENT,
    attempt VARCHAR(63) NOT NULL,
    level VARCHAR(63) NOT NULL,
    device_id VARCHAR(63) NOT NULL,
    event_day DATE NOT NULL,
    sensor_id VARCHAR(63) NULL,
    quantity VARCHAR(63) NULL,
    condition_id VARCHAR(63) NULL,
    begin_at DATETIME(3) NOT NULL,
    length_s BIGINT NOT NULL,
    values_total BIGINT NOT NULL,
    unusable_total BIGINT NULL,
    lowest DOUBLE NULL,
    mean DOUBLE NULL,
    highest DOUBLE NULL,
    last DOUBLE NULL,
    last_at DATETIME(3) NULL,
    coverage_ratio DOUBLE NOT NULL,
    mean_kinetic_temperature DOUBLE NULL,
    calibration VARCHAR(200) NULL,
    beyond_s BIGINT NULL,
    degree_minutes DOUBLE NULL,
    PRIMARY KEY (row_id),
    KEY ix_stg_aggregate_attempt (attempt, level)""",
    "stg_aggregate_day": """
    attempt VARCHAR(63) NOT NULL,
    calendar VARCHAR(16) NOT NULL,
    device_id VARCHAR(63) NOT NULL,
    event_day DATE NOT NULL,
    PRIMARY KEY (attempt, calendar, device_id, event_day)""",
}
_HAS_INDEX = """SELECT COUNT(*) FROM information_schema.statistics
                WHERE table_schema = DATABASE() AND table_name = 'cloud_prediction'
                AND index_name = 'ix_cloud_prediction_time'"""


def upgrade() -> None:
    """Create the tables that do not exist yet; the next transform summarizes the stored days."""
    for name, body in _TABLES.items():
        months = f" {_MONTHS}" if name in _PARTITIONED else ""
        op.execute(f"CREATE TABLE IF NOT EXISTS `{name}` ({body}\n) {_OPTIONS}{months}")
    if not op.get_bind().scalar(text(_HAS_INDEX)):
        op.execute(
            "ALTER TABLE cloud_prediction ADD INDEX ix_cloud_prediction_time (issued_at, device_id)"
        )
    op.execute(
        "INSERT INTO aggregate_due (device_id, event_day)"
        " SELECT DISTINCT device_id, event_day FROM fct_reading WHERE observed_at IS NOT NULL"
        " ON DUPLICATE KEY UPDATE device_id = aggregate_due.device_id"
    )
