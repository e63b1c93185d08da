"""`dewline-cloud transform`: the Spark projection, and what its tables hold."""

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from cloud.commands.arguments import Verbs, add_json, add_noun, add_verb
from cloud.commands.opening import open_store, open_warehouse
from cloud.commands.tables import print_table
from cloud.config import CloudConfig, SparkConfig, need
from cloud.jobs.delta import Tables
from cloud.jobs.derive import stored_counts
from cloud.jobs.transform import PROJECTION, Transform, TransformResult
from cloud.lake.cursors import RAW_CURSOR, CursorStore
from cloud.spark import session
from cloud.warehouse.loader import StagingLoader
from contract.records import Kind

__all__ = ["open_transform", "register"]


def register(nouns: Verbs) -> None:
    """Adds the noun and its verbs."""
    verbs = add_noun(nouns, "transform", "Readings and events by Spark, into the warehouse.")
    about = "Write what the fold has appended since the last run, then end."
    run = add_verb(verbs, "run", about, "transform run --until-empty", _run)
    add_json(run)
    run.add_argument(
        "--until-empty", action="store_true", help="again until the fold has appended nothing new"
    )
    about = "Rows of each kind in the derived tables, and the cursor."
    add_json(add_verb(verbs, "show", about, "transform show --json", _show))


def open_transform(config: CloudConfig, spark: SparkSession) -> Transform:
    """The projection on a session that the caller started, for one or many runs.

    Raises:
        ConfigError: A section is missing.
        SchemaOutdated: The warehouse has another schema.
        WarehouseError: MySQL did not answer.
    """
    store = open_store(config)
    return Transform(
        spark,
        _tables(config),
        folded=CursorStore(store, RAW_CURSOR),
        cursor=CursorStore(store, PROJECTION),
        loader=StagingLoader(open_warehouse(config)),
    )


def _tables(config: CloudConfig) -> Tables:
    lake = need(config.lake, "lake", config)
    return Tables(root=str(lake.folder.absolute()), period=lake.period)


@contextmanager
def _session(config: CloudConfig) -> Iterator[SparkSession]:
    with tempfile.TemporaryDirectory(prefix="dewline-spark-") as scratch:
        spark = session(config.spark or SparkConfig(), Path(scratch))
        try:
            yield spark
        finally:
            spark.stop()


def _run(args: argparse.Namespace, config: CloudConfig) -> int:
    with _session(config) as spark:
        transform = open_transform(config, spark)
        result = transform.run()
        _print_result(result, as_json=args.json)
        while args.until_empty and result is not None:
            result = transform.run()
            if result is not None:
                _print_result(result, as_json=args.json)
    return 0


def _print_result(result: TransformResult | None, *, as_json: bool) -> None:
    rows: Mapping[Kind, int] = {} if result is None else result.rows
    seconds: Mapping[str, float] = {} if result is None else result.seconds
    if as_json:
        print(json.dumps({"rows": rows, "seconds": {k: round(s, 3) for k, s in seconds.items()}}))
    elif not rows:
        print("transform: nothing new")
    else:
        shown = ", ".join(f"{total} {kind}" for kind, total in sorted(rows.items()))
        print(f"transform: {shown}; {sum(seconds.values()):.1f} s")


def _show(args: argparse.Namespace, config: CloudConfig) -> int:
    with _session(config) as spark:
        stored = stored_counts(spark, _tables(config))
    rows = {kind.value: stored.get(kind, 0) for kind in Kind}
    passed = CursorStore(open_store(config), PROJECTION).load().passed
    files = {f"{s.node}/{s.start_id}/{s.lane}": n for s, n in passed.items()}
    if args.json:
        print(json.dumps({"rows": rows, "cursor": files}))
    else:
        print_table(("kind", "rows"), list(rows.items()))
        print_table(("sequence", "passed"), sorted(files.items()))
    return 0
