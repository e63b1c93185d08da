"""Two gateways with one name: streams that run at the same time."""

from dataclasses import replace

from cloud.ledger.account import ForkKind
from cloud.ledger.report import fork_text
from contract.blocks import Block
from contract.keys import import_stream_id
from tests.builders import temperatures

NEW_YEAR = 1_356_998_400_000
MINUTE = 60_000


def run(gateway, stream, first, begin_min, end_min):
    """A block of two readings, at the begin and at the end, in minutes of the year."""
    return Block(
        stream_id=gateway.stream(stream),
        first=first,
        offset_ms=0,
        utc_at=NEW_YEAR + begin_min * MINUTE,
        sensors=(temperatures((2100, 2100), [0, (end_min - begin_min) * MINUTE]),),
    )


def forks(account_of, gateway, *blocks):
    return account_of([gateway.file(*blocks)]).forks


def test_two_outboxes_at_the_same_time_are_a_fork(account_of, gateway):
    """The case: a new card under the name of a gateway that still runs."""
    (fork,) = forks(
        account_of,
        gateway,
        gateway.start("a"),
        run(gateway, "a", 2, 0, 60),
        gateway.start("b"),
        run(gateway, "b", 2, 30, 90),
    )
    assert (fork.kind, fork.stream_id, fork.successors) == (
        ForkKind.OVERLAP,
        "a" * 13,
        ("b" * 13,),
    )
    assert "ran at the same time: two gateways use this device id" in fork_text(fork)


def test_one_after_the_other_is_none(account_of, gateway):
    assert (
        forks(account_of, gateway, run(gateway, "a", 2, 0, 60), run(gateway, "b", 2, 60, 90)) == ()
    )


def test_a_clock_that_was_set_back_is_none(account_of, gateway):
    """The second stream names the first, so it is the same outbox."""
    blocks = (
        gateway.start("a"),
        run(gateway, "a", 2, 0, 60),
        gateway.start("b", "a", 3),
        run(gateway, "b", 2, 30, 90),
        gateway.start("c", "b", 3),
        run(gateway, "c", 2, 10, 40),
    )
    assert forks(account_of, gateway, *blocks) == ()


def test_many_restarts_of_both_are_one_fork(account_of, gateway):
    blocks = []
    for n, (one, other) in enumerate(zip("abc", "xyz", strict=True)):
        begin = 60 * n
        blocks += [
            gateway.start(one, "abc"[n - 1] if n else None, 3 if n else None),
            run(gateway, one, 2, begin, begin + 50),
            gateway.start(other, "xyz"[n - 1] if n else None, 3 if n else None),
            run(gateway, other, 2, begin + 5, begin + 55),
        ]
    (fork,) = forks(account_of, gateway, *blocks)
    assert (fork.stream_id, fork.successors) == ("a" * 13, ("x" * 13,))


def test_a_long_stream_overlaps_one_inside_it(account_of, gateway):
    blocks = (
        run(gateway, "a", 2, 0, 600),
        run(gateway, "b", 2, 1, 20),
        run(gateway, "c", 2, 30, 50),
    )
    found = forks(account_of, gateway, *blocks)
    assert [(f.stream_id[0], f.successors[0][0]) for f in found] == [("a", "b"), ("a", "c")]


def test_an_import_beside_a_gateway_or_another_import_is_none(account_of, gateway):
    """Two files of one device have the same times, and the gateway may have measured meanwhile."""
    blocks = [run(gateway, "a", 2, 0, 60)]
    for n in range(2):
        stream_id = import_stream_id(bytes([n] * 8))
        blocks.append(replace(run(gateway, "a", 1, 0, 90), stream_id=stream_id))
    assert forks(account_of, gateway, *blocks) == ()
