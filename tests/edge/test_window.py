"""The window of the past 30 hours."""

from hypothesis import given
from hypothesis import strategies as st

from edge.window import SLOT_MS, SPAN_MS, Window
from models.evaluation import Sample

HOUR = 3_600_000


def test_the_last_sample_of_a_slot_stands_for_it():
    window = Window()
    for at_ms, value in ((0, 1.0), (599_999, 2.0), (600_000, 3.0)):
        window.take("a", Sample(at_ms, value))
    assert window.samples("a") == (Sample(599_999, 2.0), Sample(600_000, 3.0))
    assert window.samples("b") == ()


@given(st.lists(st.integers(0, 2 * HOUR), max_size=60))
def test_it_spans_30_hours_and_is_sorted(gaps):
    window, at_ms = Window(), 0
    for gap in gaps:
        at_ms += gap
        window.take("a", Sample(at_ms, 1.0))
    times = [s.at_ms for s in window.samples("a")]
    assert times == sorted(times)
    assert all(at_ms - SPAN_MS <= t <= at_ms for t in times)
    assert len({t // SLOT_MS for t in times}) == len(times) <= SPAN_MS // SLOT_MS + 1


def test_it_is_stale_once_a_slot_until_somebody_has_stored_it():
    window = Window()
    window.take("a", Sample(0, 1.0))
    assert window.stale
    window.stale = False
    window.take("a", Sample(1, 2.0))
    assert not window.stale
    window.take("a", Sample(SLOT_MS, 3.0))
    assert window.stale


def test_stored_and_restored():
    window = Window()
    for hour in range(40):
        window.take("a", Sample(hour * HOUR, hour / 2))
        window.take("b", Sample(hour * HOUR, -1.5))
    again = Window.load(window.dump())
    assert again.samples("a") == window.samples("a")
    assert again.samples("b") == window.samples("b")
    assert not again.stale
    again.take("a", Sample(40 * HOUR, 1.0))
    assert len(again.samples("a")) == 31


def test_what_a_restored_window_cannot_place_is_forgotten():
    text = '{"a":[[1000,1.0],[2000,2.0]]}'
    for now_ms, expected in ((None, 0), (1500, 1), (2000, 2)):
        window = Window.load(text)
        window.resume(now_ms)
        assert len(window.samples("a")) == expected, now_ms


def test_another_time_line():
    window = Window.load('{"a":[[1000,1.0],[2000,2.0]]}')
    window.rebase(-500)
    assert window.samples("a") == (Sample(500, 1.0), Sample(1500, 2.0))
