"""Adds a primary key to each staging table.

MySQL with `sql_require_primary_key` refuses tables without one. The setting is common on managed
servers and needed for group replication. Revision 0001 therefore creates new tables with the key,
and this revision adds the key to tables of an older program. A staging table may contain a record
several times, so the record's key cannot be the primary key.
"""

from alembic import op
from sqlalchemy import text

__all__ = ["upgrade"]

revision = "0003"
down_revision = "0002"

_KINDS = (
    *("reading", "prediction", "alert", "status"),
    *("model_report", "loss", "clock_fix", "held"),
)
# Some servers add an invisible primary key to such a table, which is sufficient.
_HAS_KEY = """SELECT COUNT(*) FROM information_schema.table_constraints
              WHERE table_schema = DATABASE() AND table_name = :name
              AND constraint_type = 'PRIMARY KEY'"""


def upgrade() -> None:
    """Add the key to each staging table that has none."""
    for kind in _KINDS:
        name = f"stg_{kind}"
        if not op.get_bind().scalar(text(_HAS_KEY), {"name": name}):
            op.execute(
                f"ALTER TABLE `{name}`"
                " ADD COLUMN row_id BIGINT NOT NULL AUTO_INCREMENT FIRST, ADD PRIMARY KEY (row_id)"
            )
