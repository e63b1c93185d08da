"""Truth on a real server: exactly what was written last, and nothing else touched."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from cloud.errors import SchemaOutdated, WarehouseError
from cloud.monitoring.truth import write_truth
from cloud.warehouse.model_tables import TRUTH
from models.replay import Interval

pytestmark = pytest.mark.services

NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z
DAMP = (
    ("ewr", Interval(NEW_YEAR + 1, 71.25, NEW_YEAR + 3_600_000, 69.0)),
    ("ewr", Interval(NEW_YEAR + 7_200_123, 70.000001)),
    ("jfk", Interval(NEW_YEAR + 1, 88.1)),
)

instants = st.integers(NEW_YEAR, NEW_YEAR + 20)
values = st.floats(-50, 100)
intervals = st.one_of(
    st.builds(Interval, instants, values),
    st.builds(Interval, instants, values, instants, values),
)
truths = st.lists(
    st.tuples(st.sampled_from(["ewr", "jfk"]), intervals),
    max_size=12,
    unique_by=lambda row: (row[0], row[1].began_at),
)


def stored(engine, condition_id):
    query = TRUTH.select().where(TRUTH.c.condition_id == condition_id)
    with engine.connect() as connection:
        found = connection.execute(query.order_by(*TRUTH.primary_key)).all()
    return [
        (r.device_id, Interval(r.began_at, r.began_value, r.ended_at, r.ended_value)) for r in found
    ]


def test_truth_comes_out_as_it_went_in_and_only_differences_are_written(warehouse):
    assert write_truth(warehouse, "damp", DAMP) == 3
    assert stored(warehouse, "damp") == list(DAMP)
    assert write_truth(warehouse, "damp", DAMP) == 0
    ended = ("jfk", Interval(NEW_YEAR + 1, 88.1, NEW_YEAR + 2, 60.0))
    changed = [DAMP[0], ended, ("lga", Interval(NEW_YEAR, 71.0))]  # one gone, one ended, one new
    assert write_truth(warehouse, "damp", changed) == 3
    assert stored(warehouse, "damp") == changed


def test_another_condition_is_left_alone(warehouse):
    write_truth(warehouse, "damp", DAMP)
    write_truth(warehouse, "frost", DAMP[:1])
    assert write_truth(warehouse, "damp", ()) == 3
    assert (stored(warehouse, "damp"), stored(warehouse, "frost")) == ([], [DAMP[0]])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(truths, min_size=1, max_size=4))
def test_only_the_last_one_counts_and_twice_is_once(warehouse, versions):
    for truth in versions:
        write_truth(warehouse, "damp", truth)
    assert write_truth(warehouse, "damp", list(reversed(versions[-1]))) == 0
    wanted = sorted(versions[-1], key=lambda row: (row[0], row[1].began_at))
    assert stored(warehouse, "damp") == wanted


def test_more_than_one_statement_of_rows(warehouse):
    many = [("ewr", Interval(NEW_YEAR + n, float(n))) for n in range(2501)]
    assert write_truth(warehouse, "damp", many) == 2501
    assert write_truth(warehouse, "damp", many[2000:]) == 2000
    assert stored(warehouse, "damp") == many[2000:]


def test_a_line_that_breaks_leaves_the_old_truth(warehouse):
    write_truth(warehouse, "damp", DAMP)

    def broken(_, cursor, statement, *__):
        if statement.startswith("INSERT"):  # the deletion before it has gone through
            cursor.connection._force_close()

    event.listen(warehouse, "before_cursor_execute", broken)
    with pytest.raises(WarehouseError):
        write_truth(warehouse, "damp", [("lga", Interval(NEW_YEAR, 71.0))])
    event.remove(warehouse, "before_cursor_execute", broken)
    assert stored(warehouse, "damp") == list(DAMP)


def test_a_missing_table_names_the_command(empty):
    with pytest.raises(SchemaOutdated, match="warehouse migrate"):
        write_truth(empty, "damp", DAMP)
