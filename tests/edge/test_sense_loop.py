"""The sense loop on a wound clock: what it commits, when, and what it says of what it cannot."""

import logging
from itertools import pairwise

import pytest

from contract.blocks import ClockState, entries
from contract.quantities import Flag, Quantity
from contract.records import (
    Alert,
    AlertState,
    ClockFix,
    Held,
    Loss,
    LossReason,
    Phase,
    Reading,
    Span,
    Status,
)
from contract.signals import Signal
from edge.forecasting.window import Window
from edge.sense_loop import MAX_UNCOMMITTED_RECORDS
from firmware_bridge.errors import SensorUnavailable
from models.conditions import load_conditions

DAY_S = 86_400.0
NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z, where the wound clock begins
AIR = {Quantity.TEMPERATURE: 20.0, Quantity.HUMIDITY: 50.0}
DAMP_AIR = {Quantity.TEMPERATURE: 20.0, Quantity.HUMIDITY: 75.0}
DAMP = load_conditions(
    [
        {
            "id": "damp",
            "signal": "attic/humidity",
            "comparison": "above",
            "limit": 70.0,
            "step_s": 60,
            "max_age_s": 120,
        }
    ],
    "x",
)


def kinds(blocks):
    return [[type(e.record).__name__ for e in entries(b)] for b in blocks]


# --- a day ---------------------------------------------------------------------------------------


def test_a_day(sense, wound_clock, dial, lamp, outbox_path, records_in):
    """One sensor each minute, damp from 06:00 to 18:00: everything counted and timed."""
    attic = dial(AIR)
    clock = wound_clock(end_s=DAY_S)
    clock.at = {
        6 * 3600.0: lambda: setattr(attic, "now", DAMP_AIR),
        18 * 3600.0: lambda: setattr(attic, "now", AIR),
    }
    desk = sense(clock, {"attic": attic}, conditions=DAMP, outputs=[lamp], status_s=3600.0)
    desk.loop.run()
    readings = records_in(outbox_path, Reading)
    assert len(readings) == 2 * (24 * 60 + 1)
    times = sorted({e.observed_at for e in readings})
    assert times == [NEW_YEAR + minute * 60_000 for minute in range(24 * 60 + 1)]
    alerts = [(e.observed_at - NEW_YEAR, e.record.state) for e in records_in(outbox_path, Alert)]
    assert alerts == [
        (6 * 3_600_000, AlertState.RAISED),
        (18 * 3_600_000, AlertState.CLEARED),
    ]
    assert lamp.told == [
        ("resume", False),
        ("damp", "raised", True),
        ("damp", "cleared", False),
        "close",
    ]
    phases = [e.record.phase for e in records_in(outbox_path, Status)]
    assert phases == [Phase.START, *[Phase.RUNNING] * 24, Phase.STOP]
    blocks = desk.committed
    assert [e.seq for b in blocks for e in entries(b)] == list(range(1, blocks[-1].last + 1))
    assert len(records_in(outbox_path)) == blocks[-1].last
    assert desk.outbox.stream_end().clean
    assert attic.closed_total == 1


def test_blocks_close_by_time(sense, wound_clock, dial):
    desk = sense(wound_clock(end_s=3600.0), {"attic": dial(AIR)}, rhythm_s=600.0)
    desk.loop.run()
    with_readings = [b for b in desk.committed if b.sensors]
    # a block opens with its first reading; 600 s later it is closed, before that instant's reading
    assert [len(b.sensors[0].offsets_ms) for b in with_readings] == [10] * 6 + [1]
    assert [b.offset_ms // 60_000 for b in with_readings] == [0, 10, 20, 30, 40, 50, 60]


def test_a_rhythm_of_one_interval_gives_one_tick_a_block(sense, wound_clock, dial):
    """A chip takes its time, so a block opens a little after its tick: still one tick a block."""
    clock = wound_clock(end_s=10.0)

    class SlowDial:
        def read(self):
            clock.sleep_s(0.004)
            return dial(AIR).read()

        def close(self):
            pass

    dials = {"attic": SlowDial(), "hall": SlowDial()}
    desk = sense(clock, dials, interval_s=1.0, rhythm_s=1.0)
    desk.loop.run()
    sizes = [b.records_total for b in desk.committed if b.sensors]
    assert len(sizes) >= 9
    assert set(sizes[:-1]) == {4}


def test_blocks_close_by_count_and_never_hold_more(sense, wound_clock, dial):
    desk = sense(
        wound_clock(end_s=3600.0), {"attic": dial(AIR), "roof": dial(AIR)}, rhythm_s=1e6, records=9
    )
    desk.loop.run()
    totals = [b.records_total for b in desk.committed if b.sensors]
    assert sum(totals) - 1 == 61 * 4  # the Status of the stop shares the last one
    assert set(totals[:-1]) == {8}


def test_an_alert_does_not_wait_for_the_rhythm(sense, wound_clock, dial, outbox_path):
    """Raised at the reading's instant, in a block of its own right behind that reading's."""
    attic = dial(AIR)
    clock = wound_clock(end_s=1000.0, at={300.0: lambda: setattr(attic, "now", DAMP_AIR)})
    desk = sense(clock, {"attic": attic}, conditions=DAMP, rhythm_s=1e6)
    desk.loop.run()
    assert kinds(desk.committed) == [
        ["Status"],
        ["Reading"] * 12,
        ["Alert"],
        ["Reading"] * 22 + ["Status"],
        ["Held"],
    ]
    assert desk.committed[2].first == desk.committed[1].last + 1
    (raised,) = entries(desk.committed[2])
    assert raised.offset_ms == 300_000
    del outbox_path


def test_outputs_are_told_before_the_disk_is_asked(sense, wound_clock, dial, lamp, disk):
    clock = wound_clock(end_s=60.0, at={30.0: disk.refuse})
    attic = dial(AIR)
    clock.at[59.0] = lambda: setattr(attic, "now", DAMP_AIR)
    desk = sense(clock, {"attic": attic}, conditions=DAMP, outputs=[lamp], rhythm_s=10.0)
    desk.loop.run()
    assert ("damp", "raised", True) in lamp.told
    assert not any("Alert" in names for names in kinds(desk.committed))


# --- starts and stops ----------------------------------------------------------------------------


def run_once(sense, clock, chip, **keys):
    desk = sense(clock, {"attic": chip}, **keys)
    desk.loop.run()
    return desk


def test_a_start_names_its_predecessor(sense, wound_clock, dial, outbox_path, records_in):
    first = run_once(sense, wound_clock(end_s=100.0), dial(AIR))
    last = first.committed[-1].last
    second = run_once(sense, wound_clock(end_s=100.0), dial(AIR))
    start = next(entries(second.committed[0])).record
    assert (start.phase, start.previous_stream_id, start.previous_last) == (
        Phase.START,
        first.committed[0].stream_id,
        last,
    )
    assert second.committed[0].first == 1
    assert records_in(outbox_path, Loss) == []  # both were stopped in order


class PowerCut(BaseException):
    pass


def cut():
    raise PowerCut


def test_what_was_not_committed_at_a_sudden_end_is_told_at_the_next_start(
    sense, wound_clock, dial, outbox_path, records_in
):
    clock = wound_clock(end_s=1e6, at={1700.0: cut})
    desk = sense(clock, {"attic": dial(AIR)}, rhythm_s=600.0, interval_s=60.0)
    with pytest.raises(PowerCut):
        desk.loop.run()
    assert desk.outbox.stream_end().committed_at == NEW_YEAR + 1_200_000  # 20 readings later
    last = desk.committed[-1].last
    run_once(sense, wound_clock(end_s=2000.0, now_s=1800.0), dial(AIR))
    (loss,) = [e.record for e in records_in(outbox_path, Loss)]
    assert (loss.reason, loss.lost) == (LossReason.UNCLEAN_STOP, None)
    assert (loss.from_at, loss.to_at) == (NEW_YEAR + 1_200_000, NEW_YEAR + 1_800_000)
    assert loss.estimated_total == 2 * 10  # 10 minutes of two readings
    starts = [e.record for e in records_in(outbox_path, Status) if e.record.phase is Phase.START]
    assert starts[1].previous_last == last
    # what really was lost lies inside: the readings of 20:00 to 28:00
    lost = set(range(1_200_000, 1_700_000, 60_000))
    stored = {e.offset_ms for e in records_in(outbox_path, Reading)}
    assert not lost & stored
    assert all(loss.from_at <= NEW_YEAR + at_ms <= loss.to_at for at_ms in lost)


def test_a_long_absence_does_not_count_as_lost(sense, wound_clock, dial, outbox_path, records_in):
    desk = sense(wound_clock(end_s=1e6, at={1700.0: cut}), {"attic": dial(AIR)}, rhythm_s=600.0)
    with pytest.raises(PowerCut):
        desk.loop.run()
    run_once(sense, wound_clock(end_s=9 * DAY_S, now_s=8 * DAY_S, at={}), dial(AIR))
    (loss,) = [e.record for e in records_in(outbox_path, Loss)]
    assert loss.to_at - loss.from_at == (600 + 60) * 1000


def test_an_alert_survives_a_sudden_end(sense, wound_clock, dial, lamp, outbox_path, records_in):
    attic = dial(DAMP_AIR)
    desk = sense(wound_clock(end_s=1e6, at={1700.0: cut}), {"attic": attic}, conditions=DAMP)
    with pytest.raises(PowerCut):
        desk.loop.run()
    clock = wound_clock(end_s=4000.0, now_s=1800.0, at={3000.0: lambda: setattr(attic, "now", AIR)})
    run_once(sense, clock, attic, conditions=DAMP, outputs=[lamp])
    alerts = [e.record for e in records_in(outbox_path, Alert)]
    assert [a.state for a in alerts] == [AlertState.RAISED, AlertState.CLEARED]
    assert alerts[0].alert_id == alerts[1].alert_id
    assert lamp.told[0] == ("resume", True)


def test_the_window_survives_a_restart(sense, wound_clock, dial):
    run_once(sense, wound_clock(end_s=7200.0), dial(AIR))
    desk = sense(wound_clock(end_s=8000.0, now_s=7260.0), {"attic": dial(AIR)})
    desk.loop.run()
    window = Window.recalled(desk.outbox.recall, exact=False)  # its last slot came with a block
    kept = window.samples(Signal.parse("attic/humidity"))
    assert len(kept) == 14  # a slot each 10 minutes of 2 h 13 min


def test_held_at_the_stop_says_what_the_outbox_holds(
    sense, wound_clock, dial, outbox_path, blocks_in
):
    desk = run_once(sense, wound_clock(end_s=3600.0), dial(AIR))
    *_, last = blocks_in(outbox_path)
    (entry,) = entries(last)
    stream_id = desk.committed[0].stream_id
    assert entry.record == Held(
        spans=(Span(stream_id=stream_id, first=1, last=last.first - 1),), truncated=False
    )


def test_held_when_a_backlog_has_been_worked_off(sense, wound_clock, dial, idle_queue):
    clock = wound_clock(end_s=3600.0, at={1800.0: lambda: setattr(idle_queue, "drained", True)})
    desk = run_once(sense, clock, dial(AIR))
    held = [e.offset_ms for b in desk.committed for e in entries(b) if isinstance(e.record, Held)]
    assert [at_ms // 60_000 for at_ms in held] == [30, 60]


def test_a_mark_finds_everything_committed(sense, wound_clock, dial):
    """As a virtual clock does before it waits."""
    clock = wound_clock(end_s=1e6, at={})
    desk = sense(clock, {"attic": dial(AIR)}, rhythm_s=1e6)
    seen = []

    def sleep_until(monotonic_s, before_wait, plain=clock.sleep_until):
        if monotonic_s > 1800.0:
            before_wait()
            seen.append((desk.loop._s.journal.uncommitted_records, desk.committed[-1].last))
            return False
        return plain(monotonic_s, before_wait)

    clock.sleep_until = sleep_until
    desk.loop.run()
    assert seen == [(0, 1 + 2 * 31)]


# --- clocks --------------------------------------------------------------------------------------


def test_utc_that_becomes_believable_is_told_first(sense, wound_clock, dial):
    clock = wound_clock(
        end_s=3600.0, calendar=lambda s: NEW_YEAR + round(s * 1000) if s >= 1000 else None
    )
    desk = run_once(sense, clock, dial(AIR), rhythm_s=300.0)
    states = [b.clock for b in desk.committed]
    turned = states.index(ClockState.SYNCED)
    assert turned > 2
    assert set(states[:turned]) == {ClockState.UNSYNCED}
    assert set(states[turned:]) == {ClockState.SYNCED}
    (fix,) = entries(desk.committed[turned])
    assert isinstance(fix.record, ClockFix)
    assert fix.record.utc_at == NEW_YEAR + fix.offset_ms
    observed = [e for b in desk.committed[turned:] for e in entries(b)]
    assert all(e.observed_at == NEW_YEAR + e.offset_ms for e in observed)
    # from here on readings fall on whole minutes of UTC again
    readings = [e.observed_at for e in observed if isinstance(e.record, Reading)]
    assert all((at - NEW_YEAR) % 60_000 == 0 for at in readings)


def test_conditions_are_judged_through_the_clock_fix(sense, wound_clock, dial):
    """Damp before UTC is known: raised once, and cleared under the same id afterwards."""
    attic = dial(DAMP_AIR)
    clock = wound_clock(
        end_s=3600.0,
        calendar=lambda s: NEW_YEAR + round(s * 1000) if s >= 1000 else None,
        at={2000.0: lambda: setattr(attic, "now", AIR)},
    )
    desk = run_once(sense, clock, attic, conditions=DAMP)
    alerts = [e for b in desk.committed for e in entries(b) if isinstance(e.record, Alert)]
    assert [(e.record.state, e.observed_at is None) for e in alerts] == [
        (AlertState.RAISED, True),
        (AlertState.CLEARED, False),
    ]
    assert alerts[0].record.alert_id == alerts[1].record.alert_id


@pytest.mark.parametrize("jump_ms", [7_200_000, -7_200_000, -(10**10)])
def test_a_jump_of_the_clock_begins_a_block_and_blinds_nothing(
    sense, wound_clock, dial, caplog, jump_ms
):
    attic = dial(AIR)
    clock = wound_clock(
        end_s=7200.0,
        calendar=lambda s: NEW_YEAR + round(s * 1000) + (jump_ms if s >= 1000 else 0),
        at={1200.0: lambda: setattr(attic, "now", DAMP_AIR)},
    )
    desk = run_once(sense, clock, attic, conditions=DAMP)
    for block in desk.committed:
        shift = jump_ms if block.offset_ms >= 1000 * 1000 else 0
        assert block.utc_at == NEW_YEAR + block.offset_ms + shift
        assert all((e.offset_ms >= 1_000_000) == bool(shift) for e in entries(block))
    raised = [e for b in desk.committed for e in entries(b) if isinstance(e.record, Alert)]
    assert [e.offset_ms // 60_000 for e in raised] == [20]
    assert not [e for b in desk.committed for e in entries(b) if isinstance(e.record, ClockFix)]
    assert f"the clock jumped by {jump_ms / 1000:.1f} s" in caplog.text


def test_a_slewed_clock_is_followed_between_blocks(sense, wound_clock, dial, caplog):
    """100 ppm slow for a day: 8.6 s in all, and no jump."""
    clock = wound_clock(end_s=DAY_S, calendar=lambda s: NEW_YEAR + round(s * 999.9))
    desk = run_once(sense, clock, dial(AIR))
    assert "jumped" not in caplog.text
    found = [e for b in desk.committed for e in entries(b)]
    times = sorted({e.offset_ms for e in found if isinstance(e.record, Reading)})
    gaps = [b - a for a, b in pairwise(times)]
    assert 59_000 < min(gaps) < max(gaps) < 61_000  # none doubled, none left out
    for entry in found:
        assert abs(entry.observed_at - (NEW_YEAR + entry.offset_ms * 0.9999)) < 100


def test_utc_that_is_lost_again(sense, wound_clock, dial, caplog):
    attic = dial(AIR)
    clock = wound_clock(
        end_s=7200.0,
        calendar=lambda s: None if 1000 <= s < 3000 else NEW_YEAR + round(s * 1000),
        at={2000.0: lambda: setattr(attic, "now", DAMP_AIR)},
    )
    desk = run_once(sense, clock, attic, conditions=DAMP)
    states = [b.clock.value for b in desk.committed]
    changes = [a for a, b in zip(states, [*states[1:], None], strict=True) if a != b]
    assert changes == ["synced", "unsynced", "synced"]
    found = [e for b in desk.committed for e in entries(b)]
    assert len([e for e in found if isinstance(e.record, ClockFix)]) == 1
    assert [e.offset_ms // 60_000 for e in found if isinstance(e.record, Alert)] == [34]
    assert "the clock is before [clock] floor" in caplog.text


# --- a disk that refuses -------------------------------------------------------------------------


def test_a_disk_that_refuses_costs_nothing_once_it_takes_again(
    sense, wound_clock, dial, disk, caplog
):
    caplog.set_level(logging.INFO)
    clock = wound_clock(end_s=7200.0, at={1000.0: disk.refuse, 3000.0: disk.take})
    desk = run_once(sense, clock, dial(AIR), rhythm_s=120.0)
    found = [e for b in desk.committed for e in entries(b)]
    assert [e.seq for e in found] == list(range(1, len(found) + 1))
    offsets = {e.offset_ms for e in found if isinstance(e.record, Reading)}
    assert offsets == {minute * 60_000 for minute in range(121)}
    said = [r.getMessage() for r in caplog.records]
    assert len([s for s in said if s.startswith("the outbox cannot be written")]) == 1
    assert len([s for s in said if s == "the outbox can be written again"]) == 1
    assert not any(isinstance(e.record, Loss) for e in found)


def test_alerts_of_a_time_without_a_disk_arrive_once(sense, wound_clock, dial, disk, lamp):
    attic = dial(AIR)
    clock = wound_clock(end_s=7200.0)
    clock.at = {
        1000.0: disk.refuse,
        1500.0: lambda: setattr(attic, "now", DAMP_AIR),
        2000.0: lambda: setattr(attic, "now", AIR),
        3000.0: disk.take,
    }
    desk = run_once(sense, clock, attic, conditions=DAMP, outputs=[lamp])
    alerts = [e for b in desk.committed for e in entries(b) if isinstance(e.record, Alert)]
    assert [(e.record.state, e.offset_ms // 60_000) for e in alerts] == [
        (AlertState.RAISED, 25),
        (AlertState.CLEARED, 34),
    ]


def test_a_refused_commit_is_tried_again_soon_not_at_the_next_rhythm(
    sense, wound_clock, dial, disk
):
    clock = wound_clock(end_s=DAY_S, at={599.0: disk.refuse, 620.0: disk.take})
    desk = sense(clock, {"attic": dial(AIR)}, rhythm_s=600.0, interval_s=3600.0)
    taken_at = []
    desk.loop._s.journal._on_commit = lambda _: taken_at.append(clock.now_s)
    desk.loop.run()
    assert 620 <= taken_at[1] <= 625


def test_what_finds_no_room_in_memory_is_counted_told_and_still_judged(
    sense, wound_clock, dial, disk, caplog
):
    attic = dial(AIR)
    full_s = MAX_UNCOMMITTED_RECORDS / 20  # 2 readings 10 times a second
    clock = wound_clock(end_s=full_s + 300.0)
    clock.at = {
        100.0: disk.refuse,
        full_s + 150.0: lambda: setattr(attic, "now", DAMP_AIR),
        full_s + 250.0: disk.take,
    }
    desk = run_once(sense, clock, attic, conditions=DAMP, rhythm_s=600.0, interval_s=0.1)
    found = [e for b in desk.committed for e in entries(b)]
    (loss,) = [e for e in found if isinstance(e.record, Loss)]
    stored = [e.offset_ms for e in found if isinstance(e.record, Reading)]
    assert loss.record.reason is LossReason.BUDGET
    assert loss.record.estimated_total == 20 * (full_s + 300) + 2 - len(stored) > 1000
    between = range(loss.record.from_at - NEW_YEAR, loss.record.to_at - NEW_YEAR + 1)
    assert not [at for at in stored if at in between]
    assert round(len(between) / 100) + 1 == loss.record.estimated_total // 2
    assert "new readings are lost" in caplog.text
    alerts = [e for e in found if isinstance(e.record, Alert)]
    assert [e.record.state for e in alerts] == [AlertState.RAISED]
    assert abs(alerts[0].offset_ms / 1000 - (full_s + 150)) <= 60
    assert max(b.records_total for b in desk.committed) <= 1000


# --- damaged blocks, failing sensors -------------------------------------------------------------


def test_an_unreadable_block_is_declared_lost_and_forgotten(
    sense, wound_clock, dial, idle_queue, outbox, put
):
    put(outbox, 5, 12, stream="zzzzzzzzzzzzz")
    idle_queue.damaged = outbox.ordinary(0, 99, 9)  # so the send loop says
    desk = run_once(sense, wound_clock(end_s=1000.0), dial(AIR))
    found = [e.record for b in desk.committed for e in entries(b)]
    (loss,) = [r for r in found if isinstance(r, Loss) and r.lost]
    assert (loss.reason, loss.lost) == (
        LossReason.CORRUPT,
        Span(stream_id="zzzzzzzzzzzzz", first=5, last=12),
    )
    assert "zzzzzzzzzzzzz" not in [s.stream_id for s in outbox.spans(99)]


def test_a_failing_sensor_gives_null_readings_with_a_reason(sense, wound_clock, dial):
    dead = dial(SensorUnavailable("no answer", flag=Flag.NO_ANSWER))
    desk = run_once(sense, wound_clock(end_s=600.0), dead, conditions=DAMP)
    readings = [
        e.record for b in desk.committed for e in entries(b) if isinstance(e.record, Reading)
    ]
    assert len(readings) == 22
    assert {(r.value, r.flags) for r in readings} == {(None, (Flag.NO_ANSWER,))}
    stop = [e.record for b in desk.committed for e in entries(b) if isinstance(e.record, Status)][
        -1
    ]
    assert (stop.samples_total, stop.sample_failures_total) == (22, 22)
