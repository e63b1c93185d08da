"""Provides the lake's history for a cycle: updates the tables, then reads them with Spark."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import SparkSession

from cloud.errors import LakeError
from cloud.quality.lake import verdicts_on
from cloud.quality.verdicts import NOTHING_FOUND, Verdicts
from cloud.spark import converted
from cloud.training.dataset import history_table
from cloud.training.history import HISTORY_SCHEMA
from cloud.transforms.delta import Tables, table_at
from models.conditions import Condition

__all__ = ["LakeHistory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeHistory:
    """Reads table `readings`.

    Attributes:
        spark: A running Spark session.
        tables: Paths of the lake's tables.
        conditions: Conditions to evaluate.
        refreshed: Function that runs the transform, which updates the tables.
    """

    spark: SparkSession
    tables: Tables
    conditions: tuple[Condition, ...]
    refreshed: Callable[[], object]

    def refresh(self) -> None:
        """Run the transform."""
        self.refreshed()

    def version(self) -> str:
        """Return the Delta version of table `readings`; `none` if it does not exist yet.

        Raises:
            LakeError: The table cannot be read.
        """
        path = self.tables.readings
        if table_at(self.spark, path) is None:
            return "none"
        with converted(LakeError, f"{path}: the table's version cannot be read"):
            row = self.spark.sql(f"DESCRIBE HISTORY delta.`{path}` LIMIT 1").collect()[0]
        return str(row["version"])

    def verdicts(self, until_ms: int) -> Verdicts:
        """Return the times up to an instant in which signals are unfit.

        Raises:
            LakeError: The table cannot be read.
        """
        readings = table_at(self.spark, self.tables.readings)
        return NOTHING_FOUND if readings is None else verdicts_on(readings, until_ms)

    def history(self, until_ms: int, verdicts: Verdicts = NOTHING_FOUND) -> pa.Table:
        """Return all steps of all devices up to an instant, in `HISTORY_SCHEMA`.

        Args:
            until_ms: Last instant of the readings to use, ms since 1970 UTC.
            verdicts: Result of `verdicts` for the same instant.

        Raises:
            LakeError: The table cannot be read.
        """
        readings = table_at(self.spark, self.tables.readings)
        if readings is None:
            return HISTORY_SCHEMA.empty_table()
        return history_table(readings, self.conditions, until_ms, verdicts)
