import pytest

from cloud.transforms.clean import BAD_QUALITY, NO_VALUE, OUT_OF_RANGE, flag

pytestmark = pytest.mark.spark

SCHEMA = "id int, quantity string, value double, quality string, flags array<string>"
# Limits: sensors' plausible ranges, contract.quantities.
CASES = [
    (1, "temperature", 21.5, "good", None, []),
    (2, "temperature", 21.5, "good", ["retried"], []),
    (3, "temperature", -55.0, "good", None, []),
    (4, "temperature", -55.01, "good", None, [OUT_OF_RANGE]),
    (5, "humidity", 100.1, "uncertain", ["out_of_range"], [OUT_OF_RANGE]),
    (6, "humidity", 99.0, "uncertain", ["jump", "out_of_range"], [OUT_OF_RANGE]),
    (7, "pressure", 101_325.0, "uncertain", ["jump"], []),
    (8, "pressure", None, "bad", ["no_answer"], [BAD_QUALITY, NO_VALUE]),
    (9, "pressure", 101_325.0, "bad", ["sensor_fault"], [BAD_QUALITY]),
    (10, "ph", 7.0, "good", None, []),
]


def test_rows_are_flagged_and_none_is_dropped(spark):
    found = flag(spark.createDataFrame([case[:5] for case in CASES], SCHEMA))
    assert found.schema["clean_flags"].dataType.simpleString() == "array<string>"
    assert [tuple(r) for r in found.orderBy("id").collect()] == CASES
