"""`dewline-cloud transform`: runs the Spark projection, and shows its tables' row counts."""

import argparse
import json
from collections.abc import Mapping

from cloud.commands.arguments import Verbs, add_json, add_noun, add_verb
from cloud.commands.printing import print_table
from cloud.composition.lake import open_store
from cloud.config import CloudConfig
from cloud.lake.cursors import TRANSFORM_CURSOR, CursorStore
from contract.records import Kind

__all__ = ["register"]

# The verbs import Spark themselves: --help must work without Spark, and start fast.


def register(nouns: Verbs) -> None:
    """Adds the noun and its verbs."""
    verbs = add_noun(nouns, "transform", "Write readings and events to the warehouse, with Spark.")
    about = "Write all files that were folded since the last run, then exit."
    run = add_verb(verbs, "run", about, "transform run --until-empty", _run)
    add_json(run)
    run.add_argument(
        "--until-empty", action="store_true", help="repeat until no newly folded file is left"
    )
    about = "Show the rows of each kind in the derived tables, and the cursor."
    add_json(add_verb(verbs, "show", about, "transform show --json", _show))


def _run(args: argparse.Namespace, config: CloudConfig) -> int:
    from cloud.composition.spark import private_session  # noqa: PLC0415 - see above
    from cloud.composition.transform import open_transform  # noqa: PLC0415 - see above

    with private_session(config) as spark:
        transform = open_transform(config, spark)
        result = transform.run()
        if result is None:
            print(json.dumps({"rows": {}, "seconds": {}}) if args.json else "nothing new")
        while result is not None:
            _print_run(result.rows, result.seconds, as_json=args.json)
            result = transform.run() if args.until_empty else None
    return 0


def _print_run(rows: Mapping[Kind, int], seconds: Mapping[str, float], *, as_json: bool) -> None:
    if as_json:
        rounded = {step: round(taken_s, 3) for step, taken_s in seconds.items()}
        print(json.dumps({"rows": rows, "seconds": rounded}))
    else:
        shown = ", ".join(f"{rows[kind]} {kind}" for kind in Kind if kind in rows)
        print(f"{shown or 'no records'} in {sum(seconds.values()):.1f} s")


def _show(args: argparse.Namespace, config: CloudConfig) -> int:
    from cloud.composition.spark import private_session  # noqa: PLC0415 - see above
    from cloud.composition.transform import tables_of  # noqa: PLC0415 - see above
    from cloud.transforms.batch import stored_counts  # noqa: PLC0415 - see above

    with private_session(config) as spark:
        stored = stored_counts(spark, tables_of(config))
    rows = {kind.value: stored.get(kind, 0) for kind in Kind}
    passed = CursorStore(open_store(config), TRANSFORM_CURSOR).load().passed
    files = {f"{s.node}/{s.start_id}/{s.lane}": n for s, n in sorted(passed.items())}
    if args.json:
        print(json.dumps({"rows": rows, "cursor": files}))
    else:
        print_table(("kind", "rows"), list(rows.items()))
        print_table(("sequence", "files"), list(files.items()))
    return 0
