"""Defines the measured quantities with their units, and the quality of a measurement.

A quantity is one row of the table below. Contract, Elasticsearch, warehouse, reports and Kibana
read its facts from there.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

__all__ = ["Facts", "Flag", "Quality", "Quantity", "QuantityFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Holds the title and the unit that pages and messages show for a signal.

    Attributes:
        title: Name as shown, with a capital letter.
        shown_unit: Unit as shown; empty if there is none.
    """

    title: str
    shown_unit: str

    def shown(self, value: float) -> str:
        """Returns a value with its unit."""
        return f"{value:g} {self.shown_unit}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityFacts(Facts):
    """Holds the facts of one quantity.

    Attributes:
        unit: SenML's ASCII symbol (RFC 8428, section 12.1; RFC 8798, section 3).
        low: Lowest plausible value in that unit; a lower reading is flagged `out_of_range`.
        high: Highest plausible value.
        resolution: Smallest meaningful difference; finer digits are sensor noise.
        decimals: Default number of decimals to which a reading is rounded.
        column: Name of the column in a recording for simulated chips.
    """

    unit: str
    low: float
    high: float
    resolution: float
    decimals: int
    column: str


class Quantity(StrEnum):
    """Names a measured property; its `facts` define its only unit."""

    facts: QuantityFacts

    def __new__(cls, value: str, facts: QuantityFacts) -> Self:
        """Returns the member for a row: the name in messages, and the facts."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.facts = facts
        return member

    TEMPERATURE = (
        "temperature",
        QuantityFacts(
            title="Temperature",
            shown_unit="°C",
            unit="Cel",
            low=-55.0,
            high=150.0,
            resolution=0.01,
            decimals=2,
            column="temperature_c",
        ),
    )
    HUMIDITY = (
        "humidity",
        QuantityFacts(
            title="Relative humidity",
            shown_unit="%",
            unit="%RH",
            low=0.0,
            high=100.0,
            resolution=0.1,
            decimals=1,
            column="humidity_pct",
        ),
    )
    PRESSURE = (
        "pressure",
        QuantityFacts(
            title="Pressure",
            shown_unit="Pa",
            unit="Pa",
            low=30_000.0,
            high=110_000.0,
            resolution=1.0,
            decimals=0,
            column="pressure_pa",
        ),
    )
    CO2 = (
        "co2",
        QuantityFacts(
            title="Carbon dioxide",
            shown_unit="ppm",
            unit="ppm",
            low=0.0,
            high=40_000.0,
            resolution=1.0,
            decimals=0,
            column="co2_ppm",
        ),
    )
    ILLUMINANCE = (
        "illuminance",
        QuantityFacts(
            title="Illuminance",
            shown_unit="lx",
            unit="lx",
            low=0.0,
            high=200_000.0,
            resolution=1.0,
            decimals=0,
            column="illuminance_lx",
        ),
    )
    VOLTAGE = (
        "voltage",
        QuantityFacts(
            title="Voltage",
            shown_unit="V",
            unit="V",
            low=-1_000.0,
            high=1_000.0,
            resolution=0.001,
            decimals=3,
            column="voltage_v",
        ),
    )
    CONTACT = (
        "contact",
        QuantityFacts(
            title="Contact (1 closed, 0 open)",
            shown_unit="",
            unit="/",
            low=0.0,
            high=1.0,
            resolution=1.0,
            decimals=0,
            column="contact",
        ),
    )


class Quality(StrEnum):
    """Says how far a reading can be trusted, in the three levels of OPC UA."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    BAD = "bad"


class Flag(StrEnum):
    """Says why a reading is not `good`, or which problem was solved while reading it."""

    RETRIED = "retried"  # good, but only after a failed attempt
    OUT_OF_RANGE = (
        "out_of_range"  # outside the quantity's plausible range; the value is kept as computed
    )
    JUMP = "jump"
    STUCK = "stuck"
    HEATER = "heater"
    DISAGREES = "disagrees"
    NO_ANSWER = "no_answer"  # null: the chip did not answer
    CHECK_FAILED = "check_failed"  # null: a checksum failed on every attempt
    SENSOR_FAULT = "sensor_fault"  # null: wrong chip, impossible calibration, impossible raw value
