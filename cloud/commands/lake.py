"""`dewline-cloud lake`: folds, shows, exports and verifies the lake.

The fold appends landing files to table `raw` and deletes those that nothing reads any more.
"""

import argparse
import json
import logging
import threading
from pathlib import Path

from cloud.commands.arguments import (
    Verbs,
    add_as_of,
    add_json,
    add_noun,
    add_verb,
    as_of_ms,
    day,
    stop_on_signal,
)
from cloud.composition.lake import open_raw, open_store
from cloud.config import CloudConfig, LakeConfig, need
from cloud.errors import LakeError
from cloud.lake.cursors import all_cursors
from cloud.lake.export import ExportFilter, export
from cloud.lake.fold import FoldResult, fold
from cloud.lake.raw import RawTable
from cloud.lake.reader import LakeReader
from cloud.lake.store import FolderStore
from cloud.lake.survey import show, verify
from contract.typed import plain
from transport.backoff import Backoff

__all__ = ["register"]

_FOLD_EVERY_S = 60.0

_log = logging.getLogger(__name__)


def register(nouns: Verbs) -> None:
    """Adds the noun and its verbs."""
    verbs = add_noun(
        nouns, "lake", "Fold, show, export or verify the lake, which stores all blocks."
    )
    _add_fold(verbs)
    _add_export(verbs)
    for name, about, run in (
        ("show", "Show how many files are landed, folded and projected.", _show),
        (
            "verify",
            "Read everything: check that no file is missing, and that landing and table agree.",
            _verify,
        ),
    ):
        add_json(add_verb(verbs, name, about, f"lake {name}", run))


def _add_fold(verbs: Verbs) -> None:
    about = "Append landing files to table raw, then delete those that nothing needs any more."
    verb = add_verb(verbs, "fold", about, "lake fold", _fold)
    verb.add_argument("--follow", action="store_true", help="repeat until SIGTERM")
    verb.add_argument(
        "--every",
        type=float,
        default=_FOLD_EVERY_S,
        metavar="SECONDS",
        help="with --follow: time between two folds",
    )
    verb.add_argument(
        "--compact", action="store_true", help="merge the table's small files afterwards"
    )
    add_as_of(verb)
    add_json(verb)


def _add_export(verbs: Verbs) -> None:
    about = "Write the payloads as received, one file per block, and an index."
    example = "lake export --device ewr --day 2013-02-03 --out blocks"
    verb = add_verb(verbs, "export", about, example, _export)
    verb.add_argument("--out", type=Path, required=True, help="a new or empty folder")
    verb.add_argument("--device", help="only this device's blocks")
    verb.add_argument("--day", type=day, help="only blocks whose own time is on this UTC day")
    add_json(verb)


def _open(config: CloudConfig) -> tuple[LakeConfig, FolderStore, RawTable]:
    lake = need(config.lake, "lake", config)
    if not lake.folder.is_dir():
        raise LakeError(
            f"[lake] root: {lake.folder} is not a folder. Correct it, or run ingest first"
        )
    return lake, open_store(config), open_raw(config)


def _fold(args: argparse.Namespace, config: CloudConfig) -> int:
    if args.follow:
        _follow(args, config, stop_on_signal())
        return 0
    result = _fold_all(args, config)
    print(json.dumps(plain(result)) if args.json else _said(result))
    return 0


def _said(result: FoldResult) -> str:
    return (
        f"appended {result.appended_files} files ({result.appended_blocks} blocks), "
        f"deleted {result.deleted_files} from the landing"
    )


def _follow(args: argparse.Namespace, config: CloudConfig, stop: threading.Event) -> None:
    backoff = Backoff()
    while not stop.is_set():
        try:
            result = _fold_all(args, config)
        except LakeError as error:
            if not error.retryable:
                raise
            _log.error("fold: %s", error)
            stop.wait(backoff.wait_s())
        else:
            backoff.reset()
            if result.appended_files or result.deleted_files:
                _log.info("fold: %s", _said(result))
            stop.wait(args.every)


def _fold_all(args: argparse.Namespace, config: CloudConfig) -> FoldResult:
    lake, store, raw = _open(config)
    results: list[FoldResult] = []
    while not results or results[-1].more:
        cursors = all_cursors(store).values()
        results.append(fold(store, raw, cursors, as_of_ms(args), lake.grace_s))
    if args.compact:
        raw.compact()
    return FoldResult(
        appended_files=sum(r.appended_files for r in results),
        appended_blocks=sum(r.appended_blocks for r in results),
        deleted_files=sum(r.deleted_files for r in results),
        more=False,
    )


def _show(args: argparse.Namespace, config: CloudConfig) -> int:
    _, store, _ = _open(config)
    shown = show(store)
    if args.json:
        print(json.dumps(plain(shown)))
        return 0
    for s in shown.sequences:
        print(f"{s.sequence}  last {s.last}  folded {s.folded}  in the landing {s.landed_files}")
    for p in shown.projections:
        print(f"projection {p.projection}  {p.behind_files} files behind")
    return 0


def _export(args: argparse.Namespace, config: CloudConfig) -> int:
    _, store, raw = _open(config)
    wanted = ExportFilter(device_id=args.device, day=args.day)
    total = export(LakeReader(store, raw), args.out, wanted)
    print(json.dumps({"blocks": total}) if args.json else f"{total} blocks in {args.out}")
    return 0


def _verify(args: argparse.Namespace, config: CloudConfig) -> int:
    _, store, raw = _open(config)
    findings = list(verify(store, raw))
    if args.json:
        print(json.dumps({"findings": findings}))
    else:
        print("\n".join(findings) or "the lake is complete")
    return 1 if findings else 0
