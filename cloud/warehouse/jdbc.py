"""Appends Spark's rows to tables of the warehouse with Connector/J. Only this file has its URL."""

from pyspark.sql import DataFrame
from sqlalchemy import Engine

from cloud.errors import WarehouseError
from cloud.spark import converted
from cloud.warehouse.jdbc_tls import JdbcTls

__all__ = ["JdbcWriter"]

_PORT = 3306
_ROWS_AT_ONCE = 5000
# The driver keeps milliseconds only if it detects a server of version 5.6.4 or later. With
# rewriteBatchedStatements, 200,000 rows take 2 s instead of 6 s.
_PARAMETERS = (
    "rewriteBatchedStatements=true&connectionTimeZone=UTC&forceConnectionTimeZoneToSession=true"
    "&characterEncoding=UTF-8"
)


class JdbcWriter:
    """Appends rows; a task that Spark repeats appends its rows again.

    Args:
        engine: Connections of this process to the warehouse; Spark's have the same account.
        tls: How Spark's connections check the server.
    """

    def __init__(self, engine: Engine, tls: JdbcTls) -> None:
        at = engine.url
        self._tls = tls  # its file must exist as long as Spark connects
        parameters = f"{_PARAMETERS}&{tls.parameters}"
        self._url = f"jdbc:mysql://{at.host}:{at.port or _PORT}/{at.database}?{parameters}"
        self._account = {"user": at.username or "", "password": at.password or ""}

    def append(self, rows: DataFrame, table: str) -> None:
        """Append rows to a staging table.

        Raises:
            WarehouseError: Some rows may be staged.
        """
        with converted(WarehouseError, f"staging table {table} cannot be written"):
            (
                rows.write.format("jdbc")
                .mode("append")
                .options(
                    url=self._url,
                    dbtable=table,
                    driver="com.mysql.cj.jdbc.Driver",
                    batchsize=_ROWS_AT_ONCE,
                    isolationLevel="READ_COMMITTED",
                    **self._account,
                )
                .save()
            )
