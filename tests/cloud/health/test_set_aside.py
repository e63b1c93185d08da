"""The doctor names who sends records that cannot be."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from cloud.health.finding import State
from cloud.health.set_aside import look_at_set_aside, look_at_unreadable
from cloud.projections.quarantine import Quarantine, QuarantineProjection
from contract.records import ClockFix

pytestmark = pytest.mark.services

YEAR_1 = -62_135_596_800_000


@pytest.fixture
def apply(warehouse):
    clock = SimpleNamespace(utc_ms=lambda: 0)
    return QuarantineProjection(Quarantine(warehouse, clock)).apply


def test_unreadable_and_good_blocks_are_none_of_them(warehouse, apply, gateway):
    apply([gateway.file(gateway.start("a"), payloads=(b"junk",))])
    (found,) = look_at_set_aside(warehouse, 0)
    assert (found.state, found.found, found.remedy) == (State.OK, "none", "")


def test_each_device_is_named_with_its_newest_reason(warehouse, apply, gateway, new_gateway):
    def fix(device, seq):
        return device.events("a", seq, ClockFix(utc_at=YEAR_1 + seq, uncertainty_ms=1))

    ahead = replace(gateway.readings("b", 1, 4), utc_at=3_057_268_695_000)  # 2066
    apply([gateway.file(fix(gateway, 1)), gateway.file(ahead)])
    others = [new_gateway(f"gw-{n}") for n in range(4)]
    apply([other.file(fix(other, 1)) for other in others])
    (found,) = look_at_set_aside(warehouse, 0)
    assert found.state is State.WARNING
    assert found.found.startswith(
        "ewr-01: 2 blocks, the newest received at 2013-01-01T00:00:02Z: implausible_time: "
        "4 records set aside, first number 1: time 2066-11-18T"
    )
    assert "; gw-0: 1 block, " in found.found
    assert found.found.endswith("; and 2 more devices")
    (since,) = look_at_set_aside(warehouse, gateway.at)
    assert since.found.startswith("ewr-01: 1 block, ")
    (later,) = look_at_set_aside(warehouse, gateway.at + 1)
    assert later.state is State.OK


def test_unreadable_blocks_are_named_apart(warehouse, apply, gateway, new_gateway):
    other = new_gateway("gw-2")
    bad_clock = replace(gateway.readings("b", 1, 4), utc_at=3_057_268_695_000)
    apply([gateway.file(bad_clock), other.file(payloads=(b"junk", b"\x09more"))])
    (found,) = look_at_unreadable(warehouse, 0)
    assert (found.check, found.state) == ("unreadable blocks", State.WARNING)
    assert found.found.startswith("gw-2: 2 blocks, the newest received at ")
    assert "ewr-01" not in found.found
    (later,) = look_at_unreadable(warehouse, other.at + 1)
    assert (later.state, later.remedy) == (State.OK, "")
