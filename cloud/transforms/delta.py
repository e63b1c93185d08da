"""Delta tables as keyed sets of rows: a row is inserted, or replaced as `cloud.precedence` says.

Written by one process at a time for each table; a second one fails in Delta's own conflict check.
Grain of both tables: one row per key (device, stream, number).
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
    """Where the lake's tables are.

    Attributes:
        root: Folder of the lake.
        period: Time that one partition holds, fixed for the life of a table.
    """

    root: str
    period: Period

    @property
    def raw(self) -> str:
        """Every landed block."""
        return f"{self.root}/{RAW_FOLDER}"

    @property
    def readings(self) -> str:
        """One row per reading."""
        return f"{self.root}/readings"

    @property
    def events(self) -> str:
        """One row per record of any other kind."""
        return f"{self.root}/events"


def table_at(spark: SparkSession, path: str) -> DataFrame | None:
    """The Delta table at a path, None if there is none yet.

    Raises:
        LakeError: It cannot be read.
    """
    with converted(LakeError, f"{path} cannot be read"):
        try:
            return spark.read.format("delta").load(path)
        except AnalysisException as error:
            if error.getCondition() in _ABSENT:
                return None
            raise


def merge(rows: DataFrame, path: str, periods: Collection[str], rows_total: int) -> None:
    """Puts rows into the table at a path; as often as one likes.

    Args:
        rows: One row per key, in the columns of the table.
        path: The table's folder; the table is made if it is not there.
        periods: Every period in which the rows stand, or stood before a ClockFix moved them.
            A key that stands under another period is not looked for.
        rows_total: How many rows there are.

    Raises:
        LakeError: Nothing of a failed transaction stays; call again.
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
        # Insert-only is the cheap form of MERGE: it rewrites no file.
        inserted = _run(spark, _merge_into(path, periods) + " WHEN NOT MATCHED THEN INSERT *")
        if inserted < rows_total:  # some keys stand there already: do ours replace them?
            changed = f" WHEN MATCHED AND {replaces('s', 't')} THEN UPDATE SET *"
            _run(spark, _merge_into(path, periods) + changed)
        spark.catalog.dropTempView(view)


def _create(rows: DataFrame, path: str) -> None:
    with converted(LakeError, f"{path} cannot be made"):
        # One file a period, not one a period and task.
        writer = rows.repartition(PERIOD).write.format("delta").mode("error")
        writer.partitionBy(PERIOD).save(path)


def _merge_into(path: str, periods: Collection[str]) -> str:
    named = ", ".join(f"'{period}'" for period in sorted(periods))
    return (
        f"MERGE INTO delta.`{path}` AS t USING {_view(path)} AS s"
        f" ON t.{PERIOD} IN ({named}) AND {_SAME_KEY}"
    )


def _view(path: str) -> str:
    """Name of the arriving rows; the two tables may be written side by side in one session."""
    return f"arriving_{PurePath(path).name}"


def _run(spark: SparkSession, statement: str) -> int:
    return int(spark.sql(statement).collect()[0]["num_inserted_rows"])
