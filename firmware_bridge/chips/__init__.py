"""One driver a file, found by its name: `driver = "bme280"` means `chips/bme280.py`.

A driver has three names: `Config`, `QUANTITIES` and `open`. It waits only by the clock it was
given, talks only to the board it was given, never logs, and knows nothing of records or MQTT. Its
docstring is its manual. This folder holds drivers only; what they share stands beside it.
"""

import importlib
import pkgutil
from typing import Any, Protocol, cast

from contract.errors import ConfigError
from contract.quantities import Quantity
from firmware_bridge.board import Board, Chip, Clock

__all__ = ["DriverModule", "driver_names", "load"]


class DriverModule(Protocol):
    """What a module of this folder offers."""

    @property
    def Config(self) -> type[Any]:  # noqa: N802 - it is a class, seen through a module
        """Frozen dataclass of the sensor's own keys; always has `quantities`."""

    @property
    def QUANTITIES(self) -> tuple[Quantity, ...]:  # noqa: N802 - it is a constant of a module
        """Everything that the chip can measure."""

    def open(self, config: Any, board: Board, clock: Clock) -> Chip:
        """Identify the chip and make it ready; raises SensorUnavailable or SensorFault."""


def driver_names() -> list[str]:
    """The names that `driver = ...` may have, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> DriverModule:
    """The driver of this name.

    Raises:
        ConfigError: there is none; the text lists those that there are.
    """
    known = driver_names()
    if name not in known:
        raise ConfigError(f"driver: no driver {name!r}; known are {', '.join(known)}")
    return cast("DriverModule", importlib.import_module(f"{__name__}.{name}"))
