"""`dewline-cloud import`: brings files of other systems into the lake, or shows the result."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from cloud.clock import SystemClock
from cloud.commands.arguments import Verbs, add_json, add_verb
from cloud.commands.import_progress import meter
from cloud.commands.printing import print_table
from cloud.composition.lake import open_store
from cloud.config import CloudConfig
from cloud.errors import HistoryError
from cloud.importing.mapping import Mapping
from cloud.importing.mapping_file import Overrides, read_mapping, ready
from cloud.importing.preview import Preview, preview
from cloud.importing.refusals import REASONS, Refused
from cloud.importing.run import Importer, Outcome, Watch
from cloud.importing.source import sources_of
from cloud.importing.state import Done, imports_of, overlapping
from cloud.instants import shown_instant
from contract.errors import ConfigError
from contract.typed import plain

__all__ = ["register"]

T = TypeVar("T", Outcome, Preview)


def register(nouns: Verbs) -> None:
    """Adds the noun, which has no verbs."""
    about = (
        "Import files of other systems into the lake by a mapping; a repeated or interrupted "
        "import stores nothing twice."
    )
    example = "import store.csv --mapping store.toml --dry-run"
    verb = add_verb(nouns, "import", about, example, _run)
    verb.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files or folders")
    verb.add_argument(
        "--mapping", metavar="MAPPING", help="a TOML file, or a name that --list shows"
    )
    verb.add_argument("--list", action="store_true", help="list the ready mappings and the imports")
    verb.add_argument("--device", metavar="ID", help="the device of all rows")
    verb.add_argument("--sensor", metavar="ID", help="the sensor of all rows")
    verb.add_argument("--zone", metavar="ZONE", help="time zone of times without one")
    verb.add_argument(
        "--dry-run", action="store_true", help="write nothing; show the first readings"
    )
    verb.add_argument(
        "--rows", type=int, default=10, metavar="N", help="with --dry-run: readings to show"
    )
    verb.add_argument(
        "--again", action="store_true", help="import also what another mapping has imported"
    )
    add_json(verb)


def _run(args: argparse.Namespace, config: CloudConfig) -> int:
    if args.list:
        return _list(args, config)
    if args.mapping is None or not args.paths:
        raise ConfigError("import: name files or folders and --mapping, or use --list")
    overrides = Overrides(device=args.device, sensor=args.sensor, zone=args.zone)
    mapping = read_mapping(args.mapping, overrides)
    paths = list(sources_of(args.paths))
    return _preview(args, mapping, paths) if args.dry_run else _import(args, config, mapping, paths)


def _list(args: argparse.Namespace, config: CloudConfig) -> int:
    done = imports_of(open_store(config)) if config.lake is not None else ()
    if args.json:
        print(json.dumps({"mappings": dict(ready()), "imports": [plain(d) for d in done]}))
        return 0
    print_table(("mapping", "for"), list(ready()))
    if done:
        print()
        print_table(
            ("imported file", "at", "readings", "refused"),
            [(d.file, shown_instant(d.received_at), d.readings, d.refused) for d in done],
        )
    return 0


def _preview(args: argparse.Namespace, mapping: Mapping, paths: Sequence[Path]) -> int:
    now_ms = SystemClock().utc_ms()

    def one(path: Path, watch: Watch) -> Preview:
        return preview(path, mapping, now_ms, args.rows, watch)

    found, failed = _each(paths, one, _print_preview if not args.json else None)
    if args.json:
        print(json.dumps({"files": [plain(p) for p in found], "failed": failed}))
    return 1 if failed else 0


def _import(
    args: argparse.Namespace, config: CloudConfig, mapping: Mapping, paths: Sequence[Path]
) -> int:
    store = open_store(config)
    earlier = list(imports_of(store))
    importer = Importer(store, mapping, SystemClock().utc_ms(), again=args.again)

    def one(path: Path, watch: Watch) -> Outcome:
        outcome = importer.run(path, watch)
        if not outcome.known:
            _warn_of_overlap(outcome, earlier)
        return outcome

    found, failed = _each(paths, one, _print_outcome if not args.json else None)
    if args.json:
        readings = sum(o.readings for o in found if not o.known)
        table = {"readings": readings, "files": [plain(o) for o in found], "failed": failed}
        print(json.dumps(table))
    return 1 if failed else 0


def _warn_of_overlap(outcome: Outcome, earlier: list[Done]) -> None:
    """Warns of readings that are in the lake twice, from two files; remembers this file."""
    others = overlapping(outcome.spans, earlier)
    if others:
        print(
            f"dewline-cloud: {outcome.file} has signals and times that {', '.join(others[:3])} has "
            "too: readings in both files are stored twice",
            file=sys.stderr,
        )
    earlier.append(
        Done(
            file=Path(outcome.file).name,
            received_at=0,
            readings=outcome.readings,
            blocks=outcome.blocks,
            files=outcome.files,
            refused=0,
            spans=outcome.spans,
        )
    )


def _each(
    paths: Sequence[Path], one: Callable[[Path, Watch], T], show: Callable[[T], None] | None
) -> tuple[list[T], int]:
    """Returns the results of all files that can be read, and the number of the others."""
    sizes = {path: path.stat().st_size for path in paths}
    found: list[T] = []
    failed = 0
    with meter(sum(sizes.values())) as shown:
        for path in paths:
            try:
                result = one(path, partial(shown.show, path))
            except HistoryError as error:
                print(f"dewline-cloud: {error}", file=sys.stderr)
                failed += 1
                continue
            shown.next_file(sizes[path], result.readings)
            found.append(result)
            if show is not None:
                show(result)
    return found, failed


def _print_preview(found: Preview) -> None:
    print(f"{found.file}: {found.readings} readings would be stored, {found.missing} missing")
    rows = [
        (s.line, shown_instant(s.at), s.device, s.signal, f"{s.value:g} {s.unit}", s.quality)
        + ((s.statistic,) if s.statistic else ("sample",))
        for s in found.first
    ]
    if rows:
        print_table(("line", "time", "device", "signal", "value", "quality", "statistic"), rows)
    _print_refused(found.refused)


def _print_outcome(found: Outcome) -> None:
    if found.known:
        print(f"{found.file}: imported before ({found.readings} readings); nothing to do")
        return
    resumed = f", {found.resumed_files} of them by an earlier run" if found.resumed_files else ""
    print(
        f"{found.file}: {found.readings} readings stored in {found.blocks} blocks and "
        f"{found.files} landing files{resumed}; {found.missing} values missing"
    )
    _print_refused(found.refused)


def _print_refused(refused: Sequence[Refused]) -> None:
    if refused:
        print_table(
            ("refused", "total", "first lines", "first text", "meaning"),
            [
                (r.reason, r.total, ", ".join(map(str, r.lines)), r.text, REASONS[r.reason])
                for r in refused
            ],
        )
