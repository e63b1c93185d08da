"""Implements the board of a Linux machine with I2C buses and a Raspberry Pi's pins.

Only this file uses smbus2, RPi.GPIO (or rpi-lgpio, which has the same interface) and adafruit_dht.
Each library is imported at its first use, because the import fails on machines other than a Pi.
The libraries' exceptions are converted here: a missing library is a ConfigError, a failed
transaction a BusError.
"""

import importlib
import os
import signal
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Protocol

from contract.errors import ConfigError
from firmware_bridge.board import I2cBus, InputPin, OutputPin, Pull, PulseLine
from firmware_bridge.errors import BusError, os_bus_error

__all__ = ["LinuxBoard", "PulseioMode", "RawI2c"]

_PINS_EXTRA = "pi (rpi-lgpio) or, on kernels before 6.6, pi-classic (RPi.GPIO)"
_I2C_EXTRA = "edge"

LoadModule = Callable[[str], Any]


class RawI2c(Protocol):
    """The methods of `smbus2.SMBus` that are used here."""

    def i2c_rdwr(self, *i2c_msgs: Any) -> None:
        """Run the messages as one transaction; raises OSError."""

    def close(self) -> None:
        """Close the device file."""


class PulseioMode(StrEnum):
    """Whether DHT pulses are timed by pulseio's child process (true) or by polling the pin (false).

    Reports disagree on which of the two works on which Pi, so this is a configuration key.
    """

    AUTO = "auto"
    TRUE = "true"
    FALSE = "false"


class LinuxBoard:
    """The `Board` of this machine. One thread per bus; hardware is opened at its first use."""

    def __init__(
        self,
        *,
        pulseio: PulseioMode = PulseioMode.AUTO,
        open_i2c: Callable[[int], RawI2c] | None = None,
        load_module: LoadModule = importlib.import_module,
    ) -> None:
        """Store how to access the hardware.

        Args:
            pulseio: How the pulses of DHT sensors are timed.
            open_i2c: Opens a bus by number; smbus2 on `/dev/i2c-<number>` by default.
            load_module: Imports a library by name.
        """
        self._pulseio = pulseio
        self._load_module = load_module
        self._open_i2c = open_i2c or self._open_smbus
        self._buses: dict[int, _LinuxI2c] = {}
        self._lines: dict[int, _LinuxPulseLine] = {}
        self._inputs: dict[int, _LinuxInput] = {}
        self._outputs: dict[int, _LinuxOutput] = {}

    def i2c(self, bus: int) -> I2cBus:
        """Return the I2C bus of this number; the first transaction opens the device file."""
        if bus not in self._buses:
            i2c_msg = _library(self._load_module, "smbus2", _I2C_EXTRA).i2c_msg
            self._buses[bus] = _LinuxI2c(bus, self._open_i2c, i2c_msg)
        return self._buses[bus]

    def pulse_line(self, pin: int) -> PulseLine:
        """Return the single-wire line at this pin."""
        if pin not in self._lines:
            self._lines[pin] = _LinuxPulseLine(self._load_module, pin, self._pulseio)
        return self._lines[pin]

    def input(self, pin: int, pull: Pull) -> InputPin:
        """Return this pin as an input; the first `is_high` sets it up.

        Raises:
            BusError: the pin is in use as an output, or with another resistor.
        """
        if pin in self._outputs:
            raise BusError(f"pin {pin}: cannot be an input: the pin is used as an output")
        found = self._inputs.setdefault(pin, _LinuxInput(self._load_module, pin, pull))
        if found.pull is not pull:
            raise BusError(f"pin {pin}: cannot pull {pull}: another sensor pulls it {found.pull}")
        return found

    def output(self, pin: int) -> OutputPin:
        """Return this pin as an output, off; raises BusError if the pin is not available."""
        if pin in self._inputs:
            raise BusError(f"pin {pin}: cannot be an output: the pin is used as an input")
        if pin not in self._outputs:
            gpio = _library(self._load_module, "RPi.GPIO", _PINS_EXTRA)
            self._outputs[pin] = _LinuxOutput(gpio, pin)
        return self._outputs[pin]

    def close(self) -> None:
        """Close buses, end capture processes, switch outputs off."""
        while self._buses:
            self._buses.popitem()[1].close()
        while self._lines:
            self._lines.popitem()[1].close()
        while self._inputs:
            self._inputs.popitem()[1].close()
        while self._outputs:
            self._outputs.popitem()[1].close()

    def _open_smbus(self, bus: int) -> RawI2c:
        raw: RawI2c = _library(self._load_module, "smbus2", _I2C_EXTRA).SMBus(bus)
        return raw


def _library(load_module: LoadModule, name: str, extra: str) -> Any:
    try:
        return load_module(name)
    except ImportError as error:
        text = f"{name} is not installed: install dewline with the extra {extra}"
        raise ConfigError(text) from error
    except (RuntimeError, NotImplementedError, OSError) as error:
        # RPi.GPIO and Blinka look for a Raspberry Pi while they are being imported.
        text = f"{name} cannot be used: is this machine a Raspberry Pi? {error}"
        raise ConfigError(text) from error


class _LinuxI2c:
    def __init__(self, number: int, open_i2c: Callable[[int], RawI2c], i2c_msg: Any) -> None:
        self._number = number
        self._open_i2c = open_i2c
        self._i2c_msg = i2c_msg
        self._raw: RawI2c | None = None

    def write(self, address: int, data: bytes) -> None:
        self._transfer(address, self._i2c_msg.write(address, data))

    def read(self, address: int, count: int) -> bytes:
        answer = self._i2c_msg.read(address, count)
        self._transfer(address, answer)
        return bytes(answer)

    def write_read(self, address: int, data: bytes, count: int) -> bytes:
        answer = self._i2c_msg.read(address, count)
        self._transfer(address, self._i2c_msg.write(address, data), answer)
        return bytes(answer)

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    def _transfer(self, address: int, *messages: Any) -> None:
        try:
            if self._raw is None:
                self._raw = self._open_i2c(self._number)
            self._raw.i2c_rdwr(*messages)
        except OSError as error:
            raise os_bus_error(f"i2c-{self._number} address {address:#04x}", error) from error


class _LinuxPulseLine:
    """Captures pulses with adafruit_dht; the driver decodes them.

    The library's own `measure()` is not used: after a failure it returns old values without an
    error. Its two capturing methods are private, so only this class calls them (checked with
    4.0.12).
    """

    def __init__(self, load_module: LoadModule, pin: int, mode: PulseioMode) -> None:
        self._where = f"pin {pin}"
        self._failures: tuple[type[Exception], ...] = (
            OSError,
            RuntimeError,
            ValueError,
            IndexError,
        )
        library = _import_dht(load_module)
        blinka_pin = getattr(_library(load_module, "board", _PINS_EXTRA), f"D{pin}", None)
        if blinka_pin is None:
            raise ConfigError(f"pin {pin}: this board has no such pin")
        options = {} if mode is PulseioMode.AUTO else {"use_pulseio": mode is PulseioMode.TRUE}
        try:
            self._dht = library.DHT22(blinka_pin, **options)
        except self._failures as error:
            raise BusError(f"{self._where}: cannot be opened for a DHT sensor: {error}") from error
        self._uses_pulseio: bool = self._dht._use_pulseio  # noqa: SLF001 - see the class
        if self._uses_pulseio:
            # pulseio uses a message queue to its child process, which raises its own errors.
            self._failures += (_library(load_module, "sysv_ipc", _PINS_EXTRA).Error,)

    def capture(self, start_low_s: float) -> Sequence[int]:
        self._dht._trig_wait = round(start_low_s * 1_000_000)  # noqa: SLF001 - see the class
        try:
            if self._uses_pulseio:
                return list(self._dht._get_pulses_pulseio())  # noqa: SLF001 - see the class
            return list(self._dht._get_pulses_bitbang())  # noqa: SLF001 - see the class
        except self._failures as error:
            raise BusError(f"{self._where}: pulses could not be captured: {error}") from error

    def close(self) -> None:
        # Without this call pulseio's child process survives and keeps the pin.
        self._dht.exit()


def _import_dht(load_module: LoadModule) -> Any:
    # Blinka offers to run pip when it is imported on a terminal; a gateway installs nothing.
    os.environ.setdefault("BLINKA_SKIP_DEPENDENCY_CHECK", "1")
    # Blinka's pulseio also replaces the handler of SIGTERM, by which the gateway stops cleanly.
    before = signal.getsignal(signal.SIGTERM)
    library = _library(load_module, "adafruit_dht", _PINS_EXTRA)
    if before is not None and signal.getsignal(signal.SIGTERM) is not before:
        signal.signal(signal.SIGTERM, before)
    return library


class _LinuxInput:
    def __init__(self, load_module: LoadModule, pin: int, pull: Pull) -> None:
        self._load_module = load_module
        self._pin = pin
        self.pull = pull
        self._gpio: Any = None  # set once the pin is set up

    def is_high(self) -> bool:
        try:
            if self._gpio is None:
                self._gpio = self._set_up()
            return bool(self._gpio.input(self._pin))
        except ConfigError as error:
            # One sensor's missing library must not stop the others.
            raise BusError(f"pin {self._pin}: {error}") from error
        except (OSError, RuntimeError, ValueError) as error:
            raise BusError(f"pin {self._pin}: cannot be read: {error}") from error

    def close(self) -> None:
        if self._gpio is not None:
            gpio, self._gpio = self._gpio, None
            gpio.cleanup(self._pin)

    def _set_up(self) -> Any:
        gpio = _library(self._load_module, "RPi.GPIO", _PINS_EXTRA)
        resistor = {Pull.UP: gpio.PUD_UP, Pull.DOWN: gpio.PUD_DOWN, Pull.NONE: gpio.PUD_OFF}
        gpio.setmode(gpio.BCM)
        gpio.setup(self._pin, gpio.IN, pull_up_down=resistor[self.pull])
        return gpio


class _LinuxOutput:
    def __init__(self, gpio: Any, pin: int) -> None:
        self._gpio = gpio
        self._pin = pin
        self._is_open = True
        try:
            gpio.setmode(gpio.BCM)
            gpio.setup(pin, gpio.OUT, initial=gpio.LOW)
        except (OSError, RuntimeError, ValueError) as error:
            raise BusError(f"pin {pin}: cannot be an output: {error}") from error

    def set(self, on: bool) -> None:
        try:
            self._gpio.output(self._pin, self._gpio.HIGH if on else self._gpio.LOW)
        except (OSError, RuntimeError, ValueError) as error:
            raise BusError(f"pin {self._pin}: cannot be switched: {error}") from error

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            try:
                self.set(False)
            finally:
                self._gpio.cleanup(self._pin)
