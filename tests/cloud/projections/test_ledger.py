"""The ledger on a real server: what is written and read again is what was computed in memory."""

import random

import pytest
from sqlalchemy import func, select

from cloud.errors import WarehouseError
from cloud.ledger.queries import LedgerReader
from cloud.ledger.spans import Run
from cloud.projections.ledger import LedgerProjection
from cloud.warehouse.ledger_tables import DELIVERIES, HELD
from contract.records import Loss, LossReason

pytestmark = pytest.mark.services

EARLIEST_YEAR = -62_135_596_800_000  # the contract's lowest instant


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


def test_instants_of_the_contracts_whole_range_are_taken(warehouse, ledger, gateway):
    stop = Loss(reason=LossReason.UNCLEAN_STOP, from_at=EARLIEST_YEAR, to_at=253_402_300_799_999)
    ledger.apply([gateway.file(gateway.events("a", 1, stop))])
    (device,) = accounts(warehouse)
    found = device.unclean_stops[0]
    assert (found.from_at, found.to_at) == (stop.from_at, stop.to_at)


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
