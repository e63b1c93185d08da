"""The doctor names devices that send too much."""

from cloud.health.budgets import look_at_budgets
from cloud.health.finding import State
from cloud.ingest.budget import DeviceLimits
from cloud.ingest.refusals import Refusals
from cloud.lake.store import FolderStore

NOON = 1_700_049_600_000


def test_nobody_is_over_budget(tmp_path):
    (finding,) = look_at_budgets(FolderStore(tmp_path), NOON)
    assert (finding.state, finding.found) == (State.OK, "none")


def test_a_device_over_budget_is_named_for_a_day(tmp_path):
    store = FolderStore(tmp_path)
    refusals = Refusals(store, DeviceLimits())
    for n in range(12):
        refusals.note(f"gw-{n:02}")
    refusals.report(NOON)
    (finding,) = look_at_budgets(store, NOON)
    assert finding.state is State.WARNING
    assert finding.found.startswith("gw-00, gw-01, ")
    assert finding.found.endswith("gw-09 and 2 more")
    assert "ca revoke" in finding.remedy
    (later,) = look_at_budgets(store, NOON + 26 * 3_600_000)
    assert later.state is State.OK
