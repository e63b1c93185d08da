"""`dewline-cloud quarantine`: shows the blocks and documents that were refused, and why."""

import argparse
import base64
import json
from collections.abc import Sequence
from typing import Any

from cloud.commands.arguments import Verbs, add_as_of, add_json, add_noun, add_verb
from cloud.commands.printing import print_table
from cloud.commands.projecting import add_projecting
from cloud.composition.projections import open_quarantine, open_quarantine_projection
from cloud.config import CloudConfig
from cloud.instants import LAST_INSTANT, shown_instant
from cloud.plausible import set_aside
from cloud.projections.quarantine import SEARCH_REFUSED, Quarantined
from contract.errors import ContractError
from contract.wire import decode

__all__ = ["register"]


def register(nouns: Verbs) -> None:
    """Adds the noun and its verbs."""
    verbs = add_noun(nouns, "quarantine", "Show blocks and documents that were refused, and why.")
    add_projecting(verbs, open_quarantine_projection)
    about = "Show the number of rows per reason, the devices over the limit, and the newest rows."
    show = add_verb(verbs, "show", about, "quarantine show --newest 5", _show)
    add_json(show)
    show.add_argument("--newest", type=int, default=20, metavar="N", help="rows (default 20)")
    about = "Print every row with its bytes (base64), one JSON document per line."
    export = add_verb(verbs, "export", about, "quarantine export > quarantine.jsonl", _export)
    about = "List the blocks that would be accepted today; change nothing."
    retry = add_verb(verbs, "retry", about, "quarantine retry", _retry)
    for verb in (show, export, retry):
        add_as_of(verb)


def _as_of(args: argparse.Namespace) -> int:
    return LAST_INSTANT if args.as_of is None else int(args.as_of)


def _show(args: argparse.Namespace, config: CloudConfig) -> int:
    quarantine, as_of = open_quarantine(config), _as_of(args)
    totals = quarantine.totals(as_of=as_of)
    counted = quarantine.counted(as_of=as_of)
    documents = quarantine.counted_documents(as_of=as_of)
    items = list(quarantine.items(as_of=as_of, newest=args.newest))
    if args.json:
        newest = [_table(item) for item in items]
        found = {
            "totals": dict(totals),
            "without_row": dict(counted),
            "documents_without_row": dict(documents),
            "newest": newest,
        }
        print(json.dumps(found, indent=2))
        return 0
    print_table(("code", "rows"), totals)
    newest_heads = ("received", "device", "digest", "bytes", "reason")
    _print_more(("device", "more blocks, only in the lake"), counted)
    _print_more(("device", "more refusals of documents"), documents)
    _print_more(newest_heads, [_cells(item) for item in items])
    return 0


def _print_more(heads: Sequence[str], rows: Sequence[Sequence[str | int]]) -> None:
    if rows:
        print()
        print_table(heads, rows)


def _cells(item: Quarantined) -> list[str | int]:
    what = item.reason if item.record_key is None else f"{item.record_key}: {item.reason}"
    received_at = shown_instant(item.received_at)
    return [received_at, item.device_id, item.digest, len(item.payload), what]


def _table(item: Quarantined) -> dict[str, Any]:
    at = item.position
    table = {
        "received_at": shown_instant(item.received_at),
        "device_id": item.device_id,
        "digest": item.digest,
        "code": item.code,
        "reason": item.reason,
        "topic": item.topic,
        "record_key": item.record_key,
        "payload_bytes": len(item.payload),
    }
    if at is not None:
        sequence = at.sequence
        table["file"] = f"{sequence.node}/{sequence.start_id}/{sequence.lane}/{at.n}"
    return table


def _export(args: argparse.Namespace, config: CloudConfig) -> int:
    for item in open_quarantine(config).items(as_of=_as_of(args)):
        payload = base64.b64encode(item.payload).decode("ascii")
        print(json.dumps(_table(item) | {"payload": payload}))
    return 0


def _retry(args: argparse.Namespace, config: CloudConfig) -> int:
    readable = blocks_total = 0
    for item in open_quarantine(config).items(as_of=_as_of(args)):
        if item.code == SEARCH_REFUSED:
            continue
        blocks_total += 1
        try:
            block = decode(item.payload)
        except ContractError:
            continue
        if set_aside(block, item.received_at).seqs:
            continue
        readable += 1
        print(f"{item.device_id} {item.digest}: {block.stream_id} {block.first}-{block.last}")
    print(f"{readable} of {blocks_total} blocks are accepted now; a replay of the lake stores them")
    return 0
