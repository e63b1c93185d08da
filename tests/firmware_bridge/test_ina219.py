"""INA219: its register, how it is known, the end of its range, and its flags."""

import pytest

from contract.quantities import Flag, Quantity
from firmware_bridge.chips import ina219
from firmware_bridge.errors import SensorFault, SensorUnavailable
from firmware_bridge.simulated import Fault


def volts(chip):
    return dict(chip.read().values)[Quantity.VOLTAGE]


@pytest.mark.parametrize(
    ("register", "voltage_v"),
    [
        (0x5D98, 11.98),  # data sheet, table of the programming example: 0x5D98 is 11.98 V
        (0x1F40 << 3, 32.0),  # 8.6.3.2, full scale of 32 V
        (0x0FA0 << 3, 16.0),  # and of 16 V
        (0x5D98 | 0b11, 11.98),  # flags are no part of the value
        (0x0000, 0.0),
    ],
)
def test_registers(register, voltage_v):
    assert ina219.voltage_v(register) == pytest.approx(voltage_v, abs=1e-9)


@pytest.mark.parametrize(("range_v", "configuration"), [(32, "3e1a"), (16, "1e1a")])
def test_what_is_written(range_v, configuration, make_bench):
    bench = make_bench("ina219", range_v=range_v)
    chip = bench.open()
    chip.read()
    assert bench.simulated.i2c(1).write_read(0x40, b"\x00", 2).hex() == configuration


@pytest.mark.parametrize("via", ["simulated", "linux"])
def test_relative_at_the_same_address_is_refused_by_name(via, make_bench):
    bench = make_bench("ina219", via)
    bench.faults.last(Fault.WRONG_ID)
    with pytest.raises(SensorFault, match=r"0x40: configuration 0x4127 after a reset"):
        bench.open()


def test_chip_swapped_while_away(make_bench):
    bench = make_bench("ina219")
    chip = bench.open()
    bench.faults.last(Fault.ABSENT)
    with pytest.raises(SensorUnavailable):
        chip.read()
    bench.faults.last(Fault.WRONG_ID)
    with pytest.raises(SensorFault):
        chip.read()


@pytest.mark.parametrize(("range_v", "voltage_v"), [(16, 16.5), (32, 33.0)])
def test_end_of_the_range_is_no_measurement(range_v, voltage_v, make_bench):
    bench = make_bench("ina219", range_v=range_v)
    chip = bench.open()
    bench.air.become(voltage_v=voltage_v)
    with pytest.raises(SensorFault, match=f"end of the range.*range_v is {range_v}"):
        chip.read()
    bench.air.become(voltage_v=15.9)
    assert volts(chip) == pytest.approx(15.9, abs=0.00201)


class Flagged:
    """A chip whose bus voltage register carries a flag more."""

    def __init__(self, chip, flag):
        self._chip = chip
        self._flag = flag
        self._register = 0

    def write(self, data):
        self._register = data[0]
        self._chip.write(data)

    def read(self, count):
        answer = self._chip.read(count)
        return answer[:-1] + bytes((answer[-1] | self._flag,)) if self._register == 2 else answer


def test_overflow_flag_means_another_user(make_bench):
    bench = make_bench("ina219")
    chip = bench.open()
    wire = bench.simulated.wire(1)
    wire.chips[0x40] = Flagged(wire.chips[0x40], 0b01)
    with pytest.raises(SensorUnavailable, match="another program") as caught:
        chip.read()
    assert caught.value.flag is Flag.CHECK_FAILED


def test_configuration_that_another_program_changes_is_noticed(make_bench, clock):
    class Meddled:
        """A chip that somebody sets to 0x399F again as soon as it is set."""

        def __init__(self, chip):
            self._chip = chip

        def write(self, data):
            self._chip.write(bytes.fromhex("00399f") if data[:1] == b"\0" and data[1:] else data)

        def read(self, count):
            return self._chip.read(count)

    bench = make_bench("ina219")
    chip = bench.open()
    wire = bench.simulated.wire(1)
    wire.chips[0x40] = Meddled(wire.chips[0x40])
    with pytest.raises(SensorUnavailable, match="configuration 0x399f, expected 0x3e1a as written"):
        chip.read()
    assert clock.now_s > 0


def test_waits_the_longest_time(make_bench):
    bench = make_bench("ina219")
    chip = bench.open()
    bench.clock.slept_s.clear()
    chip.read()
    assert bench.clock.slept_s == [pytest.approx(16 * 0.000586)]
