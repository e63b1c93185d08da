"""Defines a signal: one quantity of one sensor, the input of conditions and models."""

import re
from dataclasses import dataclass
from typing import Self

from contract.quantities import Quantity
from contract.typed import Id, TextValue, pattern_of

__all__ = ["Signal"]

_QUANTITIES = {quantity.value: quantity for quantity in Quantity}


@dataclass(frozen=True, slots=True, order=True)
class Signal(TextValue):
    """Names one quantity of one sensor; as text `<sensor id>/<quantity>`: `attic/temperature`.

    Attributes:
        sensor_id: The role of the sensor on its device.
        quantity: The quantity that the sensor measures.
    """

    sensor_id: str
    quantity: Quantity

    says = "<sensor id>/<quantity>, such as attic/temperature"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the signal with this name.

        Raises:
            ValueError: The text is not a signal's name.
        """
        sensor_id, _, name = text.partition("/")
        quantity = _QUANTITIES.get(name)
        if quantity is None or not re.fullmatch(pattern_of(Id).regex, sensor_id):
            raise ValueError(f"expected {cls.says}, found {text!r}")
        return cls(sensor_id, quantity)

    def __str__(self) -> str:
        return f"{self.sensor_id}/{self.quantity.value}"
