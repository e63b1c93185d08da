"""Outcomes out of a real server, assessments into it."""

import numpy as np
import pytest
from sqlalchemy import event

from cloud.errors import WarehouseError
from cloud.monitoring.outcomes import join_outcomes
from cloud.monitoring.store import read_outcomes, write_assessment
from cloud.monitoring.watch import assess
from cloud.warehouse.model_tables import MONITORING, RELIABILITY

pytestmark = pytest.mark.services


@pytest.fixture
def outcomes(desk):
    """Of one device: a day by the edge, an hour by the cloud; no baseline before noon."""
    desk.edge_forecasts(*(desk.edge("ewr", desk.at(h), h / 24) for h in range(24)))
    desk.cloud_forecasts(desk.cloud("ewr", desk.at(12), 1.0, version="v2"))
    rows = [("ewr", desk.at(h), h % 2, False, True, True, 0.0) for h in range(24)]
    baseline = (desk.at(12), lambda features: np.full(len(features), 0.5))
    join_outcomes(desk.engine, desk.condition, desk.history(rows), [baseline])
    return read_outcomes(desk.engine, "damp", desk.at(0), desk.at(24))


def test_outcomes_come_out_as_columns(desk, outcomes):
    assert len(outcomes) == 25
    edge = outcomes.rows(outcomes.origins == "edge")
    assert edge.issued_at.tolist() == [desk.at(h) for h in range(24)]
    assert edge.probability.tolist() == [h / 24 for h in range(24)]
    assert edge.onset.tolist() == [h % 2 for h in range(24)]
    assert np.isnan(edge.baseline[:12]).all()
    assert edge.baseline[12:].tolist() == [0.5] * 12
    cloud = outcomes.of_model("damp", "v2")
    assert (cloud.devices.tolist(), cloud.origins.tolist()) == (["ewr"], ["cloud"])
    assert len(read_outcomes(desk.engine, "frost", 0, desk.at(24))) == 0
    assert len(read_outcomes(desk.engine, "damp", desk.at(1), desk.at(3))) == 2


def test_a_cycle_s_word_replaces_its_own_and_no_other(desk, outcomes):
    told = assess(outcomes, "damp", 0.1, "it is cold")
    cycles = desk.at(24), desk.at(48)
    for cycle_at in cycles:
        write_assessment(desk.engine, cycle_at, told)
        write_assessment(desk.engine, cycle_at, assess(outcomes, "frost"))
    before = desk.rows(MONITORING), desk.rows(RELIABILITY)
    assert write_assessment(desk.engine, cycles[1], told) == len(told.monitoring + told.reliability)
    assert (desk.rows(MONITORING), desk.rows(RELIABILITY)) == before
    nothing = assess(outcomes.rows(outcomes.issued_at < 0), "damp")
    assert write_assessment(desk.engine, cycles[1], nothing) == 1
    own = cycles[1], "damp"
    left = [r for r in desk.rows(MONITORING) if (r["cycle_at"], r["condition_id"]) == own]
    assert [(r["device_id"], r["outcomes_total"], r["retrain"]) for r in left] == [("", 0, False)]
    others = [r for r in before[1] if (r["cycle_at"], r["condition_id"]) != own]
    assert desk.rows(RELIABILITY) == others
    assert len(others) == 3 * len(told.reliability)


def test_every_figure_is_stored_as_it_was_computed(desk, outcomes):
    told = assess(outcomes, "damp", 0.1, "it is cold")
    write_assessment(desk.engine, desk.at(24), told)
    kept = {(r["device_id"], r["origin"]): r for r in desk.rows(MONITORING)}
    assert len(kept) == len(told.monitoring) == 6
    for row in told.monitoring:
        found = kept[row.device_id, row.origin]
        for name in type(row).__slots__:
            assert found[name] == getattr(row, name), name


def test_a_line_that_breaks_leaves_what_was_said(desk, outcomes):
    told = assess(outcomes, "damp")
    write_assessment(desk.engine, desk.at(24), told)
    before = desk.rows(MONITORING), desk.rows(RELIABILITY)

    def broken(_, cursor, statement, *__):
        if "INSERT INTO reliability" in statement:  # the rest has gone through
            cursor.connection._force_close()

    event.listen(desk.engine, "before_cursor_execute", broken)
    with pytest.raises(WarehouseError):
        write_assessment(desk.engine, desk.at(24), assess(outcomes, "damp", 0.9, "other words"))
    event.remove(desk.engine, "before_cursor_execute", broken)
    assert (desk.rows(MONITORING), desk.rows(RELIABILITY)) == before
