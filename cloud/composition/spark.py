"""A Spark session as section `[spark]` names it; apart, so that most commands need no Spark."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from cloud.config import CloudConfig, SparkConfig
from cloud.spark import session

__all__ = ["private_session"]


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
