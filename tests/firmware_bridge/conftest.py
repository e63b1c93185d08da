"""A clock that only sleeping moves, air that a test can change, and chips on either board."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from contract.quantities import Quantity
from firmware_bridge import chips
from firmware_bridge.board import Board, Chip, InputPin, Pull, Sample
from firmware_bridge.errors import BusError
from firmware_bridge.linux import LinuxBoard
from firmware_bridge.simulated import Faults, SimulatedBoard, TrueValues

EPOCH_S = 1_357_016_400.0  # 2013-01-01 05:00 UTC
STILL = {
    Quantity.TEMPERATURE: 21.5,
    Quantity.HUMIDITY: 48.0,
    Quantity.PRESSURE: 101_300.0,
    Quantity.CO2: 812.0,
    Quantity.ILLUMINANCE: 350.0,
    Quantity.VOLTAGE: 12.84,
    Quantity.CONTACT: 1.0,
}


def true_values(**columns: float | None) -> TrueValues:
    """Values by the names of a recording's columns, those that are None left out."""
    by_column = {q.facts.column: q for q in Quantity}
    return TrueValues({by_column[c]: v for c, v in columns.items() if v is not None})


class ManualClock:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept_s: list[float] = []

    def monotonic_s(self) -> float:
        return self.now_s

    def sleep_s(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept_s.append(seconds)
        self.now_s += seconds

    def wall_s(self) -> float:
        return EPOCH_S + self.now_s


@dataclass
class Air:
    """A feed that a test sets by hand."""

    values: TrueValues | None = field(default_factory=lambda: TrueValues(dict(STILL)))

    def at(self, now_s: float) -> TrueValues | None:
        assert now_s > EPOCH_S
        return self.values

    def become(self, **columns: float | None) -> None:
        """Change the values of these columns; None makes one unknown."""
        self.values = true_values(**{q.facts.column: v for q, v in STILL.items()} | columns)


class WireRdwr:
    """What smbus2.SMBus does, with real i2c_msg objects, on a simulated wire and no ioctl."""

    def __init__(self, wire: Any) -> None:
        self._wire = wire
        self.closed_total = 0

    def i2c_rdwr(self, *i2c_msgs: Any) -> None:
        for message in i2c_msgs:
            if message.flags & 1:
                for index, byte in enumerate(self._wire.read(message.addr, message.len)):
                    message.buf[index] = byte
            else:
                self._wire.write(message.addr, bytes(list(message)))

    def close(self) -> None:
        self.closed_total += 1


class WireGpio:
    """RPi.GPIO's interface to the inputs of a simulated board."""

    BCM, IN = "BCM", "IN"
    PUD_OFF, PUD_UP, PUD_DOWN = Pull.NONE, Pull.UP, Pull.DOWN

    def __init__(self, simulated: SimulatedBoard) -> None:
        self._simulated = simulated
        self._inputs: dict[int, InputPin] = {}

    def setmode(self, mode: str) -> None:
        assert mode == self.BCM

    def setup(self, pin: int, direction: str, *, pull_up_down: Pull) -> None:
        assert direction == self.IN
        self._inputs[pin] = self._simulated.input(pin, pull_up_down)

    def input(self, pin: int) -> int:
        try:
            return int(self._inputs[pin].is_high())
        except BusError as error:
            raise RuntimeError(str(error)) from error

    def cleanup(self, pin: int) -> None:
        del self._inputs[pin]


# Pins of the sensors that have one; how long a chip takes until it has something new to tell.
PINS = {"dht22": 4, "digital_input": 27}
PACE_S = {"scd4x": 5.1, "digital_input": 1.0}


@dataclass
class Bench:
    """One driver, its config, the board that it sees, and the simulated chip behind that board."""

    name: str
    driver: ModuleType
    config: Any
    clock: ManualClock
    air: Air
    simulated: SimulatedBoard
    board: Board
    faults: Faults

    def open(self) -> Chip:
        return self.driver.open(self.config, self.board, self.clock)

    def read(self, chip: Chip) -> Sample:
        """Read after as much time as the chip needs for a new result."""
        self.clock.now_s += PACE_S.get(self.name, 0.0)
        return chip.read()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def air() -> Air:
    return Air()


@pytest.fixture
def simulated(clock: ManualClock) -> SimulatedBoard:
    return SimulatedBoard(clock=clock, wall_s=clock.wall_s)


@pytest.fixture(scope="session")
def linux_on() -> Callable[[SimulatedBoard], LinuxBoard]:
    """A Linux board whose buses and inputs are the wires of a simulated one."""

    def build(simulated: SimulatedBoard) -> LinuxBoard:
        libraries = {"RPi.GPIO": WireGpio(simulated)}
        return LinuxBoard(
            open_i2c=lambda bus: WireRdwr(simulated.wire(bus)),
            load_module=lambda name: libraries.get(name) or importlib.import_module(name),
        )

    return build


@pytest.fixture(scope="session")
def make_bench(linux_on) -> Callable[..., Bench]:
    """Build a bench: `make_bench("sht4x", "linux", precision=...)`."""

    def build(name: str, via: str = "simulated", **keys: Any) -> Bench:
        driver = chips.load(name)
        if name in PINS:
            keys.setdefault("pin", PINS[name])
        config = driver.Config(**keys)
        clock, air = ManualClock(), Air()
        simulated = SimulatedBoard(clock=clock, wall_s=clock.wall_s)
        faults = simulated.plug(config, air)
        board = linux_on(simulated) if via == "linux" else simulated
        return Bench(name, driver, config, clock, air, simulated, board, faults)

    return build
