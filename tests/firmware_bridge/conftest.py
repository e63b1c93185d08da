"""A clock that only sleeping moves, air that a test can change, and chips on either board."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from contract.quantities import Quantity
from firmware_bridge import chips
from firmware_bridge.board import Board, Chip
from firmware_bridge.linux import LinuxBoard
from firmware_bridge.simulated import Faults, SimulatedBoard, TrueValues

EPOCH_S = 1_357_016_400.0  # 2013-01-01 05:00 UTC
STILL = {
    Quantity.TEMPERATURE: 21.5,
    Quantity.HUMIDITY: 48.0,
    Quantity.PRESSURE: 101_300.0,
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


@dataclass
class Bench:
    """One driver, its config, the board that it sees, and the simulated chip behind that board."""

    driver: ModuleType
    config: Any
    clock: ManualClock
    air: Air
    simulated: SimulatedBoard
    board: Board
    faults: Faults

    def open(self) -> Chip:
        return self.driver.open(self.config, self.board, self.clock)


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
    """A Linux board whose buses are the wires of a simulated one."""
    return lambda simulated: LinuxBoard(open_i2c=lambda bus: WireRdwr(simulated.wire(bus)))


@pytest.fixture(scope="session")
def make_bench(linux_on) -> Callable[..., Bench]:
    """Build a bench: `make_bench("sht4x", "linux", precision=...)`."""

    def build(name: str, via: str = "simulated", **keys: Any) -> Bench:
        driver = chips.load(name)
        if name == "dht22":
            keys.setdefault("pin", 4)
        config = driver.Config(**keys)
        clock, air = ManualClock(), Air()
        simulated = SimulatedBoard(clock=clock, wall_s=clock.wall_s)
        faults = simulated.plug(config, air)
        board = linux_on(simulated) if via == "linux" else simulated
        return Bench(driver, config, clock, air, simulated, board, faults)

    return build
