"""Defines one gateway's dashboard: readings, their quality, and forecasts beside observed alerts.

The truth (whether a condition was true) is computed in the warehouse and is not in Elasticsearch.
The dashboard shows the alerts of the gateway's rules instead; a test checks that both agree.
"""

from collections.abc import Iterator, Sequence

from cloud.search.kibana.figures import (
    ACTIVE,
    BY_CONDITION,
    BY_HOUR,
    CLEARED,
    OBSERVED_RAISED,
    ON_NOW,
    ON_TIME,
    RAISED,
    count,
    newest,
)
from cloud.search.kibana.panel import (
    Chart,
    Control,
    Dashboard,
    DataView,
    Figure,
    Function,
    Latest,
    Layer,
    Panel,
    PanelRow,
    Values,
    Where,
)
from cloud.search.kibana.views import (
    ALERTS,
    CLOUD_FORECASTS,
    PREDICTIONS,
    READINGS,
    STATUS,
    STATUS_EVER,
)
from cloud.search.templates import TIMESTAMP
from contract.quantities import Quality, Quantity
from models.conditions import MODEL_INPUTS

__all__ = ["GATEWAY"]

_EXTREMES = (("statistic", "min"), ("statistic", "max"))  # of thinned readings, beside the mean
_GOOD = Where(equal=(("quality", Quality.GOOD.value),))


def _signal(quantity: Quantity) -> Panel:
    """Returns the panel of one quantity over time; units differ, so each has its own panel."""
    title = quantity.facts.title
    where = Where(
        equal=(("quantity", quantity.value), ("quality", Quality.GOOD.value)),
        unequal=_EXTREMES,
    )
    return Panel(
        name=quantity.value,
        title=f"{title}, {quantity.facts.shown_unit}".rstrip(", "),
        about="Hourly mean of the good readings, as measured. A thinned reading counts with the "
        "mean of its span.",
        chart=Chart.LINE,
        layers=(
            Layer(
                view=READINGS,
                splits=(Values(field="sensor_id", label="Sensor"), BY_HOUR),
                metrics=(
                    Figure(name="value", label=title, function=Function.AVERAGE, field="value"),
                ),
            ),
        ),
        where=where,
    )


def _signal_rows(quantities: Sequence[Quantity]) -> Iterator[PanelRow]:
    """Returns rows of three panels."""
    for first in range(0, len(quantities), 3):
        row = quantities[first : first + 3]
        yield PanelRow(12, tuple((16, _signal(quantity)) for quantity in row))


_OTHERS = tuple(quantity for quantity in Quantity if quantity not in MODEL_INPUTS)
_AGAINST = (
    "Lines: hourly mean of the probability that the condition becomes true within its horizon. "
    "Bars, right axis: alerts that the gateway's rule raised because it observed the condition. "
    "A good forecast is high before a bar and low elsewhere. The report shows the models' "
    "scores; Elasticsearch has no outcomes."
)


def _against(name: str, title: str, view: DataView, where: Where) -> Panel:
    """Returns a panel with forecasts as lines and the rule's observed alerts as bars."""
    probability = Figure(
        name="probability",
        label="Probability",
        function=Function.AVERAGE,
        field="probability",
        where=where,
    )
    return Panel(
        name=name,
        title=title,
        about=_AGAINST,
        chart=Chart.LINE,
        layers=(
            Layer(view=view, splits=(BY_CONDITION, BY_HOUR), metrics=(probability,)),
            Layer(
                view=ALERTS,
                splits=(BY_CONDITION, BY_HOUR),
                metrics=(count("began", "Observed alerts", OBSERVED_RAISED),),
                chart=Chart.BAR,
            ),
        ),
    )


QUALITY = Panel(
    name="quality",
    title="Readings by quality",
    about="Good, uncertain and bad readings of each hour. An hour without a bar has no readings.",
    chart=Chart.BAR,
    layers=(
        Layer(
            view=READINGS,
            splits=(Values(field="quality", label="Quality", size=3), BY_HOUR),
            metrics=(count("readings", "Readings"),),
        ),
    ),
)
SIGNALS = Panel(
    name="signals",
    title="Signals",
    about="Every signal in the selected time range: number of readings, of good ones, the newest.",
    chart=Chart.TABLE,
    layers=(
        Layer(
            view=READINGS,
            splits=(
                Values(field="sensor_id", label="Sensor"),
                Values(field="quantity", label="Quantity"),
            ),
            metrics=(
                count("readings", "Readings"),
                count("good", "Good", _GOOD),
                Figure(name="low", label="Lowest", function=Function.MIN, field="value"),
                Figure(name="high", label="Highest", function=Function.MAX, field="value"),
                newest("observed", "Last observed", TIMESTAMP),
                Latest(
                    name="value",
                    label="Last value",
                    field="value",
                    by=TIMESTAMP,
                    where=Where(unequal=_EXTREMES),
                ),
            ),
        ),
    ),
)
OWN_ALERTS = Panel(
    name="alerts",
    title="Alerts",
    about="Alerts in the selected time range. An alert that was not cleared is still on. An alert "
    "that was raised before the range and cleared in it counts as -1.",
    chart=Chart.TABLE,
    layers=(
        Layer(
            view=ALERTS,
            splits=(BY_CONDITION, Values(field="basis", label="Basis", size=3)),
            metrics=(
                count("raised", "Raised", RAISED),
                count("cleared", "Cleared", CLEARED),
                ON_NOW,
                newest("last", "Last raised", TIMESTAMP, RAISED),
            ),
        ),
    ),
)
OWN_HEALTH = Panel(
    name="health",
    title="Samples without a value, and blocks held",
    about="From the gateway's Status records. Failures are counted since its last start.",
    chart=Chart.LINE,
    layers=(
        Layer(
            view=STATUS,
            splits=(BY_HOUR,),
            metrics=(
                Figure(
                    name="failures",
                    label="Failed samples",
                    function=Function.MAX,
                    field="sample_failures_total",
                ),
                Figure(
                    name="blocks", label="Blocks held", function=Function.MAX, field="queued_blocks"
                ),
            ),
        ),
    ),
)
EDGE = _against("edge", "Forecasts of the gateway, and observed alerts", PREDICTIONS, ACTIVE)
CLOUD = _against("cloud", "Forecasts of the cloud, and observed alerts", CLOUD_FORECASTS, ON_TIME)
GATEWAY = Dashboard(
    name="gateway",
    title="Dewline: one gateway",
    about="Choose a gateway above. Without a choice, the panels mix all gateways.",
    controls=(Control(field="device_id", label="Gateway", view=STATUS_EVER),),
    rows=(
        *_signal_rows(MODEL_INPUTS),
        PanelRow(12, ((24, QUALITY), (24, SIGNALS))),
        PanelRow(14, ((24, EDGE), (24, CLOUD))),
        PanelRow(12, ((24, OWN_ALERTS), (24, OWN_HEALTH))),
        *_signal_rows(_OTHERS),  # last, because many gateways do not measure these
    ),
)
