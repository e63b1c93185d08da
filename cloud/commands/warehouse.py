"""`dewline-cloud warehouse`: migrates and checks the schema in MySQL, shows its rows."""

import argparse
import csv
import json
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from cloud.commands.arguments import (
    Verbs,
    add_as_of,
    add_json,
    add_noun,
    add_verb,
    as_of_ms,
    day,
)
from cloud.commands.printing import print_table
from cloud.composition.servers import open_warehouse
from cloud.config import CloudConfig
from cloud.warehouse.engine import converted
from cloud.warehouse.migrate import current, migrate
from cloud.warehouse.migrations import HEAD
from cloud.warehouse.queries import QUERIES, Answer, Asked, ask
from cloud.warehouse.tables import FACTS

__all__ = ["register"]

_DEFAULT_DAYS = 7


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
    about = "Print the rows of a named query; without a name, list the queries."
    example = "warehouse query daily --device gw-attic --from 2026-11-01 --csv"
    _add_filters(add_verb(verbs, "query", about, example, _query))


def _add_filters(parser: argparse.ArgumentParser) -> None:
    add_json(parser)
    add_as_of(parser)
    parser.add_argument("--csv", action="store_true", help="print CSV with a heading")
    parser.add_argument(
        "name", nargs="?", choices=sorted(QUERIES), metavar="NAME", help="name of the query"
    )
    parser.add_argument("--device", metavar="ID", help="only rows of this device")
    parser.add_argument(
        "--from",
        dest="first",
        type=day,
        metavar="DAY",
        help=f"first day (default: {_DEFAULT_DAYS} days before the last day)",
    )
    parser.add_argument(
        "--to", dest="last", type=day, metavar="DAY", help="last day (default: today, UTC)"
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


def _query(args: argparse.Namespace, config: CloudConfig) -> int:
    if args.name is None:
        _print(Answer(("query", "rows"), [(q.name, q.about) for q in QUERIES.values()]), args)
        return 0
    last = args.last or datetime.fromtimestamp(as_of_ms(args) / 1000, UTC).date()
    asked = Asked(
        device_id=args.device,
        first_day=args.first or last - timedelta(days=_DEFAULT_DAYS),
        last_day=last,
    )
    _print(ask(open_warehouse(config), QUERIES[args.name], asked), args)
    return 0


def _print(answer: Answer, args: argparse.Namespace) -> None:
    rows = [tuple(map(_cell, row)) for row in answer.rows]
    if args.json:
        print(json.dumps([dict(zip(answer.columns, row, strict=True)) for row in rows]))
    elif args.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows(rows)
    else:
        print_table(answer.columns, [["" if c is None else c for c in row] for row in rows])


def _cell(value: Any) -> Any:
    """Return a cell as text or number: instants as RFC 3339 with milliseconds, days as ISO 8601."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    return value
