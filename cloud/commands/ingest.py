"""`dewline-cloud ingest`: writes blocks from the broker into the lake, and acks them."""

import argparse

from cloud.clock import SystemClock
from cloud.commands.arguments import Verbs, add_noun, add_verb, stop_on_signal
from cloud.config import CloudConfig, need

__all__ = ["register"]


def register(nouns: Verbs) -> None:
    """Adds the noun and its verbs."""
    verbs = add_noun(nouns, "ingest", "Write blocks from the broker into the lake.")
    add_verb(
        verbs,
        "run",
        "Receive blocks, commit them to the lake and ack them, until SIGTERM.",
        "ingest run",
        _run,
    )


def _run(_args: argparse.Namespace, config: CloudConfig) -> int:
    # Imported here: --help and other commands need neither paho nor Arrow.
    from cloud.composition.lake import open_store  # noqa: PLC0415 - see above
    from cloud.ingest.service import run_ingest  # noqa: PLC0415 - see above

    store = open_store(config)
    ingest = need(config.ingest, "ingest", config)
    run_ingest(ingest, store, SystemClock(), stop_on_signal())
    return 0
