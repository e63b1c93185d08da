"""Defines the data views: the documents that panels show.

A view without a time field ignores the dashboard's time range. The list of silent gateways needs
one: a gateway that has been silent for a month must be in it.
"""

from cloud.search.kibana.panel import DataView
from cloud.search.templates import TIMESTAMP
from contract.records import Kind

__all__ = [
    "ALERTS",
    "ALERTS_EVER",
    "ARRIVALS",
    "CLOUD_FORECASTS",
    "LOSSES_EVER",
    "PREDICTIONS",
    "READINGS",
    "STATUS",
    "STATUS_EVER",
    "VIEWS",
]

READINGS = DataView(
    name="readings", title="Readings, by observed time", kind=Kind.READING, time_field=TIMESTAMP
)
ARRIVALS = DataView(
    name="arrivals", title="Readings, by received time", kind=Kind.READING, time_field="received_at"
)
PREDICTIONS = DataView(
    name="predictions", title="Forecasts of gateways", kind=Kind.PREDICTION, time_field=TIMESTAMP
)
CLOUD_FORECASTS = DataView(
    name="cloud-forecasts", title="Forecasts of the cloud", kind=None, time_field=TIMESTAMP
)
ALERTS = DataView(name="alerts", title="Alerts", kind=Kind.ALERT, time_field=TIMESTAMP)
ALERTS_EVER = DataView(
    name="alerts-ever", title="Alerts, of all times", kind=Kind.ALERT, time_field=None
)
STATUS = DataView(name="status", title="Health of gateways", kind=Kind.STATUS, time_field=TIMESTAMP)
STATUS_EVER = DataView(
    name="status-ever", title="Health of gateways, of all times", kind=Kind.STATUS, time_field=None
)
LOSSES_EVER = DataView(
    name="losses-ever", title="Declared losses, of all times", kind=Kind.LOSS, time_field=None
)
VIEWS = (
    READINGS,
    ARRIVALS,
    PREDICTIONS,
    CLOUD_FORECASTS,
    ALERTS,
    ALERTS_EVER,
    STATUS,
    STATUS_EVER,
    LOSSES_EVER,
)
