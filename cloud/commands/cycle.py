"""`dewline-cloud cycle`: judges forecasts, trains due models, sets what devices should run."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cloud.commands.arguments import Verbs, add_as_of, add_json, add_noun, add_verb, as_of_ms
from cloud.commands.printing import print_table
from cloud.config import CloudConfig
from cloud.instants import shown_instant

if TYPE_CHECKING:
    from cloud.cycle import CycleResult

__all__ = ["register", "result_table"]

# The verb imports Spark itself: --help must work without Spark, and start fast.
_DECISIONS = ("condition", "candidate", "baseline", "model", "skill", "low", "high", "decision")


def register(nouns: Verbs) -> None:
    """Adds the noun and its verb."""
    verbs = add_noun(
        nouns, "cycle", "Judge forecasts, train due models, set what devices should run."
    )
    about = "Run one cycle, then exit; repeating it for the same instant is safe."
    run = add_verb(verbs, "run", about, "cycle run --as-of 2026-04-01T00:00:00Z", _run)
    add_json(run)
    add_as_of(run)
    run.add_argument(
        "--no-training", action="store_true", help="judge the existing models, train none"
    )


def _run(args: argparse.Namespace, config: CloudConfig) -> int:
    from cloud.composition.cycle import open_cycle  # noqa: PLC0415 - see above
    from cloud.composition.spark import private_session  # noqa: PLC0415 - see above

    with private_session(config) as spark:
        cycle = open_cycle(config, spark, _silent if args.json else print)
        result = cycle.run(as_of_ms(args), train=not args.no_training)
    if args.json:
        print(json.dumps(result_table(result)))
        return 0
    print_table(_DECISIONS, [_cells(row) for row in result_table(result)["decisions"]])
    print(f"devices with a new desired state: {', '.join(result.told) or 'none'}")
    return 0


def _silent(text: str) -> None:
    del text


def result_table(result: "CycleResult") -> dict[str, Any]:
    """Returns a cycle's result as a table for JSON."""
    decisions = [asdict(row) for row in result.decisions]
    for row in decisions:
        row["cycle_at"] = shown_instant(row["cycle_at"])
    return {
        "decisions": decisions,
        "told": list(result.told),
        "judged": [asdict(judged) for judged in result.judged],
    }


def _cells(row: dict[str, Any]) -> list[str | int]:
    briers = [_figure(row[name], ".4f") for name in ("brier_baseline", "brier_model")]
    skills = [_figure(row[name], "+.3f") for name in ("skill", "skill_low", "skill_high")]
    return [row["condition_id"], row["candidate"] or "-", *briers, *skills, row["decision"]]


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
