"""Reads Delta tables, and merges rows into them by key (device, stream, number).

Each table has one row per key. `cloud.precedence` decides whether a new row replaces a stored one.
Only one process may write a table at a time; a second one fails in Delta's conflict check.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePath

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from cloud.config import Period
from cloud.errors import LakeError
from cloud.lake.positions import RAW_FOLDER
from cloud.precedence import replaces
from cloud.spark import converted
from cloud.transforms.schema import KEY, PERIOD

__all__ = ["Tables", "merge", "table_at"]

_ABSENT = {"DELTA_TABLE_NOT_FOUND", "DELTA_PATH_DOES_NOT_EXIST", "PATH_NOT_FOUND"}
_SAME_KEY = " AND ".join(f"t.{name} = s.{name}" for name in KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Paths of the lake's tables.

    Attributes:
        root: Folder of the lake.
        period: Period of one partition, which never changes for an existing table.
    """

    root: str
    period: Period

    @property
    def raw(self) -> str:
        """Path of the table with all received blocks."""
        return f"{self.root}/{RAW_FOLDER}"

    @property
    def readings(self) -> str:
        """Path of the table with one row per reading."""
        return f"{self.root}/readings"

    @property
    def events(self) -> str:
        """Path of the table with one row per record of any other kind."""
        return f"{self.root}/events"


def table_at(spark: SparkSession, path: str) -> DataFrame | None:
    """Return the Delta table at a path; None if it does not exist.

    Raises:
        LakeError: The table cannot be read.
    """
    with converted(LakeError, f"{path} cannot be read"):
        try:
            return spark.read.format("delta").load(path)
        except AnalysisException as error:
            if error.getCondition() in _ABSENT:
                return None
            raise


def merge(rows: DataFrame, path: str, periods: Collection[str], rows_total: int) -> None:
    """Merge rows into the table at a path. You can repeat the call safely.

    Args:
        rows: Rows with the columns of the table, one row per key.
        path: The table's folder; the table is created if it does not exist.
        periods: All periods of the rows, including those before a ClockFix moved them. Stored
            rows of other periods are not compared.
        rows_total: Number of rows.

    Raises:
        LakeError: The failed transaction has changed nothing; call again.
    """
    if not rows_total:
        return
    spark = rows.sparkSession
    if table_at(spark, path) is None:
        _create(rows, path)
        return
    with converted(LakeError, f"{path} cannot be written"):
        view = _view(path)
        rows.createOrReplaceTempView(view)
        # MERGE with inserts only is cheap, because it rewrites no file.
        inserted = _run(spark, _merge_into(path, periods) + " WHEN NOT MATCHED THEN INSERT *")
        if inserted < rows_total:  # some keys exist: replace their rows where precedence says so
            changed = f" WHEN MATCHED AND {replaces('s', 't')} THEN UPDATE SET *"
            _run(spark, _merge_into(path, periods) + changed)
        spark.catalog.dropTempView(view)


def _create(rows: DataFrame, path: str) -> None:
    with converted(LakeError, f"{path} cannot be created"):
        # Write one file for each period, not one for each period and task.
        writer = rows.repartition(PERIOD).write.format("delta").mode("error")
        writer.partitionBy(PERIOD).save(path)


def _merge_into(path: str, periods: Collection[str]) -> str:
    named = ", ".join(f"'{period}'" for period in sorted(periods))
    return (
        f"MERGE INTO delta.`{path}` AS t USING {_view(path)} AS s"
        f" ON t.{PERIOD} IN ({named}) AND {_SAME_KEY}"
    )


def _view(path: str) -> str:
    """Return the name of the view of new rows; one session may write both tables in parallel."""
    return f"arriving_{PurePath(path).name}"


def _run(spark: SparkSession, statement: str) -> int:
    return int(spark.sql(statement).collect()[0]["num_inserted_rows"])
