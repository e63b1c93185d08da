import pytest
from pyspark.sql.types import ArrayType, DateType, DoubleType, LongType, StringType, TimestampType

from cloud.columns import COLUMNS
from cloud.transforms.schema import (
    CLEAN_FLAGS,
    DECODED,
    EVENTS,
    PERIOD,
    READINGS,
    MissingColumns,
    kind_schema,
    require,
)
from contract.records import Kind


@pytest.mark.parametrize("kind", Kind)
def test_every_column_of_a_kind_has_its_place(kind):
    schema = kind_schema(kind)
    assert schema.names == [column.name for column in COLUMNS[kind]]
    stored = READINGS if kind is Kind.READING else EVENTS
    for field in schema:
        assert stored[field.name].dataType == field.dataType, field.name


def test_types_are_the_ones_that_keep_the_value():
    readings = {field.name: field.dataType for field in READINGS}
    assert readings["observed_at"] == readings["received_at"] == TimestampType()
    assert readings["event_day"] == DateType()
    assert readings["seq"] == LongType()
    assert readings["value"] == DoubleType()
    assert readings["flags"] == readings[CLEAN_FLAGS] == ArrayType(StringType())
    assert EVENTS["spans"].dataType == StringType()
    assert READINGS.names[0] == EVENTS.names[0] == PERIOD
    assert DECODED.names[0] == "kind"


class Frame:
    columns = ("b", "c")


def test_a_missing_column_is_named_with_what_is_there():
    require(Frame, ("b",))
    with pytest.raises(MissingColumns, match="missing columns: a, d; present are: b, c"):
        require(Frame, ("a", "b", "d"))
