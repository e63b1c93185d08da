"""Finds drivers by name, one driver per file: `driver = "bme280"` means `chips/bme280.py`.

A driver has three names: `Config`, `QUANTITIES` and `open`. A driver waits only through the clock
passed to it and uses only the board passed to it. It never logs, and does not use records or MQTT.
Its docstring is its manual. This folder contains only drivers; shared code is in the parent folder.
"""

import importlib
import pkgutil
from typing import Any, Protocol, cast

from contract.errors import ConfigError
from contract.quantities import Quantity
from firmware_bridge.board import Board, Chip, Clock

__all__ = ["DriverModule", "driver_names", "load"]


class DriverModule(Protocol):
    """The interface of each module of this folder."""

    @property
    def Config(self) -> type[Any]:  # noqa: N802 - it is a class, seen through a module
        """Return the frozen dataclass of the sensor's own keys; it always has `quantities`."""

    @property
    def QUANTITIES(self) -> tuple[Quantity, ...]:  # noqa: N802 - it is a constant of a module
        """Return all quantities that the chip can measure."""

    def open(self, config: Any, board: Board, clock: Clock) -> Chip:
        """Identify the chip and make it ready; raises SensorUnavailable or SensorFault."""


def driver_names() -> list[str]:
    """Return the names that `driver = ...` may have, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> DriverModule:
    """Return the driver of this name.

    Raises:
        ConfigError: there is no such driver; the text lists the known ones.
    """
    known = driver_names()
    if name not in known:
        raise ConfigError(f"driver: no driver {name!r}; known: {', '.join(known)}")
    return cast("DriverModule", importlib.import_module(f"{__name__}.{name}"))
