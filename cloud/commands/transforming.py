"""Opens the Spark projection as the configuration names it; the only command code with Spark.

Apart from `cloud.commands.transform`, so that the help works where Spark is not installed.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from cloud.commands.opening import open_store, open_warehouse
from cloud.config import CloudConfig, SparkConfig, need
from cloud.jobs.delta import Tables
from cloud.jobs.transform import PROJECTION, Transform
from cloud.lake.cursors import RAW_CURSOR, CursorStore
from cloud.spark import session
from cloud.warehouse.loader import StagingLoader

__all__ = ["open_transform", "private_session", "tables_of"]


@contextmanager
def private_session(config: CloudConfig) -> Iterator[SparkSession]:
    """A Spark session with a scratch folder of its own, stopped and removed at the end.

    Raises:
        ConfigError: A jar of section `[spark]` is not there.
        DewlineError: Spark did not start.
    """
    with tempfile.TemporaryDirectory(prefix="dewline-spark-") as scratch:
        spark = session(config.spark or SparkConfig(), Path(scratch))
        try:
            yield spark
        finally:
            spark.stop()


def tables_of(config: CloudConfig) -> Tables:
    """The tables of section `[lake]`.

    Raises:
        ConfigError: The section is missing.
    """
    lake = need(config.lake, "lake", config)
    return Tables(root=str(lake.folder.absolute()), period=lake.period)


def open_transform(config: CloudConfig, spark: SparkSession) -> Transform:
    """The projection on a session that the caller started, for one or many runs.

    Raises:
        ConfigError: A section is missing.
        SchemaOutdated: The warehouse has another schema.
        WarehouseError: MySQL did not answer.
    """
    store = open_store(config)
    return Transform(
        spark,
        tables_of(config),
        folded=CursorStore(store, RAW_CURSOR),
        cursor=CursorStore(store, PROJECTION),
        loader=StagingLoader(open_warehouse(config)),
    )
