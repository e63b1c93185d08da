"""Defines figures and splits that several panels use."""

from cloud.search.kibana.panel import (
    ALL,
    Difference,
    Figure,
    Function,
    Hours,
    Latest,
    Shown,
    Values,
    Where,
)
from cloud.search.templates import TIMESTAMP

__all__ = [
    "ACTIVE",
    "BY_CONDITION",
    "BY_DEVICE",
    "BY_HOUR",
    "CLEARED",
    "LATEST_FORECAST",
    "OBSERVED_RAISED",
    "ON_NOW",
    "ON_TIME",
    "RAISED",
    "count",
    "newest",
]

RAISED = Where(equal=(("state", "raised"),))
CLEARED = Where(equal=(("state", "cleared"),))
OBSERVED_RAISED = Where(equal=(("state", "raised"), ("basis", "observed")))
ACTIVE = Where(equal=(("mode", "active"),))  # shadow models raise no alerts
ON_TIME = Where(equal=(("late", False),))  # a late forecast was computed after its time

BY_DEVICE = Values(field="device_id", label="Gateway", size=1000)
BY_CONDITION = Values(field="condition_id", label="Condition")
BY_HOUR = Hours(field=TIMESTAMP, label="Observed, per hour")


def count(name: str, label: str, where: Where = ALL) -> Figure:
    """Returns the figure that counts documents."""
    return Figure(name=name, label=label, function=Function.COUNT, where=where)


def newest(name: str, label: str, field: str, where: Where = ALL) -> Figure:
    """Returns the figure of a field's latest instant."""
    return Figure(
        name=name, label=label, function=Function.MAX, field=field, shown=Shown.DATE, where=where
    )


ON_NOW = Difference(name="on", label="On now", of=RAISED, less=CLEARED)
LATEST_FORECAST = (
    newest("issued", "Issued", TIMESTAMP),
    Latest(name="probability", label="Probability", field="probability", by=TIMESTAMP),
    Latest(name="horizon", label="Within, s", field="horizon_s", by=TIMESTAMP),
    Latest(
        name="version", label="Model's version", field="version", by=TIMESTAMP, shown=Shown.WORD
    ),
)
