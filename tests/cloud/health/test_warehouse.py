"""The doctor's look at MySQL and its ledger."""

import pytest

from cloud.errors import SchemaOutdated
from cloud.health.finding import State
from cloud.health.warehouse import look_at_ledger, look_at_warehouse
from cloud.ledger.queries import LedgerReader
from cloud.ledger.report import summary
from cloud.projections.ledger import LedgerProjection
from cloud.warehouse.migrations import HEAD

pytestmark = pytest.mark.services


def look(engine, since=0):
    return {f.check: f for f in look_at_ledger(engine, since)}


def test_a_warehouse_of_this_schema(warehouse):
    (found,) = look_at_warehouse(warehouse)
    assert (found.state, found.found) == (State.OK, f"reached, schema {HEAD}")


def test_a_warehouse_without_a_schema(empty):
    with pytest.raises(SchemaOutdated, match="warehouse migrate"):
        list(look_at_warehouse(empty))


def test_a_sound_ledger(warehouse, gateway):
    LedgerProjection(warehouse).apply([gateway.file(gateway.start("a"))])
    assert {f.state for f in look(warehouse).values()} == {State.OK}


def test_what_is_odd_is_counted_and_named(warehouse, gateway, new_gateway):
    other = new_gateway("jfk-01")
    files = [
        gateway.file(gateway.start("a"), gateway.readings("a", 4, 6)),
        other.file(other.start("b"), other.readings("b", 2, 5)),
        other.file(other.readings("b", 2, 5, value=2200)),
        other.file(other.start("c", "b", 5), other.start("d", "b", 5)),
    ]
    LedgerProjection(warehouse).apply(files)
    found = look(warehouse)
    assert found["ledger: unexplained"].state is State.FAILED
    assert found["ledger: unexplained"].found == "2: ewr-01 2"
    assert found["ledger: doubled"].found == "4: jfk-01 4"
    forks = found["ledger: forks"]
    assert forks.state is State.WARNING
    assert "jfk-01: fork: stream bbbbbbbbbbbbb was continued by" in forks.found


def test_what_came_before_is_taken_for_granted(warehouse, gateway):
    """A hole of long ago is the affair of the proof; one in what came since is seen."""
    files = [
        gateway.file(gateway.start("a"), gateway.readings("a", 4, 6)),
        gateway.file(gateway.readings("a", 7, 9)),
        gateway.file(gateway.readings("a", 12, 12)),
    ]
    LedgerProjection(warehouse).apply(files)
    first, second, last = (file.blocks[0].received_at for file in files)

    def unexplained(since, **named):
        accounts = list(LedgerReader(warehouse, since=since, **named).accounts())
        return [s.unexplained for d in accounts for s in d.streams], summary(accounts)

    assert unexplained(first)[0] == [((2, 3), (10, 11))]
    assert unexplained(second)[0] == [((10, 11),)]
    assert unexplained(last)[0] == [((10, 11),)], "the newest block from before is looked at"
    found, table = unexplained(last + 1)
    assert (found, table.totals.stored) == ([()], 12)
    assert unexplained(0, devices=["ewr-01"])[0] == [((2, 3), (10, 11))]
    assert unexplained(0, devices=["jfk-01"])[0] == []


def test_the_end_of_a_stream_that_is_older_is_not_taken_for_granted(warehouse, gateway):
    """The next stream says how far it went: what is missing there is seen, however old it is."""
    old = gateway.file(gateway.start("a"), gateway.readings("a", 2, 6))
    new = gateway.file(gateway.start("b", "a", 9))
    LedgerProjection(warehouse).apply([old, new])
    accounts = list(LedgerReader(warehouse, since=new.blocks[0].received_at).accounts())
    assert [s.unexplained for d in accounts for s in d.streams] == [((7, 9),), ()]
