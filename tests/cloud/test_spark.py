import sys

import pytest
from pyspark.sql import functions as F  # noqa: N812

from cloud.config import SparkConfig
from cloud.errors import LakeError
from cloud.spark import converted, session
from contract.errors import ConfigError


def test_a_jar_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"\[spark\] jars: /nowhere/delta.jar does not exist"):
        session(SparkConfig(jars=("/nowhere/delta.jar",)), tmp_path)


@pytest.mark.spark
def test_workers_run_this_python_and_find_the_project(spark):
    @F.udf("string")
    def seen(_):
        import contract  # noqa: PLC0415  # in the worker

        return f"{sys.executable} {contract.__file__}"

    (row,) = spark.range(1).select(seen("id")).collect()
    import contract  # noqa: PLC0415

    assert row[0] == f"{sys.executable} {contract.__file__}"


@pytest.mark.spark
def test_instants_are_utc(spark):
    found = spark.sql(
        "SELECT date_format(timestamp_millis(0), 'yyyy-MM-dd HH:mm'), current_timezone()"
    )
    assert tuple(found.collect()[0]) == ("1970-01-01 00:00", "UTC")


@pytest.mark.spark
def test_an_error_of_spark_becomes_ours_with_its_cause(spark):
    expected = pytest.raises(LakeError, match=r"/x cannot be read: .*PATH_NOT_FOUND.*nowhere")
    with expected, converted(LakeError, "/x cannot be read"):
        spark.read.parquet("/nowhere").count()


@pytest.mark.spark
def test_an_error_of_a_running_job_becomes_ours_in_one_line(spark):
    expected = pytest.raises(LakeError, match=r"the sum cannot be made: .*DIVIDE_BY_ZERO")
    with expected as caught, converted(LakeError, "the sum cannot be made"):
        spark.range(3).select(F.lit(1) / (F.col("id") - 1)).collect()
    assert "\n" not in str(caught.value)
