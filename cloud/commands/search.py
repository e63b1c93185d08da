"""`dewline-cloud search`: writes the lake's records to Elasticsearch, and compares both."""

import argparse
import json
from collections.abc import Sequence

from cloud.commands.arguments import Verbs, add_json, add_noun, add_verb
from cloud.commands.printing import print_table
from cloud.commands.projecting import add_projecting
from cloud.composition.lake import open_lake, open_store
from cloud.composition.search import open_retirement, open_search_projection
from cloud.composition.servers import index_names, open_search, search_retention
from cloud.config import CloudConfig
from cloud.lake.cursors import CursorStore
from cloud.lake.positions import Cursor
from cloud.projections.repair import repair, with_missing
from cloud.projections.search import SearchProjection
from cloud.search.retention import Kept
from cloud.search.templates import install
from cloud.search.verify import StreamComparison, compare, keys_in_lake, search_counts, totals

__all__ = ["register"]

_SHOWN = 20  # streams that `verify` lists one by one


def register(subparsers: Verbs) -> None:
    """Adds the noun `search`."""
    verbs = add_noun(subparsers, "search", "Write the lake's records to Elasticsearch.")
    setup = add_verb(
        verbs, "setup", "Create or update the index templates.", "search setup", _setup
    )
    setup.add_argument(
        "--replicas", type=int, default=0, metavar="N", help="copies of each index (default 0)"
    )
    add_projecting(verbs, open_search_projection, open_retirement)
    about = "Compare the documents with the lake's keys; exit code 1 if they differ."
    add_json(add_verb(verbs, "verify", about, "search verify --json", _verify))
    about = (
        "Write the documents again that `verify` finds missing, directly to Elasticsearch; exit "
        "code 1 if some are still missing."
    )
    add_json(add_verb(verbs, "repair", about, "search repair", _repair))
    about = (
        "Delete indices whose whole period is older than [search] keep_days; `follow` does it once "
        "a day."
    )
    add_verb(verbs, "retire", about, "search retire", _retire)
    about = "Reset the cursor: the next run writes the whole lake again."
    add_verb(verbs, "rebuild", about, "search rebuild", _rebuild)


def _setup(args: argparse.Namespace, config: CloudConfig) -> int:
    for name in install(open_search(config), index_names(config), replicas=args.replicas):
        print(f"template {name}")
    return 0


def _verify(args: argparse.Namespace, config: CloudConfig) -> int:
    client, names, kept = open_search(config), index_names(config), _kept(config)
    lake = keys_in_lake(open_lake(config).after(Cursor()), kept)
    found = compare(lake, search_counts(client, names, kept))
    if args.json:
        print(_as_json(found))
    else:
        _print(found)
    return 0 if all(c.equal for c in found) else 1


def _repair(args: argparse.Namespace, config: CloudConfig) -> int:
    lake, client, names = open_lake(config), open_search(config), index_names(config)
    kept = _kept(config)
    keys = keys_in_lake(lake.after(Cursor()), kept)
    before = with_missing(compare(keys, search_counts(client, names, kept)))
    repair(open_search_projection(config, direct=True), lake.after(Cursor()), before)
    after = compare(keys, search_counts(client, names, kept)) if before else []
    left = [c for c in after if c.lake.records > c.search.records]
    if args.json:
        print(json.dumps({"streams": len(before), "missing": [_as_table(c) for c in left]}))
    else:
        print(f"{len(before)} streams written again")
        _print_differing(left)
    return 1 if left else 0


def _kept(config: CloudConfig) -> Kept | None:
    retention = search_retention(config)
    return None if retention is None else retention.kept()


def _retire(_args: argparse.Namespace, config: CloudConfig) -> int:
    retirement = open_retirement(config)
    if retirement is None:
        print("nothing is deleted: [search] keep_days is not set")
        return 0
    for index in retirement.retire():
        print(f"deleted {index}")
    return 0


def _rebuild(_args: argparse.Namespace, config: CloudConfig) -> int:
    CursorStore(open_store(config), SearchProjection.name).save(Cursor())
    print("search: the cursor is at the lake's beginning; the next run writes everything again")
    return 0


def _as_json(found: Sequence[StreamComparison]) -> str:
    differing = [c for c in found if not c.equal]
    return json.dumps(
        {
            "equal": not differing,
            "lake": totals(found, lambda c: c.lake),
            "search": totals(found, lambda c: c.search),
            "differing": [_as_table(c) for c in differing],
        }
    )


def _as_table(c: StreamComparison) -> dict[str, str | int]:
    return {
        "kind": c.of.kind,
        "device_id": c.of.device_id,
        "stream_id": c.of.stream_id,
        "lake": c.lake.records,
        "search": c.search.records,
    }


def _print(found: Sequence[StreamComparison]) -> None:
    lake, search = totals(found, lambda c: c.lake), totals(found, lambda c: c.search)
    print_table(("kind", "lake", "search"), [(k.value, lake[k], search[k]) for k in lake])
    differing = [c for c in found if not c.equal]
    _print_differing(differing)
    print(f"{len(differing)} of {len(found)} streams differ")
    if differing:
        print("let Logstash's queues become empty; then `search repair` writes missing documents")


def _print_differing(differing: Sequence[StreamComparison]) -> None:
    for c in differing[:_SHOWN]:
        print(
            f"differs: {c.of.kind} of {c.of.device_id} stream {c.of.stream_id}: "
            f"{c.lake.records} keys in the lake, {c.search.records} documents"
        )
