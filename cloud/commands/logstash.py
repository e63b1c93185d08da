"""`dewline-cloud logstash ...`: composes the trial of the pipelines and translates arguments."""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from cloud.clock import SystemClock
from cloud.commands.arguments import Verbs, add_json, add_noun, add_verb
from cloud.composition.servers import open_door, open_search
from cloud.config import CloudConfig, need
from cloud.logstash import dead_letters
from cloud.logstash.cases import read_cases
from cloud.logstash.trial import Trial, Verdict, prefix_of_check

__all__ = ["register"]

_CASES = Path("tests/cloud/logstash/cases")
_LIMIT_S = 60.0


def register(subparsers: Verbs) -> None:
    """Adds the noun `logstash`."""
    verbs = add_noun(subparsers, "logstash", "Logstash between search projection and Elasticsearch")
    about = "Make the index of dead letters; may be repeated."
    add_verb(verbs, "setup", about, "logstash setup", _setup)
    about = (
        "Post sample events to a running Logstash and compare what arrives in Elasticsearch; exit "
        "status 1 if it differs. It has been tried on a stand-in only, never on a real Logstash."
    )
    check = add_verb(verbs, "check", about, "logstash check --url https://logstash:8443", _check)
    check.add_argument("--url", metavar="URL", help="the http input, instead of logstash_url")
    check.add_argument(
        "--cases", type=Path, default=_CASES, metavar="FOLDER", help="of the sample events"
    )
    check.add_argument(
        "--limit",
        type=float,
        default=_LIMIT_S,
        metavar="SECONDS",
        help="time for everything to arrive (default 60)",
    )
    add_json(check)


def _setup(_args: argparse.Namespace, config: CloudConfig) -> int:
    prefix = need(config.search, "search", config).prefix
    print(f"index {dead_letters.install(open_search(config), prefix)}")
    return 0


def _check(args: argparse.Namespace, config: CloudConfig) -> int:
    prefix = need(config.search, "search", config).prefix
    cases = read_cases(args.cases, prefix_of_check(prefix))
    door, store = open_door(config, url=args.url), open_search(config)
    try:
        trial = Trial(door, store, prefix, SystemClock(), time.sleep)
        verdicts = trial.run(cases, args.limit)
    finally:
        door.close()
        store.close()
    _print(verdicts, as_json=args.json)
    return 1 if any(verdict.faults for verdict in verdicts) else 0


def _print(verdicts: Sequence[Verdict], *, as_json: bool) -> None:
    failed = [verdict for verdict in verdicts if verdict.faults]
    if as_json:
        faults = {verdict.case: list(verdict.faults) for verdict in failed}
        print(json.dumps({"cases": len(verdicts), "failed": len(failed), "faults": faults}))
        return
    for verdict in verdicts:
        print(f"{'fails' if verdict.faults else 'holds'}  {verdict.case}")
        for fault in verdict.faults:
            print(f"       {fault}")
    print(f"{len(failed)} of {len(verdicts)} cases fail")
