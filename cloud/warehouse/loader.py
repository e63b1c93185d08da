"""Rows from Spark into the warehouse: JDBC append to a staging table, then one keyed upsert.

Spark's writer knows no upsert and repeats tasks; the staging table takes both. The one file that
knows Connector/J's URL: `sslMode=PREFERRED` encrypts where the server can, and does not check whose
certificate it is, also where `[warehouse] ca_file` makes the other connections do so. The driver
takes authorities from a Java trust store only.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it
from sqlalchemy import Engine, text

from cloud.columns import COLUMNS, ColumnType
from cloud.errors import WarehouseError
from cloud.spark import converted as spark_converted
from cloud.warehouse.engine import converted
from cloud.warehouse.upsert import clear_staging, load_batch
from contract.records import Kind

__all__ = ["StagingLoader", "staged"]

_PORT = 3306
_ROWS_AT_ONCE = 5000
# Milliseconds survive only if the driver takes the server for 5.6.4 or later, and only with the
# rewrite are 200,000 rows 2 s instead of 6.
_PARAMETERS = (
    "rewriteBatchedStatements=true&sslMode=PREFERRED&allowPublicKeyRetrieval=true"
    "&connectionTimeZone=UTC&forceConnectionTimeZoneToSession=true&characterEncoding=UTF-8"
)


class StagingLoader:
    """Loads batches of one kind at a time; a batch may be loaded as often as one likes."""

    def __init__(self, engine: Engine) -> None:
        at = engine.url
        self._url = f"jdbc:mysql://{at.host}:{at.port or _PORT}/{at.database}?{_PARAMETERS}"
        self._account = {"user": at.username or "", "password": at.password or ""}
        self._engine = engine

    def load(self, kind: Kind, rows: DataFrame, batch_id: str) -> int:
        """Puts rows into the kind's fact table; the number of staged rows.

        Args:
            kind: The kind of all rows.
            rows: The columns of the kind, one row per key.
            batch_id: What an earlier, broken-off attempt with the same id left is cleared first.

        Raises:
            WarehouseError: The fact table is as it was.
        """
        with converted(), self._engine.begin() as connection:
            connection.execute(text(clear_staging(kind)), {"batch_id": batch_id})
        with spark_converted(WarehouseError, f"stg_{kind} cannot be written"):
            (
                staged(rows, kind, batch_id)
                .write.format("jdbc")
                .mode("append")
                .options(
                    url=self._url,
                    dbtable=f"stg_{kind}",
                    driver="com.mysql.cj.jdbc.Driver",
                    batchsize=_ROWS_AT_ONCE,
                    isolationLevel="READ_COMMITTED",
                    **self._account,
                )
                .save()
            )
        return load_batch(self._engine, kind, batch_id)


def staged(rows: DataFrame, kind: Kind, batch_id: str) -> DataFrame:
    """The rows in the columns of the staging table: lists as JSON text, empty ones as null."""
    cells = [
        F.to_json(column.name).alias(column.name)
        if column.type is ColumnType.WORDS
        else F.col(column.name)
        for column in COLUMNS[kind]
    ]
    return rows.select(F.lit(batch_id).alias("batch_id"), *cells)
