"""Contacts: which level means closed, bouncing, and pins that cannot be used."""

import pytest

from contract.quantities import Flag, Quantity
from firmware_bridge.board import Pull
from firmware_bridge.chips import digital_input
from firmware_bridge.errors import BusError, SensorUnavailable
from firmware_bridge.linux import LinuxBoard
from firmware_bridge.simulated import Fault


def contact(bench, chip):
    return dict(bench.read(chip).values)[Quantity.CONTACT]


@pytest.mark.parametrize("via", ["simulated", "linux"])
@pytest.mark.parametrize(
    ("pull", "closed_level"), [("up", "low"), ("down", "high"), ("none", "low")]
)
def test_open_and_closed(pull, closed_level, via, make_bench):
    bench = make_bench("digital_input", via, pull=pull, closed_level=closed_level)
    chip = bench.open()
    assert contact(bench, chip) == 1.0
    assert bench.board.input(27, Pull(pull)).is_high() is (closed_level == "high")
    bench.air.become(contact=0.0)
    assert contact(bench, chip) == 0.0
    assert bench.board.input(27, Pull(pull)).is_high() is (closed_level == "low")


class Levels:
    """A board with one input that has these levels, one a sample."""

    def __init__(self, levels):
        self._levels = iter(levels)

    def input(self, pin, pull):
        assert (pin, pull) == (27, Pull.UP)
        return self

    def is_high(self):
        return next(self._levels)


STEADY, BOUNCES = [True] * 5, [True, True, False, True, True]


@pytest.mark.parametrize(
    ("levels", "flags"),
    [
        (STEADY, frozenset()),
        ([*BOUNCES[:3], *STEADY], {Flag.RETRIED}),
        ([True, False, True, True, True, True, False, *STEADY], {Flag.RETRIED}),
    ],
)
def test_five_equal_samples(levels, flags, clock):
    board = Levels([*STEADY, *levels])
    chip = digital_input.open(digital_input.Config(pin=27), board, clock)
    sample = chip.read()
    assert sample.values == ((Quantity.CONTACT, 0.0),)
    assert sample.flags == flags


def test_contact_that_never_settles_has_no_value(clock):
    board = Levels([*STEADY, *BOUNCES[:3] * 3])
    chip = digital_input.open(digital_input.Config(pin=27), board, clock)
    with pytest.raises(SensorUnavailable, match="pin 27: level changed within 5 ms") as caught:
        chip.read()
    assert caught.value.flag is Flag.CHECK_FAILED


@pytest.mark.parametrize("debounce_ms", [1, 5, 50])
def test_a_reading_is_as_long_as_the_debounce(debounce_ms, make_bench):
    bench = make_bench("digital_input", debounce_ms=debounce_ms)
    chip = bench.open()
    bench.clock.slept_s.clear()
    chip.read()
    assert sum(bench.clock.slept_s) == pytest.approx(debounce_ms / 1000)
    bench.clock.slept_s.clear()
    bench.faults.last(Fault.UNSTEADY)
    with pytest.raises(SensorUnavailable):
        bench.read(chip)
    assert sum(bench.clock.slept_s) < 0.2


def test_machine_without_the_library_fails_alone(clock):
    def load(name):
        raise ImportError(f"No module named {name!r}")

    board = LinuxBoard(load_module=load)
    with pytest.raises(SensorUnavailable, match=r"RPi\.GPIO is not installed") as caught:
        digital_input.open(digital_input.Config(pin=27), board, clock)
    assert caught.value.flag is Flag.NO_ANSWER
    assert isinstance(caught.value.__cause__, BusError)


def test_pin_with_another_use_fails_alone(simulated, linux_on, clock):
    board = linux_on(simulated)
    digital_input.open(digital_input.Config(pin=27), board, clock)
    with pytest.raises(SensorUnavailable, match="another sensor pulls it up"):
        digital_input.open(digital_input.Config(pin=27, pull=Pull.DOWN), board, clock)


def test_nothing_connected_reads_as_open(simulated, clock):
    chip = digital_input.open(digital_input.Config(pin=27), simulated, clock)
    assert chip.read().values == ((Quantity.CONTACT, 0.0),)
