"""The fleet's dashboard: who is silent, alerts now, forecasts of the next hours, delivery."""

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
    # not at a start, which does not say, nor at a stop, which may have the instant of another
    return Latest(name=name, label=label, field=field, by=TIMESTAMP, where=_RUNNING)


GATEWAYS = Panel(
    name="gateways",
    title="Gateways known",
    about="Gateways that have ever told how they fare.",
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
    about="Raised and not yet cleared, of all times; those that a rule observed, forecasts and "
    "missing data alike.",
    chart=Chart.NUMBER,
    layers=(Layer(view=ALERTS_EVER, splits=(), metrics=(ON_NOW,)),),
)
UNDATED = Panel(
    name="undated",
    title="Readings that wait for a clock",
    about="Received within the span, not yet dated by a ClockFix: no chart by observed time has "
    "them.",
    chart=Chart.NUMBER,
    layers=(Layer(view=ARRIVALS, splits=(), metrics=(count("undated", "Readings"),)),),
    where=Where(missing="observed_at"),
)
SILENT = Panel(
    name="silent",
    title="Gateways, the longest silent first",
    about="By their last sign of life, of all times. Received long after observed: it came late. "
    "Observed long ago and received lately: it is catching up. Blocks held are those that the "
    "gateway had not delivered when it last said so while it ran. When a document became "
    "searchable stands nowhere: `dewline-cloud search verify` says what is not yet.",
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
    title="Alerts: on now, and the last ones",
    about="Per gateway, condition and basis, of all times; what is on stands at the top.",
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
    title="Forecasts of the next hours, by gateways",
    about="The newest forecast of each condition within the span: how probable it is that the "
    "condition begins within so many seconds after it was issued. Gateways forecast only what does "
    "not hold already.",
    chart=Chart.TABLE,
    layers=(Layer(view=PREDICTIONS, splits=(BY_DEVICE, BY_CONDITION), metrics=LATEST_FORECAST),),
    where=ACTIVE,
    sorted_by="probability",
)
CLOUD = Panel(
    name="cloud-forecasts",
    title="Forecasts of the next hours, by the cloud",
    about="The same by the cloud's champions, from readings that came in time.",
    chart=Chart.TABLE,
    layers=(
        Layer(view=CLOUD_FORECASTS, splits=(BY_DEVICE, BY_CONDITION), metrics=LATEST_FORECAST),
    ),
    where=ON_TIME,
    sorted_by="probability",
)
DELIVERY = Panel(
    name="delivery",
    title="Readings by the hour: observed and received",
    about="Lines that lie over each other: readings come within the hour. Received without "
    "observed, or the other way round: somebody was cut off and is back, or still is.",
    chart=Chart.LINE,
    layers=(
        Layer(view=READINGS, splits=(BY_HOUR,), metrics=(count("observed", "Observed"),)),
        Layer(
            view=ARRIVALS,
            splits=(Hours(field="received_at", label="Received, by the hour"),),
            metrics=(count("received", "Received"),),
        ),
    ),
)
HELD = Panel(
    name="held",
    title="Blocks held on gateways",
    about="The most of each hour, as gateways told it then.",
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
    about="What gateways say will never arrive, and why, of all times. Readings are estimates "
    "where no numbers exist; `dewline-cloud ledger show` has the exact account.",
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
    about="Who is silent, which alerts are on, what the next hours may bring, what is delivered.",
    rows=(
        PanelRow(6, ((16, GATEWAYS), (16, ON), (16, UNDATED))),
        PanelRow(15, ((24, SILENT), (24, ALERTS_NOW))),
        PanelRow(15, ((24, FORECASTS), (24, CLOUD))),
        PanelRow(12, ((24, DELIVERY), (12, HELD), (12, LOSSES))),
    ),
)
