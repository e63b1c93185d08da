"""`dewline-cloud warehouse`: migrates and checks the schema in MySQL, and counts its rows."""

import argparse
import json

from sqlalchemy import func, select

from cloud.commands.arguments import Verbs, add_json, add_noun, add_verb
from cloud.commands.printing import print_table
from cloud.composition.servers import open_warehouse
from cloud.config import CloudConfig
from cloud.warehouse.engine import converted
from cloud.warehouse.migrate import current, migrate
from cloud.warehouse.migrations import HEAD
from cloud.warehouse.tables import FACTS

__all__ = ["register"]


def register(nouns: Verbs) -> None:
    """Adds the noun and its verbs."""
    verbs = add_noun(nouns, "warehouse", "Migrate, check or show the tables in MySQL.")
    for name, about, run in (
        ("migrate", "Migrate the schema to the version of this program.", _migrate),
        (
            "check",
            "Check the schema; exit code 1 unless it has the version of this program.",
            _check,
        ),
    ):
        add_verb(verbs, name, about, f"warehouse {name}", run)
    add_json(
        add_verb(
            verbs, "show", "Show the number of rows of each kind.", "warehouse show --json", _show
        )
    )


def _migrate(args: argparse.Namespace, config: CloudConfig) -> int:
    del args
    engine = open_warehouse(config, current=False)
    before = current(engine)
    after = migrate(engine)
    print(f"the schema is {after}" + (", unchanged" if before == after else f", it was {before}"))
    return 0


def _check(args: argparse.Namespace, config: CloudConfig) -> int:
    del args
    open_warehouse(config)
    print(f"the schema is {HEAD}, as this program expects")
    return 0


def _show(args: argparse.Namespace, config: CloudConfig) -> int:
    with converted(), open_warehouse(config).connect() as connection:
        rows = {
            kind.value: int(connection.scalar(select(func.count()).select_from(table)) or 0)
            for kind, table in FACTS.items()
        }
    if args.json:
        print(json.dumps({"rows": rows}))
    else:
        print_table(("kind", "rows"), list(rows.items()))
    return 0
