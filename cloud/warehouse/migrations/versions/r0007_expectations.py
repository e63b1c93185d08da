"""Adds to the models what you can expect of their warnings."""

from alembic import op
from sqlalchemy import text

__all__ = ["upgrade"]

revision = "0007"
down_revision = "0006"

_COLUMNS = (
    ("warn_at", "DOUBLE"),
    ("lead_s", "BIGINT"),
    ("warnings_total", "BIGINT"),
    ("warnings_true", "BIGINT"),
    ("events_total", "BIGINT"),
    ("events_announced", "BIGINT"),
)
# MySQL has no ADD COLUMN IF NOT EXISTS, and an interrupted migration runs again.
_HAS_COLUMN = """SELECT COUNT(*) FROM information_schema.columns
                 WHERE table_schema = DATABASE() AND table_name = 'model'
                 AND column_name = :column"""


def upgrade() -> None:
    """Add the columns that do not exist yet."""
    for column, kind in _COLUMNS:
        if not op.get_bind().scalar(text(_HAS_COLUMN), {"column": column}):
            op.execute(f"ALTER TABLE `model` ADD COLUMN `{column}` {kind} NULL")
