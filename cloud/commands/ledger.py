"""`dewline-cloud ledger`: accounts for every record's number, and shows the result."""

import argparse

from cloud.commands.arguments import Verbs, add_as_of, add_json, add_noun, add_verb, as_of_ms
from cloud.commands.printing import print_table
from cloud.commands.projecting import add_projecting
from cloud.composition.projections import open_ledger
from cloud.composition.servers import open_warehouse
from cloud.config import CloudConfig
from cloud.health.set_aside import set_aside_notes
from cloud.instants import LAST_INSTANT, shown_instant
from cloud.ledger.proof import block_list, proof
from cloud.ledger.queries import LedgerReader
from cloud.ledger.report import StreamLine, Totals, as_json, notes, summary

__all__ = ["register"]

_HEADINGS = (
    "device",
    "stream",
    "from",
    "to",
    "stored",
    "lost",
    "held",
    "unexplained",
    "doubled",
    "blocks",
    "repeated",
)


def register(nouns: Verbs) -> None:
    """Adds the noun and its verbs."""
    verbs = add_noun(
        nouns, "ledger", "Show which record numbers are stored, lost, held or unexplained."
    )
    add_projecting(verbs, open_ledger)
    show = add_verb(
        verbs,
        "show",
        "Show one line per stream, then notes on gaps, forks and conflicts.",
        "ledger show --as-of 2013-09-15T00:00:00Z",
        _show,
    )
    add_json(show)
    add_as_of(show)
    proves = add_verb(
        verbs,
        "proof",
        "Print a text to check by hand; exit code 1 if a number is unexplained or doubled.",
        "ledger proof > proof.txt",
        _proof,
    )
    proves.add_argument("--blocks", action="store_true", help="list the blocks behind each sha256")
    add_as_of(proves)


def _open(args: argparse.Namespace, config: CloudConfig) -> tuple[LedgerReader, int]:
    # Without --as-of all rows count, because ingest's clock may be ahead of this one.
    return LedgerReader(open_warehouse(config), as_of=args.as_of), as_of_ms(args)


def _show(args: argparse.Namespace, config: CloudConfig) -> int:
    reader, now = _open(args, config)
    accounts = list(reader.accounts())
    aside = set_aside_notes(open_warehouse(config), LAST_INSTANT if args.as_of is None else now)
    if args.json:
        print(as_json(accounts, now, aside))
        return 0
    table = summary(accounts)
    rows = [_cells(line) for line in table.lines]
    print_table(_HEADINGS, [*rows, _sums(table.totals)])
    for note in (*notes(accounts, now), *aside):
        print(note)
    return 0


def _cells(line: StreamLine) -> list[str | int]:
    times = [shown_instant(line.first_at), shown_instant(line.last_at)]
    return [line.device, line.stream, *times, *_counts(line)]


def _sums(totals: Totals) -> list[str | int]:
    return ["total", "", "", "", *_counts(totals)]


def _counts(of: StreamLine | Totals) -> list[str | int]:
    return [
        of.stored,
        of.lost,
        of.held,
        of.unexplained,
        of.doubled,
        of.blocks,
        of.repeated,
    ]


def _proof(args: argparse.Namespace, config: CloudConfig) -> int:
    reader, now = _open(args, config)
    if args.blocks:
        for line in block_list(reader.block_lines()):
            print(line)
        return 0
    accounts = list(reader.accounts())
    for line in proof(accounts, now):
        print(line)
    return 0 if summary(accounts).sound else 1
