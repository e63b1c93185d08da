"""What can be measured, in which one unit, and how good one measurement is.

A quantity is one row of the table below: contract, Elasticsearch, warehouse, reports and Kibana
take what they need from it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

__all__ = ["Facts", "Flag", "Quality", "Quantity", "QuantityFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What people read of a signal, measured or derived.

    Attributes:
        title: Its name for people, as it begins a sentence.
        shown_unit: Its unit for people; empty where it has none.
    """

    title: str
    shown_unit: str

    def shown(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:g} {self.shown_unit}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityFacts(Facts):
    """Facts of one quantity.

    Attributes:
        unit: SenML's ASCII symbol (RFC 8428, section 12.1; RFC 8798, section 3).
        low: Lowest plausible value in that unit; below it a reading is flagged `out_of_range`.
        high: Highest plausible value.
        resolution: The smallest difference that means something; finer digits are sensor noise.
        decimals: Default number of decimals that a reading is rounded to.
        column: Name of its column in a recording that feeds simulated chips.
    """

    unit: str
    low: float
    high: float
    resolution: float
    decimals: int
    column: str


class Quantity(StrEnum):
    """A measured property; its `facts` fix its one unit."""

    facts: QuantityFacts

    def __new__(cls, value: str, facts: QuantityFacts) -> Self:
        """The member of this row: its name on the wire and its facts."""
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
