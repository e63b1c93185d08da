"""The table of panels: what differs is found and told; the queries are tested with the panels."""

from dataclasses import replace

import pytest

from cloud.search.kibana.objects import DASHBOARDS
from cloud.search.kibana.panel import (
    DataView,
    Difference,
    Figure,
    Function,
    Layer,
    Shown,
    Values,
    Where,
)
from cloud.search.kibana.query import Question
from contract.records import Kind
from deploy.local.kibana import PanelCheck, panel_sql, panel_table

LAYER = Layer(
    view=DataView(name="v", title="V", kind=Kind.ALERT, time_field=None),
    splits=(Values(field="device_id", label="D"),),
    metrics=(
        Figure(name="a", label="A", function=Function.COUNT),
        Figure(name="b", label="B", function=Function.MAX, field="seq", shown=Shown.DATE),
        Difference(name="c", label="C", of=Where(), less=Where()),
    ),
)
ROWS = (("ewr", 2.0, 1_000_000.0, 0.5), ("jfk", 3.0, None, 1.25))
QUESTION = Question(
    "dewline-alert",
    {
        "aggs": {
            "split": {
                "terms": {"field": "device_id"},
                "aggs": {"a": {"max": {"field": "seq"}}, "b": {"filter": {}}},
            }
        }
    },
)
CHECK = PanelCheck(
    name="fleet/x/0", title="X", layer=LAYER, question=QUESTION, expected=ROWS, got=ROWS
)


def test_each_panel_has_its_sql_and_no_sql_is_without_a_panel():
    panels = {
        f"{dashboard.name}/{panel.name}/{number}"
        for dashboard in DASHBOARDS
        for panel in dashboard.panels()
        for number in range(len(panel.layers))
    }
    assert set(panel_sql()) == panels
    assert all(sql.startswith("SELECT") and ";" not in sql for sql in panel_sql().values())


def test_equal_rows_are_not_apart_and_told_alike():
    assert CHECK.apart is None
    ((panel, query, expected, got),) = panel_table([CHECK])
    assert panel == "fleet/x/0: X"
    assert query == "dewline-alert: terms(device_id) > max(seq) + filter(count)"
    assert expected == got == "2 rows: 5, 1.75"  # instants are not summed


def test_a_sum_in_another_order_is_the_same():
    almost = (ROWS[0], (*ROWS[1][:3], 1.25 * (1 + 1e-12)))
    assert replace(CHECK, got=almost).apart is None


@pytest.mark.parametrize(
    ("got", "pair"),
    [
        ((ROWS[0], ("jfk", 4.0, None, 1.25)), (ROWS[1], ("jfk", 4.0, None, 1.25))),
        ((ROWS[0], ("jfk", 3.0, None, 1.250001)), (ROWS[1], ("jfk", 3.0, None, 1.250001))),
        ((ROWS[0], ("jfk", 3.0, 0.0, 1.25)), (ROWS[1], ("jfk", 3.0, 0.0, 1.25))),
        (ROWS[:1], (ROWS[1], None)),
        ((*ROWS, ("lga", 0.0, None, 0.0)), (None, ("lga", 0.0, None, 0.0))),
        ((), (ROWS[0], None)),
    ],
)
def test_the_first_difference_is_named(got, pair):
    check = replace(CHECK, got=got)
    assert check.apart == pair
    ((_, _, expected, told),) = panel_table([check])
    assert expected.endswith(str(pair[0]))
    assert told.endswith(str(pair[1]))
