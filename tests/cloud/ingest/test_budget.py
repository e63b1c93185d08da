"""What a device may cost: a rate for ever, and a burst."""

from cloud.ingest import budget
from cloud.ingest.budget import Budgets, DeviceLimits

LIMITS = DeviceLimits(
    messages_per_s=10, bytes_per_s=1000, cpu_share=0.5, unreadable_per_s=1, burst_s=5
)


def accepted(budgets: Budgets, offered: int, now_s: float, size_bytes: int = 1) -> int:
    """Messages of that number that find the budget not yet used up."""
    count = 0
    for _ in range(offered):
        if budgets.over_s("gw-1", now_s) <= 0:
            budgets.spend_message("gw-1", size_bytes, now_s)
            count += 1
    return count


def test_a_burst_and_then_the_rate() -> None:
    budgets = Budgets(LIMITS)
    assert 50 <= accepted(budgets, 1000, 100.0) <= 52
    for now_s in range(101, 111):
        assert 9 <= accepted(budgets, 1000, float(now_s)) <= 11
    assert 49 <= accepted(budgets, 1000, 200.0) <= 52  # not more than a burst is saved


def test_bytes_count_as_well() -> None:
    budgets = Budgets(LIMITS)
    assert 10 <= accepted(budgets, 1000, 100.0, size_bytes=500) <= 12
    assert 1 <= accepted(budgets, 1000, 101.0, size_bytes=500) <= 3


def test_one_device_does_not_spend_anothers() -> None:
    budgets = Budgets(LIMITS)
    accepted(budgets, 1000, 100.0)
    assert budgets.over_s("gw-1", 100.0) > 0
    assert budgets.over_s("gw-2", 100.0) <= 0


def test_cpu_is_a_debt_that_is_paid_by_waiting() -> None:
    budgets = Budgets(LIMITS)
    budgets.spend_block("gw-1", 5.0, 100.0, readable=True)
    assert budgets.over_s("gw-1", 100.0) == 5.0  # 10 s of half a CPU, less the burst
    assert budgets.over_s("gw-1", 105.0) == 0.0


def test_unreadable_blocks_have_a_rate_of_their_own() -> None:
    budgets = Budgets(LIMITS)
    for _ in range(6):
        budgets.spend_block("gw-1", 0.0, 100.0, readable=False)
        budgets.spend_block("gw-2", 0.0, 100.0, readable=True)
    assert budgets.over_s("gw-1", 100.0) == 1.0
    assert budgets.over_s("gw-2", 100.0) <= 0


def test_devices_that_spend_nothing_are_forgotten(monkeypatch) -> None:
    monkeypatch.setattr(budget, "_DEVICES", 10)
    budgets = Budgets(LIMITS)
    for n in range(1000):
        budgets.spend_message(f"gw-{n}", 1, float(n))
    assert len(budgets._spent_until_s) <= 10
