"""The account of a device in the cases that a ledger is for, and its laws for all others."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.ledger.account import ForkKind
from cloud.ledger.spans import Run, count, merge
from contract.records import Kind, Loss, LossReason

YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z


def stream(device_account, letter):
    return next(s for s in device_account.streams if s.stream_id == letter * 13)


def test_everything_stored(gateway, account_of):
    found = account_of([gateway.file(gateway.start("a"), gateway.readings("a", 2, 81))])
    a = stream(found, "a")
    assert (a.expected_last, a.stored, a.unexplained) == (81, (Run(1, 81),), ())
    assert a.tally.totals == ((Kind.READING, 80), (Kind.STATUS, 1))
    assert found.forks == ()


def test_a_hole_is_unexplained(gateway, account_of):
    a = stream(account_of([gateway.file(gateway.start("a"), gateway.readings("a", 5, 9))]), "a")
    assert a.unexplained == (Run(2, 4),)


def test_the_end_of_a_stream_is_known_from_its_successor(gateway, account_of):
    files = [gateway.file(gateway.start("a")), gateway.file(gateway.start("b", "a", 40))]
    a = stream(account_of(files), "a")
    assert (a.expected_last, a.unexplained) == (40, (Run(2, 40),))


def test_a_stream_of_which_nothing_arrived_is_accounted_for(gateway, account_of):
    a = stream(account_of([gateway.file(gateway.start("b", "a", 40))]), "a")
    assert (a.stored, a.unexplained, a.tally) == ((), (Run(1, 40),), None)


def test_declared_lost_is_explained(gateway, account_of):
    files = [gateway.file(gateway.start("a"), gateway.lost("a", 10, "a", 2, 9))]
    a = stream(account_of(files), "a")
    assert (a.lost, a.unexplained) == ((Run(2, 9),), ())


def test_stored_beats_declared_lost(gateway, account_of):
    files = [
        gateway.file(gateway.start("a"), gateway.lost("a", 10, "a", 2, 9)),
        gateway.file(gateway.readings("a", 2, 5)),
    ]
    a = stream(account_of(files), "a")
    assert (a.stored, a.lost, a.unexplained) == ((Run(1, 5), Run(10, 10)), (Run(6, 9),), ())


def test_what_the_gateway_holds_is_explained_until_it_says_otherwise(gateway, account_of):
    files = [gateway.file(gateway.start("a"), gateway.held("a", 10, ("a", 2, 9)))]
    found = account_of(files)
    assert stream(found, "a").held == (Run(2, 9),)
    assert found.held_told_at == gateway.at
    files.append(gateway.file(gateway.readings("a", 2, 6), gateway.held("a", 11)))
    a = stream(account_of(files), "a")
    assert (a.held, a.unexplained) == ((), (Run(7, 9),))


def test_after_a_restart_the_newest_stream_tells_what_is_held(gateway, account_of):
    files = [
        gateway.file(gateway.start("a"), gateway.held("a", 10, ("a", 2, 9))),
        gateway.file(gateway.start("b", "a", 10)),
    ]
    assert stream(account_of(files), "a").held == (Run(2, 9),)
    files.append(gateway.file(gateway.held("b", 2)))
    assert stream(account_of(files), "a").unexplained == (Run(2, 9),)


def test_a_truncated_held_is_said(gateway, account_of):
    held = gateway.held("a", 10, ("a", 2, 4), truncated=True)
    found = account_of([gateway.file(gateway.start("a"), held)])
    assert found.held_truncated
    assert stream(found, "a").unexplained == (Run(5, 9),)


def test_a_restored_backup_is_a_fork(gateway, account_of):
    files = [
        gateway.file(gateway.start("a"), gateway.readings("a", 2, 81)),
        gateway.file(gateway.start("b", "a", 30)),
    ]
    (fork,) = account_of(files).forks
    assert (fork.kind, fork.claimed_last, fork.stored_last) == (ForkKind.BEHIND, 30, 81)
    assert stream(account_of(files), "a").unexplained == ()


def test_two_copies_at_once_are_a_fork_and_what_both_hold_is_stored_once(gateway, account_of):
    shared = gateway.readings("a", 2, 81)
    files = [
        gateway.file(gateway.start("a"), shared),
        gateway.file(shared, gateway.start("b", "a", 81), node="node-2"),
        gateway.file(gateway.start("c", "a", 81), gateway.readings("c", 2, 9)),
        gateway.file(gateway.readings("b", 2, 9)),
    ]
    found = account_of(files)
    (fork,) = found.forks
    assert (fork.kind, fork.successors) == (ForkKind.TWO_SUCCESSORS, ("b" * 13, "c" * 13))
    a = stream(found, "a")
    assert (a.tally.repeated_total, a.doubled_total, a.tally.blocks_total) == (1, 0, 2)
    assert a.tally.totals == ((Kind.READING, 80), (Kind.STATUS, 1))
    assert [count(s.stored) for s in found.streams] == [81, 9, 9]


def test_streams_that_name_each_other_in_a_ring_do_not_hang_it(gateway, account_of):
    files = [
        gateway.file(gateway.start("a", "b", 1), gateway.held("a", 2, ("a", 3, 4))),
        gateway.file(gateway.start("b", "a", 2)),
    ]
    assert stream(account_of(files), "a").unexplained == ()


def test_the_same_numbers_with_other_bytes_are_doubled_and_the_first_received_wins(
    gateway, account_of, digest_of
):
    low, high = gateway.readings("a", 1, 8), gateway.readings("a", 5, 12, value=2200)
    for first, second in ((low, high), (high, low)):
        order = [gateway.file(first), gateway.file(second)]
        a = stream(account_of(order), "a")
        assert a.tally.doubled == (Run(5, 8),)
        (conflict,) = a.tally.conflicts
        assert (conflict.numbers, conflict.winner, conflict.loser) == (
            Run(5, 8),
            digest_of(first),
            digest_of(second),
        )


def test_of_one_range_with_two_contents_the_records_count_once(gateway, account_of):
    files = [gateway.file(gateway.readings("a", 1, 8, v)) for v in (2100, 2200, 2300)]
    a = stream(account_of(files), "a")
    assert (a.doubled_total, a.tally.blocks_total, a.tally.totals) == (8, 3, ((Kind.READING, 8),))
    assert len(a.tally.conflicts) == 3


def test_a_thousand_rival_blocks_are_counted_and_some_are_named(gateway, account_of):
    files = [gateway.file(gateway.readings("a", 1 + i % 9, 20, i)) for i in range(1000)]
    a = stream(account_of(files), "a")
    assert (a.doubled_total, len(a.tally.conflicts), a.tally.blocks_total) == (20, 20, 1000)


def test_an_unclean_stop_is_listed_with_its_span(gateway, account_of):
    loss = Loss(
        reason=LossReason.UNCLEAN_STOP, from_at=YEAR + 1000, to_at=YEAR + 5000, estimated_total=4
    )
    found = account_of([gateway.file(gateway.start("a"), gateway.events("a", 2, loss))])
    (stop,) = found.unclean_stops
    assert (stop.from_at, stop.to_at, stop.estimated_total) == (YEAR + 1000, YEAR + 5000, 4)
    assert stream(found, "a").lost == ()


def test_the_digest_of_a_stream_can_be_made_by_hand(gateway, account_of, digest_of):
    blocks = [gateway.start("a"), gateway.readings("a", 10, 12), gateway.readings("a", 2, 9)]
    a = stream(account_of([gateway.file(*blocks)]), "a")
    lines = [f"1 1 {digest_of(blocks[0])}", f"2 9 {digest_of(blocks[2])}"]
    lines.append(f"10 12 {digest_of(blocks[1])}")
    text = "".join(line + "\n" for line in lines)
    assert a.tally.sha256 == hashlib.sha256(text.encode()).hexdigest()


letters = st.sampled_from("abc")
small = st.integers(1, 30)
spans = st.tuples(letters, small, st.integers(0, 6)).map(lambda s: (s[0], s[1], s[1] + s[2]))


@st.composite
def histories(draw, new_gateway):
    gateway = new_gateway()
    makers = {
        "readings": spans.map(lambda s: gateway.readings(*s)),
        "conflict": spans.map(lambda s: gateway.readings(*s, value=7)),
        "start": st.tuples(letters, letters, small).map(lambda s: gateway.start(*s)),
        "lost": st.tuples(letters, small, spans).map(lambda s: gateway.lost(*s[:2], *s[2])),
        "held": st.tuples(letters, small, st.lists(spans, max_size=3)).map(
            lambda s: gateway.held(*s[:2], *s[2])
        ),
    }
    blocks = st.sampled_from(sorted(makers)).flatmap(makers.__getitem__)
    files = draw(st.lists(st.lists(blocks, min_size=1, max_size=3), max_size=8))
    ages = st.integers(0, 2000)
    return [gateway.file(*file, after_ms=draw(ages)) for file in files]


@settings(deadline=None)  # histories are made of real payloads; a busy machine is no error
@given(data=st.data())
def test_every_number_is_in_exactly_one_of_the_four(new_gateway, account_of, data):
    for found in account_of(data.draw(histories(new_gateway))).streams:
        parts = (found.stored, found.lost, found.held, found.unexplained)
        whole = (Run(1, found.expected_last),) if found.expected_last else ()
        assert merge(run for part in parts for run in part) == whole
        assert sum(map(count, parts)) == found.expected_last


@settings(deadline=None)  # histories are made of real payloads; a busy machine is no error
@given(data=st.data())
def test_neither_order_nor_repetition_of_files_changes_the_account(new_gateway, account_of, data):
    files = data.draw(histories(new_gateway))
    wanted = account_of(files)
    assert account_of(data.draw(st.permutations(files))) == wanted
    assert account_of([*files, *data.draw(st.permutations(files))]) == wanted
