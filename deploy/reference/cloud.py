"""Generates the tables of docs/cloud.md: configuration keys, commands, panels of Kibana.

`python -m deploy.reference.cloud docs/cloud.md` rewrites the text between the markers `<!-- table:
NAME -->` and `<!-- end of table -->`. With `--check` it writes nothing and exits with 1 if the page
is stale. The rest of the page is written by hand.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from cloud import config
from cloud.cli import parser_of
from cloud.search.kibana.objects import DASHBOARDS
from cloud.search.kibana.panel import Dashboard, Panel
from contract.quantities import Quantity
from deploy.reference import page
from deploy.reference.settings import keys_table

__all__ = ["SECTIONS", "commands", "main", "rewritten", "tables"]

SECTIONS: dict[str, Any] = {
    "lake": config.LakeConfig,
    "ingest": config.IngestConfig,
    "search": config.SearchConfig,
    "kibana": config.KibanaConfig,
    "warehouse": config.WarehouseConfig,
    "site": config.SiteConfig,
    "spark": config.SparkConfig,
    "fleet": config.FleetConfig,
    "registry": config.RegistryConfig,
    "rollout": config.RolloutConfig,
    "api": config.ApiConfig,
    "health": config.HealthConfig,
    "ca": config.CaConfig,
}
_EXAMPLE = "example: dewline-cloud --config cloud.toml "


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrites the generated parts of a page, or checks that they are current."""
    return page.maintain("deploy.reference.cloud", tables(), arguments)


if __name__ == "__main__":
    sys.exit(main())
