"""Generates the tables of docs/edge.md from the configuration's dataclasses and the drivers.

`python -m deploy.reference.edge docs/edge.md` rewrites the text between the markers `<!-- table:
NAME -->` and `<!-- end of table -->`. With `--check` it writes nothing and exits with 1 if the page
is stale. The rest of the page is written by hand.
"""

import sys
from collections.abc import Sequence
from typing import Any

from deploy.reference import page
from deploy.reference.settings import cells_of, keys_table
from edge.configuration.config import GatewayConfig
from edge.configuration.sections import (
    AlertOutputConfig,
    BoardConfig,
    ClockConfig,
    CommitConfig,
    ModelsConfig,
    OutboxConfig,
    SensorConfig,
    UplinkConfig,
)
from firmware_bridge import chips
from models.conditions import Condition

__all__ = ["CONFIG_TABLES", "main", "rewritten", "tables"]

CONFIG_TABLES: dict[str, Any] = {
    "top level": GatewayConfig,
    "outbox": OutboxConfig,
    "uplink": UplinkConfig,
    "board": BoardConfig,
    "clock": ClockConfig,
    "commit": CommitConfig,
    "alert_output": AlertOutputConfig,
    "models": ModelsConfig,
    "sensor": SensorConfig,
    "condition": Condition,
}


def tables() -> dict[str, str]:
    """Returns every generated table by its name, as Markdown."""
    keys = {f"keys of {name}": keys_table(cls) for name, cls in CONFIG_TABLES.items()}
    return keys | {f"driver {name}": _driver(name) for name in chips.driver_names()}


def rewritten(text: str) -> str:
    """Returns a page with current tables; raises KeyError if it names an unknown table."""
    return page.rewritten(text, tables())


def _driver(name: str) -> str:
    driver = chips.load(name)
    manual = (sys.modules[driver.Config.__module__].__doc__ or "").partition("Quirks")[0]
    measured = "list of " + ", ".join(f'`"{q.value}"`' for q in driver.QUANTITIES)
    rows = [
        (key, measured if key == "`quantities`" else value, missing)
        for key, value, missing in cells_of(driver.Config)
    ]
    return f"{manual.strip()}\n\n" + page.table(("key", "value", "if missing"), rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrites the generated parts of a page, or checks that they are current."""
    return page.maintain("deploy.reference.edge", tables(), arguments)


if __name__ == "__main__":
    sys.exit(main())
