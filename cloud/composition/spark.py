"""Starts the Spark session of section `[spark]`; a module of its own, as few verbs need Spark."""

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
    """Starts a Spark session with its own scratch folder; stops and removes them at the end.

    Raises:
        ConfigError: A jar of section `[spark]` does not exist.
        DewlineError: Spark did not start.
    """
    with tempfile.TemporaryDirectory(prefix="dewline-spark-") as scratch:
        spark = session(config.spark or SparkConfig(), Path(scratch))
        try:
            yield spark
        finally:
            spark.stop()
