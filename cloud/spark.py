"""The Spark session: how it is started, and its foreign errors as ours.

Start-up is most of a small job, so everything here that is not safety is about seconds. One session
per process; whoever started it stops it.
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
    # The default 50 makes the first read of a small table 11 s.
    "spark.databricks.delta.snapshotPartitions": "2",
}
_FIXED = {
    "spark.log.level": "WARN",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
# A local session lives for a few short jobs on few cores: the optimising compiler takes more time
# from them than its code gives back (measured: 42 s or 21 s for the same six small Delta jobs).
# Without it the code cache would be 48 MB, which Spark fills; then nothing is compiled any more.
_SHORT_LIVED = " -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"
_LOOPBACK = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}


def session(settings: SparkConfig, scratch: Path) -> SparkSession:
    """The running session of this process, or a new one.

    Args:
        settings: Section `[spark]`.
        scratch: Folder for what Spark would else leave in the working directory.

    Raises:
        ConfigError: A jar is not there.
        DewlineError: Java or the master did not start.
    """
    missing = [jar for jar in settings.jars if not Path(jar).is_file()]
    if missing:
        raise ConfigError(f"[spark] jars: {missing[0]} is not there")
    # Workers would start the `python3` of the PATH, which knows nothing of dewline.
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
        # Instants go through java.sql.Timestamp on their way to MySQL.
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
    # On the class path of the one JVM there is: nothing is copied to executors, and the classes
    # can come from a class-data archive.
    if settings.local:
        return {"spark.driver.extraClassPath": ":".join(settings.jars)}
    return {"spark.jars": ",".join(settings.jars)}


@contextmanager
def converted(kind: type[DewlineError], what: str) -> Iterator[None]:
    """Turns what Spark raises inside the block into `kind`, its text begun by `what`.

    Raises:
        DewlineError: Of the given kind, with the first line of Spark's own text.
    """
    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise kind(f"{what}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    # Py4JJavaError's own text begins with the name of a gateway object; the cause stands below it.
    java = getattr(error, "java_exception", None)
    text = str(java.toString()) if java is not None else str(error)
    return text.strip().splitlines()[0][:400] if text.strip() else type(error).__name__
