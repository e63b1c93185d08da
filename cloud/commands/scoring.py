"""`dewline-cloud scoring`: computes the cloud's forecasts for landed readings, live or once."""

import argparse
import json
import logging

from cloud.commands.arguments import Verbs, add_json, add_noun, add_verb, stop_on_signal
from cloud.composition.lake import open_store
from cloud.config import CloudConfig
from cloud.lake.cursors import SCORING_CURSOR, CursorStore
from cloud.lake.positions import Cursor
from cloud.scoring.batch_defaults import FILES_PER_BATCH, TRIGGER_S
from contract.errors import DewlineError
from contract.typed import plain

__all__ = ["register"]

# The verbs import Spark themselves: --help must work without Spark, and start fast.

_log = logging.getLogger(__name__)


def register(nouns: Verbs) -> None:
    """Adds the noun and its verbs."""
    verbs = add_noun(
        nouns, "scoring", "Forecast from landed readings, with the champions (released models)."
    )
    about = "Score new landing files until SIGTERM."
    run = add_verb(verbs, "run", about, "scoring run --every 2", _run)
    run.add_argument(
        "--every",
        type=float,
        default=TRIGGER_S,
        metavar="SECONDS",
        help=f"time between the starts of two batches (default {TRIGGER_S:g})",
    )
    _add_files(run)
    about = "Score everything that has landed by now, then exit."
    once = add_verb(verbs, "once", about, "scoring once --json", _once)
    _add_files(once)
    add_json(once)
    about = "Reset the cursor: the next run scores the whole lake again."
    add_verb(verbs, "rebuild", about, "scoring rebuild", _rebuild)


def _add_files(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--files",
        type=int,
        default=FILES_PER_BATCH,
        metavar="N",
        help=f"maximum of landing files in one batch (default {FILES_PER_BATCH})",
    )


def _run(args: argparse.Namespace, config: CloudConfig) -> int:
    from cloud.composition.scoring import open_scoring  # noqa: PLC0415 - see above
    from cloud.composition.spark import private_session  # noqa: PLC0415 - see above

    stop = stop_on_signal()
    with private_session(config) as spark:
        scoring = open_scoring(config, spark, trigger_s=args.every, files_per_batch=args.files)
        scoring.run(stop, _said)
    return 0


def _said(error: DewlineError) -> None:
    _log.warning("scoring waits at its cursor: %s", error)


def _once(args: argparse.Namespace, config: CloudConfig) -> int:
    from cloud.composition.scoring import open_scoring  # noqa: PLC0415 - see above
    from cloud.composition.spark import private_session  # noqa: PLC0415 - see above

    with private_session(config) as spark:
        scoring = open_scoring(config, spark, files_per_batch=args.files)
        scoring.process_available()
    done = scoring.totals
    if args.json:
        print(json.dumps(plain(done)))
    else:
        print(
            f"{done.readings_total} readings ({done.undated_total} undated) in "
            f"{done.batches_total} batches: {done.forecasts_total} forecasts, "
            f"{done.removed_total} removed"
        )
    return 0


def _rebuild(_args: argparse.Namespace, config: CloudConfig) -> int:
    CursorStore(open_store(config), SCORING_CURSOR).save(Cursor())
    print("scoring: the cursor is at the lake's beginning; the next run scores everything again")
    return 0
