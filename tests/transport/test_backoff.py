"""Back-off: bounds, growth, and when it begins anew."""

import random

from hypothesis import given
from hypothesis import strategies as st

from transport.backoff import Backoff


class Top(random.Random):
    """Draws the limit itself, so that it can be seen."""

    def uniform(self, a, b):
        assert a == 0.0  # full jitter
        return b


def test_limits_double_up_to_the_longest():
    backoff = Backoff(first_s=1.0, longest_s=10.0, stable_s=30.0, source=Top())
    assert [backoff.wait_s() for _ in range(6)] == [1, 2, 4, 8, 10, 10]


def test_only_a_stable_success_begins_anew():
    backoff = Backoff(first_s=1.0, longest_s=100.0, stable_s=30.0, source=Top())
    assert [backoff.wait_s() for _ in range(3)] == [1, 2, 4]
    assert backoff.wait_s(29.9) == 8
    assert backoff.wait_s(30.0) == 1


def test_what_cannot_get_better_soon_is_tried_rarely():
    backoff = Backoff(first_s=1.0, longest_s=100.0, stable_s=30.0, source=Top())
    assert backoff.wait_s(rarely=True) == 100
    assert backoff.wait_s() == 2


@given(st.lists(st.floats(0, 100), max_size=200), st.integers())
def test_never_negative_never_longer_than_the_longest(lasted, seed):
    backoff = Backoff(first_s=0.5, longest_s=60.0, stable_s=30.0, source=random.Random(seed))
    assert all(0 <= backoff.wait_s(seconds) <= 60 for seconds in lasted)


def test_two_gateways_do_not_knock_in_step():
    waits = [Backoff(first_s=1.0, longest_s=60.0, stable_s=30.0).wait_s() for _ in range(20)]
    assert len(set(waits)) > 15


def test_a_success_that_somebody_names_begins_anew_too():
    backoff = Backoff(first_s=1.0, longest_s=100.0, source=Top())
    assert [backoff.wait_s(1e9) for _ in range(3)] == [1, 2, 4]
    backoff.reset()
    assert backoff.wait_s() == 1
