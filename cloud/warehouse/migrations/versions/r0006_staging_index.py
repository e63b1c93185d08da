"""Drops the second index of the staging tables, because each load reads a whole table once."""

from alembic import op
from sqlalchemy import text

__all__ = ["upgrade"]

revision = "0006"
down_revision = "0005"

_KINDS = (
    *("reading", "prediction", "alert", "status"),
    *("model_report", "loss", "clock_fix", "held"),
)
# MySQL has no DROP INDEX IF EXISTS, and an interrupted migration runs again.
_HAS_INDEX = """SELECT COUNT(*) FROM information_schema.statistics
                WHERE table_schema = DATABASE() AND table_name = :name AND index_name = :index"""


def upgrade() -> None:
    """Drop the indexes that still exist."""
    for kind in _KINDS:
        name, index = f"stg_{kind}", f"ix_stg_{kind}_batch"
        if op.get_bind().scalar(text(_HAS_INDEX), {"name": name, "index": index}):
            op.execute(f"ALTER TABLE `{name}` DROP INDEX `{index}`")
