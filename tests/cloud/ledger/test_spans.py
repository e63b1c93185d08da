"""The arithmetic of runs, held against sets of numbers."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ledger.spans import Run, RunMerger, count, merge, shown, subtract

runs = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 12)).map(lambda p: (p[0], p[0] + p[1] - 1))
)


def numbers(of):
    return {n for first, last in of for n in range(first, last + 1)}


@given(runs)
def test_merging_keeps_the_numbers_in_the_fewest_sorted_runs(given_runs):
    merged = merge(given_runs)
    assert numbers(merged) == numbers(given_runs)
    assert count(merged) == len(numbers(given_runs))
    assert all(a.last + 1 < b.first for a, b in pairwise(merged))


@given(runs, runs)
def test_subtracting_is_the_difference_of_sets(one, other):
    rest = subtract(merge(one), merge(other))
    assert numbers(rest) == numbers(one) - numbers(other)
    assert rest == merge(rest)


def test_runs_of_the_size_of_a_stream_cost_nothing():
    assert subtract((Run(1, 2**53),), (Run(5, 2**53 - 1),)) == (Run(1, 4), Run(2**53, 2**53))


def test_the_merger_refuses_runs_that_go_back():
    merger = RunMerger()
    merger.add(10, 12)
    with pytest.raises(ValueError, match="sorted"):
        merger.add(9, 20)


def test_runs_are_shown_as_people_write_them():
    assert shown(merge([(1, 80), (97, 97), (100, 120)])) == "1-80, 97, 100-120"
    assert shown(()) == "none"
