"""The ledger on a real server: what is written and read again is what was computed in memory."""

import json
import random
from dataclasses import replace

import pytest
from sqlalchemy import func, insert, select

from cloud.errors import WarehouseError
from cloud.ledger.queries import LedgerReader
from cloud.ledger.report import summary
from cloud.ledger.spans import Run
from cloud.projections.ledger import LedgerProjection
from cloud.warehouse.ledger_tables import DELIVERIES, HELD, LOSSES, STARTS
from contract.records import Loss, LossReason

pytestmark = pytest.mark.services

EARLIEST_YEAR, LATEST_YEAR = -62_135_596_800_000, 253_402_300_799_999  # the contract's ends
NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z, where the gateway fixture begins


@pytest.fixture
def ledger(warehouse):
    return LedgerProjection(warehouse)


def accounts(warehouse, as_of=None):
    return list(LedgerReader(warehouse, as_of=as_of).accounts())


def a_history(gateway):
    shared = gateway.readings("a", 2, 81)
    stop = Loss(reason=LossReason.UNCLEAN_STOP, from_at=1000, to_at=5000, estimated_total=4)
    return [
        gateway.file(gateway.start("a"), shared),
        gateway.file(gateway.held("a", 90, ("a", 82, 89), truncated=True)),
        gateway.file(shared, gateway.start("b", "a", 100), node="node-2"),
        gateway.file(gateway.start("c", "a", 60), gateway.events("c", 2, stop)),
        gateway.file(gateway.lost("b", 2, "a", 91, 95), gateway.readings("a", 85, 86)),
        gateway.file(gateway.readings("a", 2, 40, value=1)),
        gateway.file(gateway.held("b", 3, ("a", 82, 84), ("b", 2, 2))),
        gateway.file(gateway.held("b", 4, ("a", 82, 83))),
    ]


def test_the_account_from_the_tables_is_the_account_from_the_facts(
    warehouse, ledger, gateway, account_of
):
    files = a_history(gateway)
    ledger.apply(files)
    assert accounts(warehouse) == [account_of(files)]


def test_files_applied_in_any_order_again_and_in_pieces_change_nothing(
    warehouse, ledger, gateway, account_of
):
    seed = random.randrange(10**6)
    print("seed", seed)
    files = a_history(gateway)
    shuffled = random.Random(seed).sample(files * 2, 16)
    for i in range(0, 16, 3):
        ledger.apply(shuffled[i : i + 3])
    assert accounts(warehouse) == [account_of(files)]


def test_as_of_knows_only_what_had_been_received(warehouse, ledger, gateway, account_of):
    files = a_history(gateway)
    ledger.apply(files)
    for known in range(1, len(files) + 1):
        as_of = files[known - 1].blocks[0].received_at
        assert accounts(warehouse, as_of) == [account_of(files[:known])]
    assert accounts(warehouse, files[0].blocks[0].received_at - 1) == []


def test_a_fact_that_came_twice_was_known_from_its_first_delivery(warehouse, ledger, gateway):
    held = gateway.held("a", 9, ("a", 2, 8))
    first, again = gateway.file(gateway.start("a"), held), gateway.file(held)
    received_at = first.blocks[0].received_at
    for file in (again, first, again):
        ledger.apply([file])
        as_known = accounts(warehouse)
    assert as_known[0].held_told_at == received_at
    assert accounts(warehouse, received_at)[0].streams[0].held == (Run(2, 8),)


def test_as_of_counts_the_held_that_was_the_newest_then(warehouse, ledger, gateway):
    first = gateway.file(gateway.start("a"), gateway.held("a", 9, ("a", 2, 8)))
    ledger.apply([first, gateway.file(gateway.held("a", 10, ("a", 2, 3)))])
    assert accounts(warehouse)[0].streams[0].held == (Run(2, 3),)
    as_of = first.blocks[0].received_at
    assert accounts(warehouse, as_of)[0].streams[0].held == (Run(2, 8),)


def test_each_device_has_its_own_account(warehouse, ledger, new_gateway):
    files = []
    for device in ("ewr-01", "jfk-01", "lga-01"):
        gateway = new_gateway(device)
        files.append(gateway.file(gateway.start("a"), gateway.lost("a", 9, "a", 2, 8)))
    ledger.apply(files)
    found = accounts(warehouse)
    assert [d.device_id for d in found] == ["ewr-01", "jfk-01", "lga-01"]
    assert {d.streams[0].lost for d in found} == {(Run(2, 8),)}


def test_undecodable_blocks_are_passed_over_and_the_rest_is_written(warehouse, ledger, gateway):
    ledger.apply([gateway.file(gateway.start("a"), payloads=(b"", b"\x01garbage"))])
    (device,) = accounts(warehouse)
    assert device.streams[0].stored == (Run(1, 1),)


@pytest.mark.parametrize("utc_at", [EARLIEST_YEAR, LATEST_YEAR - 5000])
def test_a_record_with_an_implausible_time_is_stored_without_its_time(
    warehouse, ledger, gateway, utc_at
):
    stop = Loss(reason=LossReason.UNCLEAN_STOP, from_at=EARLIEST_YEAR, to_at=LATEST_YEAR)
    wrong = replace(gateway.readings("a", 2, 5), utc_at=utc_at)
    ledger.apply([gateway.file(gateway.events("a", 1, stop), wrong)])
    (device,) = accounts(warehouse)
    found = device.unclean_stops[0]
    assert (found.from_at, found.to_at) == (None, None)
    (stream,) = device.streams
    assert (stream.stored, stream.unexplained) == ((Run(1, 5),), ())
    assert (stream.tally.first_at, stream.tally.last_at) == (None, None)


def test_the_times_of_a_block_are_those_of_its_plausible_records(warehouse, ledger, gateway):
    made = gateway.readings("a", 1, 4)
    sensor = replace(made.sensors[0], offsets_ms=(1000, 2000, 3000, 10**12))
    ledger.apply([gateway.file(replace(made, sensors=(sensor,)))])
    (stream,) = accounts(warehouse)[0].streams
    assert (stream.tally.first_at, stream.tally.last_at) == (NEW_YEAR + 1000, NEW_YEAR + 3000)


def claims(gateway):
    """Records that make a stream end near 2^53, each in its own block."""
    last = 2**53 - 1
    return (
        gateway.start("p", "q", last),
        gateway.lost("p", 2, "q", 1, last),
        gateway.held("p", 3, ("q", last, last)),
        gateway.readings("p", last - 20, last - 10),
    )


def test_numbers_near_2_to_the_53_are_no_gap_of_the_fleet(warehouse, ledger, gateway, new_gateway):
    bad = new_gateway("bad-01")
    held = bad.held("p", 2, ("p", 3, 9))
    ledger.apply([bad.file(held, *claims(bad)), gateway.file(gateway.start("a"))])
    accounted = accounts(warehouse)
    totals = summary(accounted).totals
    assert totals.unexplained == 0
    (stream,) = accounted[0].streams
    assert (stream.stored, stream.held) == ((Run(1, 3),), (Run(4, 9),)), "the honest Held counts"


def test_facts_that_an_older_program_stored_are_left_out(warehouse, ledger, gateway):
    ledger.apply([gateway.file(gateway.start("a"), gateway.held("a", 2, ("a", 3, 4)))])
    known, last = accounts(warehouse), 2**53 - 1
    event = {"device_id": "ewr-01", "stream_id": "a" * 13, "digest": "0" * 16}
    event["received_at"] = NEW_YEAR + 5000
    spans = json.dumps([["a" * 13, last, last]])
    with warehouse.begin() as connection:
        before = {"previous_stream_id": "a" * 13, "previous_last": last}
        connection.execute(insert(STARTS), [event | {"stream_id": "b" * 13, "seq": 1} | before])
        lost = {"lost_stream_id": "a" * 13, "lost_first": 1, "lost_last": last}
        connection.execute(insert(LOSSES), [event | {"seq": 7, "reason": "budget"} | lost])
        held = {"truncated": False, "spans": spans}
        connection.execute(insert(HELD), [event | {"seq": last - 3} | held])
        row = connection.execute(select(DELIVERIES)).mappings().first()
        late = {"first_seq": last - 9, "last_seq": last, "received_at": NEW_YEAR + 5000}
        connection.execute(insert(DELIVERIES), [dict(row) | late])
    assert accounts(warehouse) == known
    recent = LedgerReader(warehouse, since=NEW_YEAR).accounts()
    assert [s.unexplained_total for d in recent for s in d.streams] == [0]


def test_ten_thousand_blocks_are_read_through_a_streaming_cursor(warehouse, ledger, gateway):
    blocks = [gateway.readings("a", 1 + 2 * i, 2 + 2 * i) for i in range(10_000)]
    files = [gateway.file(*blocks[i : i + 500]) for i in range(0, 10_000, 500)]
    for file in files:
        ledger.apply([file])
    (device,) = accounts(warehouse)
    assert device.streams[0].stored == (Run(1, 20_000),)
    assert sum(1 for _ in LedgerReader(warehouse).block_lines()) == 10_000


def test_nothing_of_a_batch_stays_when_one_row_is_refused(warehouse, ledger, gateway):
    good = gateway.file(gateway.held("a", 1, ("a", 2, 9)))
    too_long = gateway.file(gateway.start("b"), node="n" * 64)
    with pytest.raises(WarehouseError, match="too long"):
        ledger.apply([good, too_long])
    with warehouse.connect() as connection:
        for table in (DELIVERIES, HELD):
            assert connection.scalar(select(func.count()).select_from(table)) == 0
