"""The Linux board's pins, and the libraries that it imports lazily or does without."""

import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from contract.errors import ConfigError
from firmware_bridge.board import Pull
from firmware_bridge.chips import dht22
from firmware_bridge.errors import BusError
from firmware_bridge.linux import LinuxBoard, PulseioMode
from firmware_bridge.simulated import SimulatedBoard, WaveFeed


def loader(**modules):
    """Loads the given modules, dots written as underscores; an exception is raised instead."""

    def load(name):
        found = modules.get(name.replace(".", "_"), ImportError(f"No module named {name!r}"))
        if isinstance(found, Exception):
            raise found
        return found() if callable(found) else found

    return load


def test_missing_libraries_name_their_extra():
    board = LinuxBoard(load_module=loader())
    with pytest.raises(ConfigError, match=r"smbus2 is not installed.*edge"):
        board.i2c(1)
    with pytest.raises(ConfigError, match=r"RPi\.GPIO is not installed.*pi .*pi-classic"):
        board.output(17)
    with pytest.raises(ConfigError, match=r"adafruit_dht is not installed.*pi .*pi-classic"):
        board.pulse_line(4)


@pytest.mark.parametrize("error", [RuntimeError("not a Pi"), NotImplementedError("no board")])
def test_libraries_that_refuse_this_machine(error):
    board = LinuxBoard(load_module=loader(RPi_GPIO=error, adafruit_dht=error))
    for use in (lambda: board.output(17), lambda: board.pulse_line(4)):
        with pytest.raises(ConfigError, match="is this machine a Raspberry Pi"):
            use()


def test_nothing_is_imported_before_it_is_needed():
    code = (
        "import sys, firmware_bridge.linux, firmware_bridge.simulated;"
        "from firmware_bridge import chips;"
        "[chips.load(n) for n in chips.driver_names()];"
        "firmware_bridge.linux.LinuxBoard();"
        "names = {'smbus2', 'RPi', 'adafruit_dht', 'board'} & sys.modules.keys();"
        "sys.exit(repr(names) if names else 0)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr


class Gpio:
    """RPi.GPIO's interface over two dictionaries."""

    BCM, OUT, IN, LOW, HIGH = "BCM", "OUT", "IN", 0, 1
    PUD_OFF, PUD_UP, PUD_DOWN = "OFF", "UP", "DOWN"

    def __init__(self) -> None:
        self.levels = {}
        self.resistors = {}
        self.broken = False
        self.mode = None

    def setmode(self, mode):
        self.mode = mode

    def setup(self, pin, direction, *, initial=None, pull_up_down=None):
        assert self.mode == self.BCM
        assert direction == (self.IN if initial is None else self.OUT)
        self._check()
        self.levels[pin] = int(pull_up_down == self.PUD_UP) if initial is None else initial
        self.resistors[pin] = pull_up_down

    def input(self, pin):
        self._check()
        return self.levels[pin]

    def output(self, pin, level):
        self._check()
        assert pin in self.levels
        self.levels[pin] = level

    def cleanup(self, pin):
        del self.levels[pin]

    def _check(self):
        if self.broken:
            raise RuntimeError("GPIO busy")


def test_output_pin():
    gpio = Gpio()
    board = LinuxBoard(load_module=loader(RPi_GPIO=gpio))
    lamp = board.output(17)
    assert gpio.levels == {17: 0}
    lamp.set(True)
    assert gpio.levels == {17: 1}
    lamp.set(False)
    assert gpio.levels == {17: 0}
    assert board.output(17) is lamp
    lamp.close()
    lamp.close()
    board.close()
    assert gpio.levels == {}


def test_output_pin_that_is_taken():
    gpio = Gpio()
    gpio.broken = True
    board = LinuxBoard(load_module=loader(RPi_GPIO=gpio))
    with pytest.raises(BusError, match=r"pin 17: .*GPIO busy"):
        board.output(17)
    gpio.broken = False
    lamp = board.output(17)
    gpio.broken = True
    with pytest.raises(BusError, match=r"pin 17: .*GPIO busy"):
        lamp.set(True)
    with pytest.raises(BusError):
        board.close()
    assert gpio.levels == {}  # given back although switching off failed


@pytest.mark.parametrize(
    ("pull", "resistor"), [(Pull.UP, "UP"), (Pull.DOWN, "DOWN"), (Pull.NONE, "OFF")]
)
def test_input_pin(pull, resistor):
    gpio = Gpio()
    board = LinuxBoard(load_module=loader(RPi_GPIO=gpio))
    door = board.input(27, pull)
    assert gpio.levels == {}  # nothing is touched before it is needed
    assert door.is_high() is (pull is Pull.UP)
    assert gpio.resistors == {27: resistor}
    gpio.levels[27] = 1
    assert door.is_high() is True
    assert board.input(27, pull) is door
    board.close()
    board.close()
    assert gpio.levels == {}


@pytest.mark.parametrize("error", [ImportError("none"), RuntimeError("not a Pi")])
def test_input_without_its_library_fails_alone(error):
    door = LinuxBoard(load_module=loader(RPi_GPIO=error)).input(27, Pull.UP)
    with pytest.raises(BusError, match=r"pin 27: RPi\.GPIO"):
        door.is_high()


def test_input_pin_that_is_taken():
    gpio = Gpio()
    gpio.broken = True
    board = LinuxBoard(load_module=loader(RPi_GPIO=gpio))
    door = board.input(27, Pull.UP)
    with pytest.raises(BusError, match=r"pin 27: cannot be read: GPIO busy"):
        door.is_high()
    gpio.broken = False
    assert door.is_high()
    gpio.broken = True
    with pytest.raises(BusError, match=r"pin 27: .*GPIO busy"):
        door.is_high()


def test_one_pin_has_one_use():
    board = LinuxBoard(load_module=loader(RPi_GPIO=Gpio()))
    board.output(17)
    with pytest.raises(BusError, match="pin 17: cannot be an input: the pin is used"):
        board.input(17, Pull.UP)
    board.input(27, Pull.UP)
    with pytest.raises(BusError, match="pin 27: cannot be an output: the pin is used"):
        board.output(27)
    with pytest.raises(BusError, match="pin 27: cannot pull down: another sensor pulls it up"):
        board.input(27, Pull.DOWN)


class DhtLibrary:
    """The parts of adafruit_dht 4.0.12 that are used, with a simulated sensor at the pin."""

    def __init__(self, line, *, pulseio_by_default: bool = True) -> None:
        self.line = line
        self.default = pulseio_by_default
        self.made = []
        self.failure = None

    def DHT22(self, pin, use_pulseio=None):
        made = DhtDevice(self, pin, self.default if use_pulseio is None else use_pulseio)
        self.made.append(made)
        return made


class DhtDevice:
    def __init__(self, library, pin, use_pulseio) -> None:
        self._library = library
        self.pin = pin
        self._use_pulseio = use_pulseio
        self._trig_wait = 1000
        self.calls = []
        self.exits_total = 0

    def _get_pulses_pulseio(self):
        return self._capture("pulseio")

    def _get_pulses_bitbang(self):
        return self._capture("bitbang")

    def _capture(self, how):
        self.calls.append(how)
        if self._library.failure is not None:
            raise self._library.failure
        return self._library.line.capture(self._trig_wait / 1e6)

    def exit(self):
        self.exits_total += 1


class IpcError(Exception):
    pass


@pytest.fixture
def dht_library(clock):
    board = SimulatedBoard(clock=clock, wall_s=clock.wall_s)
    board.plug(dht22.Config(pin=4), WaveFeed())
    return DhtLibrary(board.pulse_line(4))


def linux_with(library, mode=PulseioMode.AUTO):
    return LinuxBoard(
        pulseio=mode,
        load_module=loader(
            adafruit_dht=library,
            board=SimpleNamespace(D4="pin four"),
            sysv_ipc=SimpleNamespace(Error=IpcError),
        ),
    )


@pytest.mark.parametrize(
    ("mode", "how"),
    [(PulseioMode.AUTO, "pulseio"), (PulseioMode.TRUE, "pulseio"), (PulseioMode.FALSE, "bitbang")],
)
def test_dht_driver_over_the_library(mode, how, dht_library, clock):
    board = linux_with(dht_library, mode)
    sample = dht22.open(dht22.Config(pin=4), board, clock).read()
    assert len(sample.values) == 2
    (device,) = dht_library.made
    assert device.pin == "pin four"
    assert set(device.calls) == {how}
    board.close()
    board.close()
    assert device.exits_total == 1


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("no message"),
        OSError(5, "io"),
        ValueError("x"),
        IndexError("pop"),
        IpcError("q"),
    ],
)
def test_failures_of_capturing(failure, dht_library):
    line = linux_with(dht_library).pulse_line(4)
    dht_library.failure = failure
    with pytest.raises(BusError, match="pin 4") as caught:
        line.capture(0.001)
    assert caught.value.__cause__ is failure


def test_start_signal_length_is_passed_on(dht_library):
    line = linux_with(dht_library).pulse_line(4)
    line.capture(0.002)
    assert dht_library.made[0]._trig_wait == 2000


def test_pin_that_the_board_lacks(dht_library):
    with pytest.raises(ConfigError, match="no such pin"):
        linux_with(dht_library).pulse_line(27)


def test_library_does_not_keep_sigterm(dht_library):
    def blinka(*_):
        raise AssertionError("must not be called")

    def importing():
        signal.signal(signal.SIGTERM, blinka)
        return dht_library

    before = signal.getsignal(signal.SIGTERM)
    linux_with(importing).pulse_line(4)
    assert signal.getsignal(signal.SIGTERM) is before
