"""Lanes: order, shares, acks, resending; and what a round costs."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.acks import Ack
from contract.keys import payload_digest
from contract.records import Span
from edge.sending.lanes import LIVE_S, Lanes
from edge.storage.outbox import Outbox
from edge.storage.queued import Encoded
from edge.storage.stream_end import StreamEnd

STREAM = "abcdefghij234"


class Even(random.Random):
    def uniform(self, a, b):
        return (a + b) / 2


@pytest.fixture
def lanes(outbox):
    return Lanes(outbox, window=20, ack_timeout_s=10.0, longest_s=60.0, source=Even())


def fill(outbox, count, first=1, *, alert=False):
    blocks = [Encoded(n, n, alert, b"%d" % n) for n in range(first, first + count)]
    outbox.commit(blocks, StreamEnd(STREAM, first + count - 1, None, 0, clean=False))


def sent(lanes, now_s=0.0, most=1000):
    return [(o.lane.value, o.block.first) for o in lanes.next(now_s, most)]


def ack(first, last, stream=STREAM):
    return Ack(spans=(Span(stream_id=stream, first=first, last=last),))


def test_what_was_there_before_the_start_is_backfill(lanes, outbox):
    fill(outbox, 2)
    lanes.begin()
    fill(outbox, 2, first=3)
    lanes.note_commits(0.0)
    assert sent(lanes) == [("live", 3), ("live", 4), ("backfill", 1), ("backfill", 2)]


def test_alerts_go_first_however_old(lanes, outbox):
    fill(outbox, 1, alert=True)
    fill(outbox, 1, first=2)
    lanes.begin()
    fill(outbox, 1, first=3)
    fill(outbox, 1, first=4, alert=True)
    assert sent(lanes) == [("alert", 1), ("alert", 4), ("live", 3), ("backfill", 2)]


def test_after_a_minute_live_is_backfill(lanes, outbox):
    lanes.begin()
    fill(outbox, 1)
    lanes.note_commits(100.0)
    fill(outbox, 1, first=2)
    lanes.note_commits(130.0)
    assert not lanes.backlog()
    lanes.note_commits(100.0 + LIVE_S)
    assert not lanes.backlog()
    lanes.note_commits(100.1 + LIVE_S)
    assert lanes.backlog()
    assert sent(lanes) == [("live", 2), ("backfill", 1)]
    lanes.note_commits(131.0 + LIVE_S)
    assert sent(lanes) == []


def test_shares_of_the_window(lanes, outbox):
    """Of 20: backfill up to 15, live up to 18, alerts all."""
    fill(outbox, 100)
    lanes.begin()
    assert sent(lanes) == [("backfill", n) for n in range(1, 16)]
    fill(outbox, 10, first=101)
    lanes.note_commits(0.0)
    assert sent(lanes) == [("live", 101), ("live", 102), ("live", 103)]
    fill(outbox, 10, first=201, alert=True)
    assert sent(lanes) == [("alert", 201), ("alert", 202)]
    assert sent(lanes) == []
    assert len(lanes.in_flight) == 20


def test_live_goes_before_the_backlog_in_every_round(lanes, outbox):
    fill(outbox, 1000)
    lanes.begin()
    for n in range(50):
        fill(outbox, 1, first=1001 + n)
        lanes.note_commits(float(n))
        assert ("live", 1001 + n) in sent(lanes, float(n))
        done = lanes.acked(Ack(spans=tuple(_span(f) for f in lanes.in_flight.values())), float(n))
        outbox.delete(done)


def _span(flight):
    block = flight.outgoing.block
    return Span(stream_id=block.stream_id, first=block.first, last=block.last)


def test_most_bounds_the_new_ones(lanes, outbox):
    fill(outbox, 5)
    fill(outbox, 1, first=6, alert=True)
    lanes.begin()
    assert sent(lanes, most=1) == [("alert", 6)]
    assert sent(lanes, most=0) == []
    assert sent(lanes, most=2) == [("backfill", 1), ("backfill", 2)]
    assert sent(lanes) == [("backfill", 3), ("backfill", 4), ("backfill", 5)]


def test_resent_after_a_doubling_time_up_to_the_longest(lanes, outbox):
    """While the cloud acks other blocks."""
    lanes.begin()
    fill(outbox, 1)
    lanes.note_commits(0.0)
    assert sent(lanes, 0.0) == [("live", 1)]
    times = []
    for n in range(2, 402):
        fill(outbox, 1, first=n)
        if ("live", 1) in sent(lanes, float(n - 2)):
            times.append(n - 2)
        outbox.delete(lanes.acked(ack(n, n), float(n - 2)))
    assert times == [10, 30, 70, 130, 190, 250, 310, 370]


def test_a_silent_cloud_is_asked_with_one_block_at_a_time(lanes, outbox):
    """The broker's answers do not matter: they are the same if another client subscribes to all."""
    fill(outbox, 15)
    lanes.begin()
    assert len(sent(lanes, 0.0)) == 15
    asked = {now_s: sent(lanes, float(now_s)) for now_s in range(1, 101)}
    assert [now_s for now_s in asked if asked[now_s]] == list(range(10, 101, 10))
    assert sum(map(len, asked.values())) == 10
    assert len({one for blocks in asked.values() for one in blocks}) == 10  # each another block


def test_a_cloud_that_comes_back_gets_all_that_is_overdue_with_its_first_ack(lanes, outbox):
    fill(outbox, 15)
    lanes.begin()
    sent(lanes, 0.0)
    for now_s in range(1, 3600):
        probes = sent(lanes, float(now_s))
    now_s, probes = 3600.0, []
    while not probes:  # within ack_timeout_s
        now_s += 1.0
        probes = sent(lanes, now_s)
    assert now_s <= 3610.0
    ((_, first),) = probes
    outbox.delete(lanes.acked(ack(first, first), now_s))
    assert len(sent(lanes, now_s + 10.0)) == 14


def test_the_times_are_jittered(outbox):
    fill(outbox, 15)
    lanes = Lanes(outbox, window=20, ack_timeout_s=10.0, longest_s=60.0)
    lanes.begin()
    sent(lanes)
    waits = {f.again_s for f in lanes.in_flight.values()}
    assert len(waits) > 10
    assert all(8 <= wait <= 12 for wait in waits)


@pytest.mark.parametrize(
    ("spans", "covered"),
    [
        ([(10, 19)], True),
        ([(1, 30)], True),
        ([(10, 18)], False),
        ([(11, 19)], False),
        ([(10, 14), (15, 19)], True),
        ([(15, 25), (5, 14)], True),
        ([(10, 13), (15, 19)], False),
        ([(10, 15), (12, 19)], True),
        ([], False),
    ],
)
def test_a_block_is_done_when_it_is_covered_whole(lanes, outbox, put, spans, covered):
    row_id = put(outbox, 10, 19)
    lanes.begin()
    sent(lanes)
    mine = tuple(Span(stream_id=STREAM, first=a, last=b) for a, b in spans)
    foreign = Span(stream_id="zzzzzzzzzzzzz", first=1, last=99)
    assert lanes.acked(Ack(spans=(*mine, foreign)), 0.0) == ([row_id] if covered else [])
    assert (row_id in lanes.in_flight) is not covered


def test_an_unreadable_block_is_acked_by_its_digest(lanes, outbox, put):
    row_id = put(outbox, 1, 8, payload=b"what nobody can read")
    lanes.begin()
    sent(lanes)
    assert lanes.acked(Ack(digests=("0" * 16,)), 0.0) == []
    digests = (payload_digest(b"what nobody can read"),)
    assert lanes.acked(Ack(digests=digests), 0.0) == [row_id]


def test_what_was_not_handed_over_is_not_acked(lanes, outbox):
    """An ack for another copy of this outbox must not delete what this one never sent."""
    fill(outbox, 30)
    lanes.begin()
    sent(lanes)
    assert len(lanes.acked(ack(1, 30), 0.0)) == 15


def test_forgotten_flights_wait_again_in_order(lanes, outbox):
    fill(outbox, 3)
    lanes.begin()
    first = sent(lanes)
    assert sent(lanes) == []
    lanes.forget_flights()
    assert sent(lanes) == first


def test_a_damaged_block_holds_nobody_up(lanes, outbox, outbox_path, put, damage):
    for n in range(1, 41):
        row_id = put(outbox, n, n)
        if n <= 30:
            damage(outbox_path, row_id)
    lanes.begin()
    numbers = [n for _ in range(5) for _, n in sent(lanes)]
    assert numbers == list(range(31, 41))
    assert len(outbox.damaged()) == 30


def test_empty_when_all_is_acked_and_deleted(lanes, outbox):
    fill(outbox, 2)
    lanes.begin()
    sent(lanes)
    assert not lanes.empty()
    outbox.delete(lanes.acked(ack(1, 2), 0.0))
    assert lanes.empty()
    assert not lanes.backlog()


def test_a_round_with_a_long_backlog_reads_a_handful_of_rows(lanes, outbox):
    """Counted by SQLite itself, in steps of its machine: a scan would take some 100,000."""
    for batch in range(10):
        fill(outbox, 2000, first=1 + 2000 * batch)
    lanes.begin()
    sent(lanes)
    steps = []
    outbox._db.set_progress_handler(lambda: steps.append(1), 10)
    for n in range(20):
        lanes.note_commits(float(n) / 10)
        outbox.delete(lanes.acked(ack(n + 1, n + 1), 0.0))
        assert len(lanes.next(float(n) / 10, 20)) == 1
        lanes.backlog()
        lanes.empty()
    assert len(steps) * 10 / 20 < 200


DOINGS = st.lists(
    st.sampled_from(("commit", "alert", "next", "ack", "drop", "lose", "later")), max_size=60
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(doings=DOINGS, seed=st.integers(0, 2**32))
def test_everything_arrives_and_the_window_is_kept(doings, seed, tmp_path_factory):
    outbox = Outbox(tmp_path_factory.mktemp("law") / "o.db", durable=False)
    lanes = Lanes(outbox, 5, 10.0, 60.0, source=random.Random(seed))
    chance, arrived, last, now_s = random.Random(seed), set(), 0, 0.0
    lanes.begin()
    fly = [[]]

    def send():
        lanes.note_commits(now_s)
        fly[0] += [o.block.first for o in lanes.next(now_s, 5)]
        assert len(lanes.in_flight) <= 5

    for doing in [*doings, *["next", "ack", "later"] * 80]:
        if doing in ("commit", "alert"):
            last += 1
            fill(outbox, 1, first=last, alert=doing == "alert")
        elif doing == "next":
            send()
        elif doing == "ack":
            for number in chance.sample(fly[0], len(fly[0])):
                arrived.add(number)
                outbox.delete(lanes.acked(ack(number, number), now_s))
            fly[0] = []
        elif doing == "drop":
            fly[0] = []
        elif doing == "lose":
            fly[0] = []
            lanes.forget_flights()
        else:
            now_s += 30.0
    assert arrived == set(range(1, last + 1))
    assert lanes.empty()
    outbox.close()
