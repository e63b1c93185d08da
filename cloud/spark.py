"""Starts the Spark session, and turns Spark's errors into ours.

Most of a small job's time is the start of Spark, so many settings shorten the start. A process has
one session; the code that started it stops it.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

import contract
from cloud.config import SparkConfig
from contract.errors import ConfigError, DewlineError

__all__ = ["converted", "session"]

_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # With the default of 50, the first read of a small table takes 11 s.
    "spark.databricks.delta.snapshotPartitions": "2",
}
_FIXED = {
    "spark.log.level": "WARN",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
# A local session runs a few short jobs on few cores. There the optimising compiler costs more time
# than it saves: six small Delta jobs took 42 s with it, 21 s without it. Without it the default
# code cache is 48 MB; Spark fills that, and then the JVM compiles nothing any more.
_SHORT_LIVED = " -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"
_LOOPBACK = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}


def session(settings: SparkConfig, scratch: Path) -> SparkSession:
    """Returns this process's running session, or starts one.

    Args:
        settings: Section `[spark]`.
        scratch: Folder for files that Spark otherwise writes into the working directory.

    Raises:
        ConfigError: A jar does not exist.
        DewlineError: Java or the master did not start.
    """
    missing = [jar for jar in settings.jars if not Path(jar).is_file()]
    if missing:
        raise ConfigError(f"[spark] jars: {missing[0]} does not exist")
    # By default, workers start the `python3` of the PATH, where dewline is not installed.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.Builder().appName("dewline")
    if settings.local:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    for key, value in _options(settings, scratch).items():
        builder = builder.config(key, value)
    with converted(DewlineError, f"Spark at {settings.master} did not start"):
        return builder.getOrCreate()


def _options(settings: SparkConfig, scratch: Path) -> dict[str, str]:
    packages = str(Path(str(contract.__file__)).parent.parent)
    return {
        **_DELTA,
        **_FIXED,
        **(_LOOPBACK if settings.local else {}),
        "spark.master": settings.master,
        "spark.driver.memory": settings.memory,
        # Instants are converted by java.sql.Timestamp on their way to MySQL.
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC"
        + (_SHORT_LIVED if settings.local else ""),
        "spark.executor.extraJavaOptions": "-Duser.timezone=UTC",
        "spark.executorEnv.PYTHONPATH": packages,
        **_jars(settings),
        "spark.local.dir": str(scratch / "local"),
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
    }


def _jars(settings: SparkConfig) -> dict[str, str]:
    # A local session has one JVM. On its class path the jars need not be copied to executors, and
    # the classes can be loaded from a class-data archive.
    if settings.local:
        return {"spark.driver.extraClassPath": ":".join(settings.jars)}
    return {"spark.jars": ",".join(settings.jars)}


@contextmanager
def converted(kind: type[DewlineError], what: str) -> Iterator[None]:
    """Turns Spark's exceptions inside the block into `kind`; their message starts with `what`.

    Raises:
        DewlineError: An error of the given kind, with the first line of Spark's message.
    """
    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise kind(f"{what}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    # Py4JJavaError's own text begins with the name of a gateway object; the cause follows below.
    java = getattr(error, "java_exception", None)
    text = str(java.toString()) if java is not None else str(error)
    return text.strip().splitlines()[0][:400] if text.strip() else type(error).__name__
