"""One gateway's dashboard: readings with their quality, forecasts against what the rule observed.

What truly happened is computed in the warehouse and is not in Elasticsearch; the alerts that the
gateway's own rules raised are, and a test of the project holds them to be the same instants.
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
    """One quantity over time: its unit has a panel of its own."""
    title = quantity.facts.title
    where = Where(
        equal=(("quantity", quantity.value), ("quality", Quality.GOOD.value)),
        unequal=_EXTREMES,
    )
    return Panel(
        name=quantity.value,
        title=f"{title}, {quantity.facts.shown_unit}".rstrip(", "),
        about="Mean of each hour's good readings, raw as they were measured; of thinned ones the "
        "mean of their span.",
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
    """Rows of three panels."""
    for first in range(0, len(quantities), 3):
        row = quantities[first : first + 3]
        yield PanelRow(12, tuple((16, _signal(quantity)) for quantity in row))


_OTHERS = tuple(quantity for quantity in Quantity if quantity not in MODEL_INPUTS)
_AGAINST = (
    "Lines: probability that the condition begins within its horizon, mean of the hour. "
    "Bars, on the right axis: alerts that the gateway's rule raised because it observed the "
    "condition. A good line is high before a bar and low elsewhere. Scores against the "
    "computed truth are in the report, not here: outcomes are in MySQL alone."
)


def _against(name: str, title: str, view: DataView, where: Where) -> Panel:
    """Forecasts as lines, and the alerts that the rule then observed as bars."""
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
                metrics=(count("began", "Observed to begin", OBSERVED_RAISED),),
                chart=Chart.BAR,
            ),
        ),
    )


QUALITY = Panel(
    name="quality",
    title="Readings by quality",
    about="Good, uncertain and bad readings of each hour; an hour without a bar has none at all.",
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
    about="Every signal within the span: how many readings, how many of them good, the newest.",
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
    about="Within the span; raised and still on where nothing has cleared it. One that was raised "
    "before the span and cleared within it counts as -1.",
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
    about="As the gateway tells it: failures are counted from its start on.",
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
EDGE = _against("edge", "Forecasts of the gateway, and what its rule observed", PREDICTIONS, ACTIVE)
CLOUD = _against(
    "cloud", "Forecasts of the cloud, and what the rule observed", CLOUD_FORECASTS, ON_TIME
)
GATEWAY = Dashboard(
    name="gateway",
    title="Dewline: one gateway",
    about="Choose a gateway above: without a choice the panels mix all of them.",
    controls=(Control(field="device_id", label="Gateway", view=STATUS_EVER),),
    rows=(
        *_signal_rows(MODEL_INPUTS),
        PanelRow(12, ((24, QUALITY), (24, SIGNALS))),
        PanelRow(14, ((24, EDGE), (24, CLOUD))),
        PanelRow(12, ((24, OWN_ALERTS), (24, OWN_HEALTH))),
        *_signal_rows(_OTHERS),  # many gateways do not measure these: their panels come last
    ),
)
