"""Adds the spans of unfit readings, and columns for suspect sensors to truth and monitoring."""

from alembic import op
from sqlalchemy import text

__all__ = ["upgrade"]

revision = "0004"
down_revision = "0003"

_SPANS = """CREATE TABLE IF NOT EXISTS `quality_span` (
    device_id VARCHAR(63) NOT NULL,
    sensor_id VARCHAR(63) NOT NULL,
    quantity VARCHAR(63) NOT NULL,
    fault VARCHAR(63) NOT NULL,
    begin_at DATETIME(3) NOT NULL,
    end_at DATETIME(3) NOT NULL,
    known_at DATETIME(3) NOT NULL,
    figure DOUBLE NOT NULL,
    PRIMARY KEY (device_id, sensor_id, quantity, fault, begin_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"""
_COLUMNS = (
    ("truth", "faults", "VARCHAR(200) NULL"),
    ("monitoring", "suspect_limits", "DOUBLE NULL"),
    ("monitoring", "suspect", "VARCHAR(500) NULL"),
)
# MySQL has no ADD COLUMN IF NOT EXISTS, and an interrupted migration runs again.
_HAS_COLUMN = """SELECT COUNT(*) FROM information_schema.columns
                 WHERE table_schema = DATABASE() AND table_name = :name AND column_name = :column"""


def upgrade() -> None:
    """Create the table and add the columns that do not exist yet."""
    op.execute(_SPANS)
    for name, column, kind in _COLUMNS:
        if not op.get_bind().scalar(text(_HAS_COLUMN), {"name": name, "column": column}):
            op.execute(f"ALTER TABLE `{name}` ADD COLUMN `{column}` {kind}")
