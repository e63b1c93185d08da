"""What can be measured, in which one unit, and how good one measurement is."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["QUANTITY_FACTS", "Flag", "Quality", "Quantity", "QuantityFacts"]


class Quantity(StrEnum):
    """A measured property; `QUANTITY_FACTS` fixes its one unit."""

    TEMPERATURE = "temperature"
    HUMIDITY = "humidity"
    PRESSURE = "pressure"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityFacts:
    """Facts of one quantity.

    Attributes:
        unit: SenML's ASCII symbol (RFC 8428, section 12.1).
        low: Lowest plausible value in that unit; below it a reading is flagged `out_of_range`.
        high: Highest plausible value.
        decimals: Default number of decimals that a reading is rounded to.
    """

    unit: str
    low: float
    high: float
    decimals: int


QUANTITY_FACTS: dict[Quantity, QuantityFacts] = {
    Quantity.TEMPERATURE: QuantityFacts(unit="Cel", low=-55.0, high=150.0, decimals=2),
    Quantity.HUMIDITY: QuantityFacts(unit="%RH", low=0.0, high=100.0, decimals=1),
    Quantity.PRESSURE: QuantityFacts(unit="Pa", low=30_000.0, high=110_000.0, decimals=0),
}


class Quality(StrEnum):
    """How far a reading can be trusted, in the three steps of OPC UA."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    BAD = "bad"


class Flag(StrEnum):
    """Why a reading is not simply good, or what happened on the way to it."""

    RETRIED = "retried"  # good, but only after a failed attempt
    OUT_OF_RANGE = (
        "out_of_range"  # outside the quantity's plausible range; the number stands as computed
    )
    JUMP = "jump"
    STUCK = "stuck"
    HEATER = "heater"
    DISAGREES = "disagrees"
    NO_ANSWER = "no_answer"  # null: the chip did not answer
    CHECK_FAILED = "check_failed"  # null: a checksum failed on every attempt
    SENSOR_FAULT = "sensor_fault"  # null: wrong chip, impossible calibration, impossible raw value
