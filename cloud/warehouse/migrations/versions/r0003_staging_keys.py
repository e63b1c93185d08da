"""Gives each staging table a primary key of its own.

MySQL with `sql_require_primary_key` (common on managed servers, needed for group replication)
refuses tables without one. Revision 0001 makes new tables with the key, because such a server
refuses it otherwise; this one adds it where an older program made the tables. A staging table may
hold a record several times, so no key of the record can be its primary key.
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
# Some servers give such a table an invisible key of their own, which serves as well.
_HAS_KEY = """SELECT COUNT(*) FROM information_schema.table_constraints
              WHERE table_schema = DATABASE() AND table_name = :name
              AND constraint_type = 'PRIMARY KEY'"""


def upgrade() -> None:
    """Adds the key to each staging table that lacks it."""
    for kind in _KINDS:
        name = f"stg_{kind}"
        if not op.get_bind().scalar(text(_HAS_KEY), {"name": name}):
            op.execute(
                f"ALTER TABLE `{name}`"
                " ADD COLUMN row_id BIGINT NOT NULL AUTO_INCREMENT FIRST, ADD PRIMARY KEY (row_id)"
            )
