"""Loads rows from Spark into the warehouse: JDBC append to a staging table, then an upsert by key.

The staging table is needed because Spark's writer cannot upsert and may repeat tasks.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it
from sqlalchemy import Engine

from cloud.columns import COLUMNS, ColumnType
from cloud.warehouse.jdbc import JdbcWriter
from cloud.warehouse.jdbc_tls import JdbcTls
from cloud.warehouse.upsert import clear_staging, load_batch
from contract.records import Kind

__all__ = ["StagingLoader", "staged"]


class StagingLoader:
    """Loads batches of one kind at a time; a batch may be loaded more than once.

    Args:
        engine: Connections of this process to the warehouse; Spark's have the same account.
        tls: How Spark's connections check the server.
    """

    def __init__(self, engine: Engine, tls: JdbcTls) -> None:
        self._writer = JdbcWriter(engine, tls)
        self._engine = engine

    def load(self, kind: Kind, rows: DataFrame, batch_id: str) -> int:
        """Load rows into the kind's fact table. Return the number of staged rows.

        Args:
            kind: The kind of all rows.
            rows: Rows with the columns of the kind, one row per key.
            batch_id: Id of the batch. Staged rows of all earlier attempts are deleted first.

        Raises:
            WarehouseError: The fact table is unchanged, or has all staged rows; call again.
        """
        clear_staging(self._engine, kind)
        self._writer.append(staged(rows, kind, batch_id), f"stg_{kind}")
        return load_batch(self._engine, kind, batch_id)


def staged(rows: DataFrame, kind: Kind, batch_id: str) -> DataFrame:
    """Return rows with the columns of the staging table: lists as JSON text, empty ones null."""
    cells = [
        F.to_json(column.name).alias(column.name)
        if column.type is ColumnType.WORDS
        else F.col(column.name)
        for column in COLUMNS[kind]
    ]
    return rows.select(F.lit(batch_id).alias("batch_id"), *cells)
