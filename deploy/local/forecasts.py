"""Prints the demo's results about models: decisions, December, gateways, alerts.

Decisions and scores come from the warehouse. The running bundles come from the gateways' slots (a
slot holds the bundle that a gateway runs for a condition).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, func, select

from cloud.instants import shown_instant
from cloud.monitoring.alerts import AlertCounts
from cloud.monitoring.store import alerts_judged
from cloud.registry import DecisionRow, Registry
from cloud.warehouse.engine import converted
from cloud.warehouse.model_tables import CLOUD_PREDICTIONS
from deploy.local.agreement import Agreement
from deploy.local.fleet import Gateway
from edge.bundles.slot_store import SlotStore
from models.conditions import Condition

__all__ = ["Closing", "cloud_predictions", "gather", "show_forecasts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """Holds the results about models.

    Attributes:
        decisions: All decisions, oldest first.
        december: Scores of the last cycle's candidates on windows that no decision has used.
        running: Version of each condition's model by gateway.
        as_desired: Whether all gateways run the versions that the registry names.
        alerts: Counts of observed and forecast alerts by condition.
        cloud_predictions: Number of the cloud's forecasts in Elasticsearch and in MySQL.
        agreement: Agreement of rules with labels, and of gateways with the cloud.
    """

    decisions: Sequence[DecisionRow]
    december: Sequence[Mapping[str, Any]]
    running: Mapping[str, Mapping[str, str]]
    as_desired: bool
    alerts: Mapping[str, AlertCounts]
    cloud_predictions: tuple[int, int]
    agreement: Agreement

    @property
    def closed(self) -> bool:
        """True if there are decisions, and all checks of models and forecasts passed."""
        earned = all(
            d.skill_low is not None and d.skill_low > 0
            for d in self.decisions
            if d.decision == "adopted"
        )
        searchable, stored = self.cloud_predictions
        whole = searchable == stored > 0
        found = bool(self.decisions) and self.agreement.agreed
        return found and self.as_desired and earned and whole

    def summary(self) -> dict[str, object]:
        """Returns the figures for the demo's summary file."""
        counts = list(self.alerts.values())
        return {
            "decisions": [_decision(row) for row in self.decisions],
            "december": {row["condition_id"]: _december(row) for row in self.december},
            "gateways": {name: {"bundles": dict(b)} for name, b in self.running.items()},
            "alerts": {
                "observed": sum(c.observed for c in counts),
                "forecast": sum(c.forecast for c in counts),
                "hits": sum(c.hits for c in counts),
                "misses": sum(c.misses for c in counts),
                "false": sum(c.false_alarms for c in counts),
            },
            "cloud_predictions": self.cloud_predictions[1],
            "agreement": asdict(self.agreement),
        }


def _decision(row: DecisionRow) -> dict[str, object]:
    return {
        "cycle": shown_instant(row.cycle_at),
        "condition": row.condition_id,
        "candidate": row.candidate,
        "brier_baseline": row.brier_baseline,
        "brier_model": row.brier_model,
        "skill": row.skill,
        "skill_low": row.skill_low,
        "skill_high": row.skill_high,
        "event_weeks": row.event_weeks,
        "decision": row.decision,
        "reason": row.reason,
    }


def _december(row: Mapping[str, Any]) -> dict[str, object]:
    found = row["skill"]
    return {
        "skill": found["skill"],
        "skill_low": found["low"],
        "skill_high": found["high"],
        "event_weeks": found["event_weeks"],
        "version": row["version"],
        "adopted": row["adopted"],
    }


def gather(
    engine: Engine,
    registry: Registry,
    conditions: Sequence[Condition],
    gateways: Sequence[Gateway],
    until_ms: int,
) -> tuple[Sequence[DecisionRow], Mapping[str, Mapping[str, str]], Mapping[str, AlertCounts]]:
    """Returns decisions, running versions, and alerts up to an instant (ms since 1970 UTC)."""
    versions = {row.sha256: row.version for row in registry.models()}
    running = {g.device: _running(g, conditions, versions) for g in gateways}
    alerts = {c.id: alerts_judged(engine, c, 0, until_ms) for c in conditions}
    return registry.decisions(), running, alerts


def _running(
    gateway: Gateway, conditions: Sequence[Condition], versions: Mapping[str, str]
) -> dict[str, str]:
    slots = SlotStore(gateway.models_folder)
    found = {c.id: slots.slot(c.id) for c in conditions}
    return {
        name: versions.get(slot.current, "unknown")
        for name, slot in found.items()
        if slot is not None
    }


def cloud_predictions(engine: Engine) -> int:
    """Returns the number of rows of the cloud's forecasts. Raises WarehouseError."""
    with converted(), engine.connect() as connection:
        return int(connection.scalar(select(func.count()).select_from(CLOUD_PREDICTIONS)) or 0)


def show_forecasts(closing: Closing, console: Console) -> None:
    """Prints the tables about models."""
    _show_decisions(closing, console)
    _show_december(closing, console)
    _show_alerts(closing, console)
    for device, bundles in closing.running.items():
        shown = ", ".join(f"{name} {version}" for name, version in bundles.items())
        console.print(f"{device} runs {shown}", highlight=False)
    same = "the versions" if closing.as_desired else "[red]NOT the versions[/red]"
    searchable, stored = closing.cloud_predictions
    console.print(
        f"gateways run {same} that the registry names; forecasts of the cloud: {stored:,} rows, "
        f"{searchable:,} documents",
        highlight=False,
    )
    a = closing.agreement
    console.print(
        f"rules and labels: {a.changes_total:,} changes, {a.changes_apart} differ; gateways and "
        f"cloud: {a.windows_total:,} windows forecast by both, largest difference {a.largest:.1g} "
        f"({a.windows_apart:,} windows forecast only by a gateway, with a model that the cloud had "
        "replaced)",
        highlight=False,
    )


def _show_alerts(closing: Closing, console: Console) -> None:
    table = Table(title="Alerts of the last four months, all gateways")
    for heading in ("condition", "observed", "forecast", "hits", "misses", "false alarms"):
        table.add_column(heading, justify="left" if heading == "condition" else "right")
    for name, c in closing.alerts.items():
        numbers = (c.observed, c.forecast, c.hits, c.misses, c.false_alarms)
        table.add_row(name, *(f"{n:,}" for n in numbers))
    console.print(table)


def _show_decisions(closing: Closing, console: Console) -> None:
    table = Table(title="Models: decisions of each cycle, on weeks that no earlier one had used")
    for heading in ("cycle", "condition", "candidate"):
        table.add_column(heading)
    for heading in ("Brier baseline", "model", "skill [95 %]", "weeks", "decision", "champion"):
        table.add_column(heading)
    for d in closing.decisions:
        table.add_row(
            shown_instant(d.cycle_at)[:10] if d.cycle_at else "",
            d.condition_id,
            d.candidate or "-",
            _brier(d.brier_baseline),
            _brier(d.brier_model),
            _bounds(d.skill, d.skill_low, d.skill_high),
            str(d.event_weeks),
            d.decision.replace("_", " "),
            d.version or "-",
        )
    console.print(table)


def _show_december(closing: Closing, console: Console) -> None:
    table = Table(title="December, which no decision has used: the last candidates")
    for heading in ("condition", "version", "released", "skill [95 %]", "weeks with events"):
        table.add_column(heading)
    for row in closing.december:
        found = row["skill"]
        table.add_row(
            row["condition_id"],
            row["version"],
            "yes" if row["adopted"] else "no",
            _bounds(found["skill"], found["low"], found["high"]),
            str(found["event_weeks"]),
        )
    console.print(table)


def _brier(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _bounds(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"
