"""Which connections are kept: pure, with a clock of the test's own."""

import logging

import pytest

from cloud.api.admission import Admission, Limits, network_of

LIMITS = Limits(connections=10, connections_per_address=4, request_s=5.0, transfer_s=60.0)


class Door:
    def __init__(self, limits=LIMITS):
        self.now_s = 0.0
        self.closed = []
        self.admission = Admission(limits, lambda: self.now_s)

    def come(self, address, name=None):
        name = address if name is None else name
        return self.admission.admit(address, lambda: self.closed.append(name))


@pytest.fixture
def door():
    return Door()


def test_one_address_displaces_its_own_oldest_and_nobody_else(door):
    door.come("10.0.0.9", "other")
    for n in range(50):
        assert door.come("10.0.0.1", n) is not None
    assert door.closed == list(range(46))
    assert len(door.admission) == 5


def test_many_addresses_displace_the_oldest_of_whom_has_most(door):
    door.come("10.0.0.9", "other")
    for n in range(3):
        door.come("10.0.0.1", n)
    for n in range(10, 16):
        door.come(f"10.0.0.{n}")
    assert (len(door.admission), door.closed) == (10, [])
    assert door.come("10.0.0.200") is not None
    assert door.closed == [0]
    for n in range(100, 110):
        assert door.come(f"10.0.1.{n}") is not None
        assert len(door.admission) == 10
    assert "other" in door.closed, "when all have one, the oldest goes"


def test_what_is_being_answered_is_never_displaced(door):
    for _ in range(4):
        door.admission.begin(door.come("10.0.0.1"))
    assert door.come("10.0.0.1") is None
    for n in range(2, 8):
        door.admission.begin(door.come(f"10.0.0.{n}"))
    assert door.come("10.0.0.100") is None
    assert door.closed == []


def test_who_has_its_answer_waits_as_if_it_were_new(door):
    first = door.come("10.0.0.1", "first")
    for n in range(3):
        door.come("10.0.0.1", n)
    door.admission.begin(first)
    door.admission.end(first, unsent=False)
    door.come("10.0.0.1")
    assert door.closed == [0]


def test_time_limits_of_request_and_answer(door):
    waits, answered = door.come("10.0.0.1", "waits"), door.come("10.0.0.2", "answered")
    unsent = door.come("10.0.0.3", "unsent")
    door.admission.begin(answered)
    door.admission.begin(unsent)
    door.admission.end(unsent, unsent=True)
    door.now_s = 4.9
    door.admission.expire()
    assert door.closed == []
    door.now_s = 5.0
    door.admission.expire()
    assert door.closed == ["waits"]
    door.now_s = 60.0
    door.admission.expire()
    assert sorted(door.closed) == ["answered", "unsent", "waits"]
    door.admission.leave(waits)  # the end of its connection comes later
    assert len(door.admission) == 0


def test_a_place_that_was_left_is_free_and_left_once(door):
    place = door.come("10.0.0.1")
    for _ in range(3):
        door.admission.leave(place)
    for n in range(4):
        door.come("10.0.0.1", n)
    assert door.closed == []


def test_the_operator_reads_who_it_was_once_a_minute(door, caplog):
    with caplog.at_level(logging.WARNING):
        for n in range(30):
            door.come("10.0.0.1", n)
        door.admission.expire()
        assert "closed 26 connections" in caplog.text
        assert "26 of them came from 10.0.0.1" in caplog.text
        for n in range(10):
            door.come("10.0.0.1", n)
        door.admission.expire()
        assert len(caplog.records) == 1
        door.now_s = 60.0
        door.admission.expire()
        assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_host_cannot_have_many_addresses_of_ipv6(address, network):
    assert network_of(address) == network
