"""What ends a gathering."""

from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.gather import Gather, GatherLimits

LIMITS = GatherLimits(wait_ms=250, size_bytes=1000, total=4)


def test_nothing_is_never_due() -> None:
    assert Gather[str](LIMITS).left_ms(10**9) is None


def test_time_counts_from_the_first_message() -> None:
    gather = Gather[str](LIMITS)
    gather.add("a", 10, now_ms=1000)
    gather.add("b", 10, now_ms=1200)
    assert [gather.left_ms(now) for now in (1200, 1249, 1250, 9999)] == [50, 1, 0, 0]
    assert gather.take() == ("a", "b")
    assert gather.left_ms(9999) is None


def test_size_and_number_end_it_at_once() -> None:
    large, many = Gather[str](LIMITS), Gather[int](LIMITS)
    large.add("a", 999, 0)
    assert large.left_ms(0) == 250
    large.add("b", 1, 0)
    assert large.left_ms(0) == 0
    for i in range(4):
        assert many.left_ms(0) != 0
        many.add(i, 1, 0)
    assert many.left_ms(0) == 0
    assert many.take() == (0, 1, 2, 3)
    many.add(5, 1, 7)
    assert many.left_ms(7) == 250


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 300)), max_size=40))
def test_every_message_comes_out_once_in_order_and_in_time(steps: list[tuple[int, int]]) -> None:
    gather, now, out, added = Gather[int](LIMITS), 0, [], {}
    for i, (size, later) in enumerate(steps):
        gather.add(i, size, now)
        added[i] = now
        if gather.left_ms(now) == 0:
            out += gather.take()
        now += later
        while (left := gather.left_ms(now)) == 0:
            taken = gather.take()
            assert all(now - added[m] <= 250 + 300 for m in taken)
            out += taken
        assert left is None or left <= 250
    assert out + list(gather.take()) == list(range(len(steps)))
