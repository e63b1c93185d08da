"""Prints the demo's progress and results, and collects the figures of `summary.json`."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from cloud.ledger.report import Totals
from contract.records import Kind
from deploy.local.proof import LakeCount, Line, totals
from deploy.local.spent import cpu_s

__all__ = ["Proof", "Steps", "show", "summary", "verdict"]


@dataclass(slots=True)
class Steps:
    """Prints each step with its duration, and keeps the durations for the summary."""

    console: Console
    seconds: dict[str, float] = field(default_factory=dict)
    begun_s: float = field(default_factory=time.monotonic)

    @contextmanager
    def step(self, name: str, text: str) -> Iterator[None]:
        """Prints the step, and measures the time of the `with` block."""
        begun_s = time.monotonic()
        self.console.print(f"[bold]{text}[/bold]", highlight=False)
        yield
        self.seconds[name] = round(time.monotonic() - begun_s, 2)
        self.say(f"{self.seconds[name]:.1f} s")

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Adds the time of the `with` block, a part of the current step, to that of `name`."""
        begun_s = time.monotonic()
        yield
        spent_s = self.seconds.get(f"of_which_{name}", 0.0) + time.monotonic() - begun_s
        self.seconds[f"of_which_{name}"] = round(spent_s, 2)

    def say(self, text: str) -> None:
        """Prints a detail of the current step."""
        self.console.print(f"    {text}", highlight=False, style="dim")


@dataclass(frozen=True, slots=True)
class Proof:
    """Holds the counts after all processes have stopped.

    Attributes:
        lines: Lines of the result table.
        lake: Counts of the lake's files.
        ledger: Totals of the ledger.
        search_equal: Whether lake and Elasticsearch have the same numbers of each stream.
    """

    lines: Sequence[Line]
    lake: LakeCount
    ledger: Totals
    search_equal: bool

    @property
    def closed(self) -> bool:
        """True if records were produced, and none is lost, doubled or unexplained."""
        return (
            any(line.produced for line in self.lines)
            and self.search_equal
            and not self.ledger.unexplained
            and not self.ledger.doubled
            and not any(line.lost or line.doubled for line in self.lines)
        )


def show(proof: Proof, console: Console) -> None:
    """Prints the result table and the ledger's totals."""
    table = Table(title="Records of the gateways, counted in every store")
    for heading in ("gateway", "kind"):
        table.add_column(heading)
    headings = ("produced", "sent", "in the lake", "searchable", "warehouse", "lost", "doubled")
    for heading in headings:
        table.add_column(heading, justify="right")
    for line in (ln for ln in proof.lines if not ln.empty):
        numbers = (line.produced, line.sent, line.lake, line.search, line.warehouse)
        wrong = [f"[red]{n}[/red]" if n else "0" for n in (line.lost, line.doubled)]
        table.add_row(line.device, line.kind.value, *(f"{n:,}" for n in numbers), *wrong)
    console.print(table)
    absent = sorted(kind for kind, n in totals(proof.lake.keys).items() if not n)
    console.print(f"kinds without records in any store: {', '.join(absent)}")
    ledger = proof.ledger
    console.print(
        f"ledger: {ledger.stored:,} numbers stored, {ledger.lost} declared lost, "
        f"{ledger.unexplained} unexplained, {ledger.doubled} doubled; "
        f"{proof.lake.repeated} of {proof.lake.deliveries:,} deliveries were repeated blocks, "
        "which are stored once",
        highlight=False,
    )


def summary(proof: Proof, steps: Steps, servers: Mapping[str, str]) -> dict[str, object]:
    """Returns the figures for `summary.json`.

    Args:
        proof: The counts.
        steps: The steps with their durations.
        servers: Products and versions from `deploy.local.versions`.
    """

    def column(name: str) -> dict[str, int]:
        return totals({(ln.device, ln.kind): getattr(ln, name) for ln in proof.lines})

    readings = sum(n for (_, kind), n in proof.lake.keys.items() if kind is Kind.READING)
    return {
        "produced": column("produced"),
        "lake": column("lake"),
        "search": column("search"),
        "warehouse": column("warehouse"),
        "lost": sum(line.lost for line in proof.lines),
        "doubled": sum(line.doubled for line in proof.lines) + proof.ledger.doubled,
        "unexplained": proof.ledger.unexplained,
        "bytes_per_reading": round(proof.lake.payload_bytes / max(1, readings), 2),
        "seconds": steps.seconds,
        "total_s": round(time.monotonic() - steps.begun_s, 2),
        "cpu_s": cpu_s(),
        "servers": dict(servers),
    }


def verdict(figures: dict[str, object], console: Console, *, closed: bool) -> None:
    """Prints whether all checks passed, and the time used."""
    text = "No record is missing or doubled." if closed else "CHECKS FAILED: see the tables above."
    console.print(
        f"[bold]{text}[/bold] {figures['bytes_per_reading']} bytes per reading, "
        f"{figures['total_s']} s in total, {figures['cpu_s']} s of processor time.",
        highlight=False,
    )
