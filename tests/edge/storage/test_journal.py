"""The journal: numbers without a hole, whatever the disk says."""

import json
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.blocks import TimedEvent, entries
from contract.keys import alert_id
from contract.limits import NEW
from contract.records import Alert, AlertBasis, AlertState, Status
from contract.wire import decode, encode
from edge.errors import OutboxFull
from edge.storage.journal import Journal, Tail, trace_line
from edge.storage.outbox import Outbox

STREAM = "abcdefghij234"
TAIL = Tail(offset_ms=60_000, utc_at=777_000, tail_ms=1000)


def alert(offset_ms):
    event = Alert(
        alert_id=alert_id("damp", STREAM, offset_ms),
        condition_id="damp",
        state=AlertState.RAISED,
        basis=AlertBasis.OBSERVED,
    )
    return TimedEvent(offset_ms, event)


@pytest.fixture
def committed():
    return []


@pytest.fixture
def journal(outbox, committed):
    return Journal(outbox, STREAM, lambda c: committed.extend(c.blocks))


def test_nothing_open_nothing_committed(journal, committed, outbox):
    assert not journal.commit(TAIL, memory=[("alerts", "x")])
    assert (committed, outbox.stream_end(), outbox.recall("alerts")) == ([], None, None)


def test_numbers_and_end_of_the_stream(journal, outbox, outbox_path, measured, status, blocks_in):
    journal.add_reading(measured(0), 5000)
    journal.add_event(status(10), 5010)
    assert (journal.open_records, journal.uncommitted_records, journal.last) == (3, 3, 0)
    assert journal.opened == (0, 5000)
    assert journal.commit(TAIL, memory=[("alerts", "x")])
    assert (journal.open_records, journal.uncommitted_records, journal.last) == (0, 0, 3)
    journal.add_reading(measured(100), None)
    journal.commit(Tail(200, None, 1000, clean=True))
    assert [(b.first, b.last, b.utc_at) for b in blocks_in(outbox_path)] == [
        (1, 3, 5000),
        (4, 5, None),
    ]
    end = outbox.stream_end()
    assert (end.stream_id, end.last, end.committed_at, end.clean) == (STREAM, 5, None, True)
    assert outbox.recall("alerts") == "x"


def test_an_alert_is_a_block_of_its_own_behind_the_open_one_in_one_commit(
    journal, committed, outbox, measured
):
    journal.add_reading(measured(0), 5000)
    journal.commit(TAIL, urgent=[alert(30), alert(20)])
    first, second = committed
    assert [e.seq for b in committed for e in entries(b)] == [1, 2, 3, 4]
    assert (first.events, second.sensors) == ((), ())
    assert [e.offset_ms for e in entries(second)] == [30, 20]
    assert [e.observed_at for e in entries(second)] == [777_000 - 59_970, 777_000 - 59_980]
    assert [(b.first, b.last) for b in outbox.alerts(0, 9)] == [(3, 4)]
    assert [(b.first, b.last) for b in outbox.ordinary(0, 99, 9)] == [(1, 2)]


def test_a_refused_commit_loses_nothing_and_the_next_takes_it_along(
    journal, committed, outbox, measured, disk
):
    journal.add_reading(measured(0), None)
    disk.refuse()
    with pytest.raises(OutboxFull):
        journal.commit(TAIL, urgent=[alert(1)], memory=[("alerts", "never")])
    assert (journal.open_records, journal.uncommitted_records, journal.last) == (0, 3, 0)
    journal.add_reading(measured(50), None)
    assert journal.uncommitted_records == 5
    with pytest.raises(OutboxFull):
        journal.commit(TAIL)
    disk.take()
    assert committed == []
    assert outbox.recall("alerts") is None
    assert journal.commit(TAIL, memory=[("alerts", "now")])
    assert [(b.first, b.last) for b in committed] == [(1, 2), (3, 3), (4, 5)]
    assert (outbox.stream_end().last, outbox.recall("alerts")) == (5, "now")
    assert not journal.commit(TAIL)


def test_what_a_loss_declares_is_forgotten_in_the_same_commit(journal, outbox, put, status):
    row_id = put(outbox, 1, 8, stream="zzzzzzzzzzzzz")
    journal.add_event(status(0), None)
    journal.commit(TAIL, forget=[row_id])
    assert [b.stream_id for b in outbox.ordinary(0, 99, 9)] == [STREAM]


def test_an_observer_that_fails_does_not_cost_a_number(outbox, measured):
    def fail(_committed):
        raise RuntimeError("observer")

    journal = Journal(outbox, STREAM, fail)
    journal.add_reading(measured(0), None)
    with pytest.raises(RuntimeError, match="observer"):
        journal.commit(TAIL)
    assert (journal.last, journal.uncommitted_records) == (2, 0)


def test_a_trace_line_says_numbers_and_kinds(journal, committed, measured):
    journal.add_reading(measured(0), None)
    journal.add_reading(measured(1), None)
    journal.add_event(TimedEvent(2, Status(phase="running", version="0")), None)
    journal.commit(TAIL, urgent=[alert(3)])
    lines = [trace_line(block) for block in committed]
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)
    assert [json.loads(line) for line in lines] == [
        {"stream": STREAM, "first": 1, "last": 5, "kinds": {"reading": 4, "status": 1}},
        {"stream": STREAM, "first": 6, "last": 6, "kinds": {"alert": 1}},
    ]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(("read", "event", "commit", "urgent", "refused")), max_size=25))
def test_numbers_have_no_hole_and_no_double(tmp_path_factory, measured, status, disk, doings):
    logging.disable()
    outbox, blocks = Outbox(tmp_path_factory.mktemp("law") / "o.db", durable=False), []
    journal, added = Journal(outbox, STREAM, lambda c: blocks.extend(c.blocks)), 0
    for offset_ms, doing in enumerate([*doings, "commit"]):
        if doing == "read":
            journal.add_reading(measured(offset_ms), None)
            added += 2
        elif doing == "event":
            journal.add_event(status(offset_ms), None)
            added += 1
        elif doing == "refused" and journal.uncommitted_records:
            disk.refuse()
            with pytest.raises(OutboxFull):
                journal.commit(TAIL)
            disk.take()
        elif doing == "urgent":
            journal.commit(TAIL, urgent=[alert(offset_ms)])
            added += 1
        elif doing == "commit":
            journal.commit(TAIL)
    assert [e.seq for b in blocks for e in entries(b)] == list(range(1, added + 1))
    assert journal.last == added
    assert [(s.first, s.last) for s in outbox.spans(9)] == ([(1, added)] if added else [])
    outbox.close()
    logging.disable(logging.NOTSET)


def test_a_block_beyond_the_limits_of_the_contract_is_never_made(journal, committed, measured):
    """300 sensors before one commit, then 2,500 alerts at once: several blocks, no number lost."""
    for n in range(300):
        journal.add_reading(measured(n, sensor_id=f"s{n}"), None)
    for n in range(NEW.events + 10):
        journal.add_event(alert(n), None)
    journal.commit(TAIL, urgent=[alert(n) for n in range(2_500)])
    assert [b.records_total for b in committed] == [512, 88 + 1024, 10, 1024, 1024, 452]
    assert all(decode(encode(block)) == block for block in committed)
    numbers = [n for b in committed for n in range(b.first, b.last + 1)]
    assert numbers == list(range(1, journal.last + 1))
