"""Defines the fleet's dashboard: silent gateways, active alerts, forecasts and delivery."""

from cloud.search.kibana.figures import (
    ACTIVE,
    BY_CONDITION,
    BY_DEVICE,
    BY_HOUR,
    CLEARED,
    LATEST_FORECAST,
    ON_NOW,
    ON_TIME,
    RAISED,
    count,
    newest,
)
from cloud.search.kibana.panel import (
    Chart,
    Dashboard,
    Figure,
    Function,
    Hours,
    Latest,
    Layer,
    Panel,
    PanelRow,
    Shown,
    Values,
    Where,
)
from cloud.search.kibana.views import (
    ALERTS_EVER,
    ARRIVALS,
    CLOUD_FORECASTS,
    LOSSES_EVER,
    PREDICTIONS,
    READINGS,
    STATUS,
    STATUS_EVER,
)
from cloud.search.templates import TIMESTAMP

__all__ = ["FLEET"]

_RUNNING = Where(equal=(("phase", "running"),))


def _held(name: str, label: str, field: str) -> Latest:
    # A Status at start has no such figures, and one at stop may have another's instant.
    return Latest(name=name, label=label, field=field, by=TIMESTAMP, where=_RUNNING)


GATEWAYS = Panel(
    name="gateways",
    title="Gateways known",
    about="Gateways that have ever sent a Status.",
    chart=Chart.NUMBER,
    layers=(
        Layer(
            view=STATUS_EVER,
            splits=(),
            metrics=(
                Figure(
                    name="devices",
                    label="Gateways",
                    function=Function.UNIQUE,
                    field="device_id",
                ),
            ),
        ),
    ),
)
ON = Panel(
    name="on",
    title="Alerts on now",
    about="Alerts that were raised and are not yet cleared, whenever they were raised: observed "
    "conditions, forecasts and missing data.",
    chart=Chart.NUMBER,
    layers=(Layer(view=ALERTS_EVER, splits=(), metrics=(ON_NOW,)),),
)
UNDATED = Panel(
    name="undated",
    title="Readings without a time",
    about="Readings received in the selected time range that no ClockFix has dated yet. Charts by "
    "observed time do not show them.",
    chart=Chart.NUMBER,
    layers=(Layer(view=ARRIVALS, splits=(), metrics=(count("undated", "Readings"),)),),
    where=Where(missing="observed_at"),
)
SILENT = Panel(
    name="silent",
    title="Gateways, longest silent first",
    about="The last Status of each gateway, however old. A Status that was received long after it "
    "was observed was delivered late. If it was received recently but observed long ago, the "
    "gateway is sending its backlog. Blocks held is the backlog in the last Status of a running "
    "gateway. Indexing time is not recorded: `dewline-cloud search verify` shows differences.",
    chart=Chart.TABLE,
    layers=(
        Layer(
            view=STATUS_EVER,
            splits=(Values(field="device_id", label="Gateway", size=1000, by="received"),),
            metrics=(
                newest("received", "Last received", "received_at"),
                newest("observed", "Last observed", TIMESTAMP),
                _held("held", "Blocks held", "queued_blocks"),
                _held("held-bytes", "Bytes held", "queued_bytes"),
                Latest(
                    name="version",
                    label="Version",
                    field="version",
                    by=TIMESTAMP,
                    shown=Shown.WORD,
                ),
            ),
        ),
    ),
)
ALERTS_NOW = Panel(
    name="alerts-now",
    title="Alerts: on now, and the latest",
    about="Per gateway, condition and basis, of all times. Active alerts are at the top.",
    chart=Chart.TABLE,
    layers=(
        Layer(
            view=ALERTS_EVER,
            splits=(BY_DEVICE, BY_CONDITION, Values(field="basis", label="Basis", size=3)),
            metrics=(
                ON_NOW,
                newest("raised", "Last raised", TIMESTAMP, RAISED),
                newest("cleared", "Last cleared", TIMESTAMP, CLEARED),
            ),
        ),
    ),
    sorted_by="on",
)
FORECASTS = Panel(
    name="forecasts",
    title="Forecasts of gateways for the next hours",
    about="The newest forecast of each condition in the selected time range: the probability that "
    "the condition becomes true within the given seconds after the forecast was issued. Gateways "
    "forecast a condition only while it is false.",
    chart=Chart.TABLE,
    layers=(Layer(view=PREDICTIONS, splits=(BY_DEVICE, BY_CONDITION), metrics=LATEST_FORECAST),),
    where=ACTIVE,
    sorted_by="probability",
)
CLOUD = Panel(
    name="cloud-forecasts",
    title="Forecasts of the cloud for the next hours",
    about="The same, computed by the cloud's champions (released models) from readings that were "
    "received in time.",
    chart=Chart.TABLE,
    layers=(
        Layer(view=CLOUD_FORECASTS, splits=(BY_DEVICE, BY_CONDITION), metrics=LATEST_FORECAST),
    ),
    where=ON_TIME,
    sorted_by="probability",
)
DELIVERY = Panel(
    name="delivery",
    title="Readings per hour: observed and received",
    about="If both lines are equal, readings arrive within the hour. If only one of them has "
    "values, a gateway was offline and has sent its backlog, or is still offline.",
    chart=Chart.LINE,
    layers=(
        Layer(view=READINGS, splits=(BY_HOUR,), metrics=(count("observed", "Observed"),)),
        Layer(
            view=ARRIVALS,
            splits=(Hours(field="received_at", label="Received, per hour"),),
            metrics=(count("received", "Received"),),
        ),
    ),
)
HELD = Panel(
    name="held",
    title="Blocks held on gateways",
    about="Maximum of each hour, from the Status records of that hour.",
    chart=Chart.LINE,
    layers=(
        Layer(
            view=STATUS,
            splits=(BY_DEVICE, BY_HOUR),
            metrics=(
                Figure(name="blocks", label="Blocks", function=Function.MAX, field="queued_blocks"),
            ),
        ),
    ),
)
LOSSES = Panel(
    name="losses",
    title="Declared lost",
    about="Readings that gateways have declared lost, and the reasons, of all times. Losses "
    "without record numbers are estimates; `dewline-cloud ledger show` has exact numbers.",
    chart=Chart.TABLE,
    layers=(
        Layer(
            view=LOSSES_EVER,
            splits=(BY_DEVICE, Values(field="reason", label="Reason", size=3)),
            metrics=(
                count("losses", "Declarations"),
                Figure(
                    name="estimated",
                    label="Readings, estimated",
                    function=Function.SUM,
                    field="estimated_total",
                ),
            ),
        ),
    ),
)
FLEET = Dashboard(
    name="fleet",
    title="Dewline: fleet",
    about="Silent gateways, active alerts, forecasts for the next hours, and delivery.",
    rows=(
        PanelRow(6, ((16, GATEWAYS), (16, ON), (16, UNDATED))),
        PanelRow(15, ((24, SILENT), (24, ALERTS_NOW))),
        PanelRow(15, ((24, FORECASTS), (24, CLOUD))),
        PanelRow(12, ((24, DELIVERY), (12, HELD), (12, LOSSES))),
    ),
)
