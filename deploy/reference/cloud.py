"""Generates the tables of docs/cloud.md: configuration keys, commands, tables of the warehouse.

`python -m deploy.reference.cloud docs/cloud.md` rewrites the text between the markers `<!-- table:
NAME -->` and `<!-- end of table -->`. With `--check` it writes nothing and exits with 1 if the page
is stale. The rest of the page is written by hand.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Table

from cloud import config
from cloud.cli import parser_of
from cloud.columns import COLUMNS, COMMON
from cloud.search.kibana.objects import DASHBOARDS
from cloud.search.kibana.panel import Dashboard, Panel
from cloud.warehouse.tables import FACTS, METADATA, STAGING
from contract.quantities import Quantity
from contract.records import RECORD_TYPES
from deploy.reference import page
from deploy.reference.settings import keys_table

__all__ = ["SECTIONS", "commands", "main", "rewritten", "tables"]

SECTIONS: dict[str, Any] = {
    "lake": config.LakeConfig,
    "ingest": config.IngestConfig,
    "search": config.SearchConfig,
    "kibana": config.KibanaConfig,
    "warehouse": config.WarehouseConfig,
    "spark": config.SparkConfig,
    "fleet": config.FleetConfig,
    "registry": config.RegistryConfig,
    "rollout": config.RolloutConfig,
    "api": config.ApiConfig,
    "health": config.HealthConfig,
    "ca": config.CaConfig,
}
_EXAMPLE = "example: dewline-cloud --config cloud.toml "
_GRAINS = {
    "ledger_delivery": "one readable block in a committed file",
    "ledger_stream": "one Status of phase `start`: a stream and its predecessor",
    "ledger_loss": "one Loss record",
    "ledger_held": "one Held record",
    "quarantine_block": "one refused block or document, with the reason",
    "truth": "one interval in which a condition held",
    "cloud_prediction": "one forecast of the cloud",
    "outcome": "one forecast, compared with the known truth",
    "model": "one version of a model",
    "model_alias": "one change of an alias",
    "decision": "one cycle and condition: the decision and its figures",
    "candidate": "one model family tried in a cycle, with its score on the weeks of the choice",
    "monitoring": "one cycle, condition, device and origin; empty means all devices or origins",
    "quality_span": "one time in which a signal's readings are unfit, with the kind of fault",
    "reliability": "one cycle, condition, origin and bin of probability",
    "desired": "the published desired state of one device",
}


def tables() -> dict[str, str]:
    """Returns every generated table by its name, as Markdown."""
    keys = {f"keys of {name}": keys_table(cls) for name, cls in SECTIONS.items()}
    panels = {f"panels of {board.name}": _panels(board) for board in DASHBOARDS}
    return (
        keys
        | panels
        | {
            "commands": _commands(),
            "options": _options(),
            "kinds": _kinds(),
            "other tables": _other_tables(),
        }
    )


def _panels(dashboard: Dashboard) -> str:
    rows = dict.fromkeys((_title(panel), panel.about) for panel in dashboard.panels())
    return page.table(("panel", "content"), list(rows))


def _title(panel: Panel) -> str:
    """Returns the panel's title; panels of quantities share one title, and so one row."""
    return "each quantity, with its unit" if panel.name in list(Quantity) else panel.title


def rewritten(text: str) -> str:
    """Returns a page with current tables; raises KeyError if it names an unknown table."""
    return page.rewritten(text, tables())


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yields every `noun verb` with its parser."""
    for noun, parser in _choices(parser_of(())).items():
        verbs = _choices(parser)
        if not verbs:  # a command without a verb
            yield noun, parser
        for verb, leaf in verbs.items():
            yield f"{noun} {verb}", leaf


def _choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001  # argparse has no public access to its verbs
        if isinstance(action.choices, dict):
            return dict(action.choices)
    return {}


def _commands() -> str:
    rows = [
        (f"`{name}`", parser.description or "", _example(parser)) for name, parser in commands()
    ]
    return page.table(("command", "effect", "example"), rows)


def _example(parser: argparse.ArgumentParser) -> str:
    return f"`{(parser.epilog or '').removeprefix(_EXAMPLE)}`"


def _options() -> str:
    takers: dict[tuple[str, str], list[str]] = {}
    for name, parser in commands():
        for action in parser._actions:  # noqa: SLF001  # see above
            if action.dest != "help":
                value = "" if action.nargs == 0 else f"{action.metavar or action.dest.upper()}"
                shown = " ".join([*action.option_strings[-1:], value]).strip()
                takers.setdefault((f"`{shown}`", action.help or ""), []).append(f"`{name}`")
    rows = [(option, ", ".join(names), text) for (option, text), names in takers.items()]
    return page.table(("option", "of", "meaning"), rows)


def _kinds() -> str:
    rows = []
    for kind, columns in COLUMNS.items():
        about = (RECORD_TYPES[kind].__doc__ or "").strip().splitlines()[0]
        own = ", ".join(f"`{column.name}`" for column in columns[len(COMMON) :])
        rows.append((f"`{FACTS[kind].name}`", f"`{kind}`", about, own))
    return page.table(("table", "kind", "purpose of a row", "its own columns"), rows)


def _other_tables() -> str:
    kinds = {table.name for table in (*FACTS.values(), *STAGING.values())}
    others = [t for name, t in sorted(METADATA.tables.items()) if name not in kinds]
    rows = [(f"`{t.name}`", _GRAINS[t.name], _key(t)) for t in others]
    return page.table(("table", "one row is", "key"), rows)


def _key(table: Table) -> str:
    return ", ".join(f"`{column.name}`" for column in table.primary_key)


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrites the generated parts of a page, or checks that they are current."""
    return page.maintain("deploy.reference.cloud", tables(), arguments)


if __name__ == "__main__":
    sys.exit(main())
