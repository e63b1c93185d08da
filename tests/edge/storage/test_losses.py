"""Losses without numbers."""

from contract.records import Loss, LossReason, Span
from edge.storage.losses import Dropped, Left, kept_in_memory, missing, unclean_stop
from edge.storage.stream_end import Kept, StreamEnd


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


# --- after damage --------------------------------------------------------------------------------


def span(stream, first, last):
    return Span(stream_id=stream * 13, first=first, last=last)


def test_missing_numbers_are_those_between_the_held_ones():
    ends = [("a" * 13, 100), ("b" * 13, 7), ("c" * 13, 5)]
    held = [span("a", 40, 60), span("a", 11, 20), span("b", 1, 7), span("z", 1, 9)]
    assert [loss.lost for loss in missing(ends, held)] == [
        span("a", 1, 10),
        span("a", 21, 39),
        span("a", 61, 100),
        span("c", 1, 5),
    ]


def test_more_spans_than_a_block_may_name_are_joined():
    held = [span("a", n, n) for n in range(2, 6000, 2)]
    losses = missing([("a" * 13, 6000)], held)
    assert len(losses) == 1001
    assert losses[-1].lost == span("a", 2001, 6000)


def test_kept_records_are_lost_with_those_after_the_last_count():
    loss = kept_in_memory(Kept(1000, 5000, 60_000), 10**9, 7000, readings_in)
    assert (loss.reason, loss.lost) == (LossReason.UNCLEAN_STOP, None)
    assert (loss.from_at, loss.to_at, loss.estimated_total) == (5000, 67_000, 1007)
    loss = kept_in_memory(Kept(1000, None, None), None, 7000, readings_in)
    assert (loss.from_at, loss.to_at, loss.estimated_total) == (None, None, 1007)


def test_what_the_streams_before_left_is_reported_in_order():
    lost = Loss(reason=LossReason.CORRUPT, lost=span("a", 1, 5))
    left = Left(end(9), end(1_000_000), (lost,), Kept(10, 1, 2))
    reports = list(left.reports(10**9, 1000, readings_in))
    assert [r.from_at for r in reports] == [1_000_000, 1, None]
    assert reports[-1] is lost
