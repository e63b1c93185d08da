"""Losses without numbers."""

from contract.records import Loss, LossReason
from edge.storage.losses import Dropped, unclean_stop
from edge.storage.outbox import StreamEnd


def end(committed_at, tail_ms=90_000):
    return StreamEnd("abcdefghij234", 9, committed_at, tail_ms, clean=False)


def readings_in(seconds):
    return int(seconds)


def test_a_short_absence_bounds_the_span():
    loss = unclean_stop(end(1_000_000), 1_030_000, readings_in)
    assert (loss.reason, loss.from_at, loss.to_at) == (
        LossReason.UNCLEAN_STOP,
        1_000_000,
        1_030_000,
    )
    assert (loss.estimated_total, loss.lost) == (30, None)


def test_after_a_long_absence_the_commit_rhythm_bounds_it():
    loss = unclean_stop(end(1_000_000), 10**9, readings_in)
    assert (loss.to_at, loss.estimated_total) == (1_090_000, 90)


def test_without_utc_then_or_now_only_the_estimate_is_known():
    assert unclean_stop(end(None), 10**9, readings_in) == Loss(
        reason=LossReason.UNCLEAN_STOP, estimated_total=90
    )
    for now_ms in (None, 999_999):  # now is before then: one of the two is wrong
        loss = unclean_stop(end(1_000_000), now_ms, readings_in)
        assert (loss.from_at, loss.to_at, loss.estimated_total) == (1_000_000, None, 90)


def test_dropped_readings_are_counted_told_and_counted_anew(measured, caplog):
    dropped = Dropped()
    for offset_ms in (500, 600, 900):
        dropped.add(measured(offset_ms))
    assert dropped.told(lambda offset_ms: 1000 + offset_ms) == Loss(
        reason=LossReason.BUDGET, from_at=1500, to_at=1900, estimated_total=6
    )
    assert dropped.readings_total == 0
    assert len(caplog.records) == 1
    dropped.add(measured(5000))
    assert dropped.told(lambda _: None) == Loss(reason=LossReason.BUDGET, estimated_total=2)
