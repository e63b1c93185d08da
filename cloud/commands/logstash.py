"""`dewline-cloud logstash`: creates the index of dead letters, and tests the pipelines."""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from cloud.clock import SystemClock
from cloud.commands.arguments import Verbs, add_json, add_noun, add_verb
from cloud.composition.servers import open_http_input, open_search
from cloud.config import CloudConfig, need
from cloud.logstash import dead_letters
from cloud.logstash.cases import read_cases
from cloud.logstash.pipeline_trial import CaseResult, PipelineTrial, prefix_of_check

__all__ = ["register"]

_CASES = Path("tests/cloud/logstash/cases")
_LIMIT_S = 60.0


def register(subparsers: Verbs) -> None:
    """Adds the noun `logstash`."""
    verbs = add_noun(
        subparsers, "logstash", "Test Logstash between the search projection and Elasticsearch."
    )
    about = "Create the index of dead letters; repeating it is safe."
    add_verb(verbs, "setup", about, "logstash setup", _setup)
    about = (
        "Post sample events to Logstash and compare the documents in Elasticsearch; exit code 1 "
        "if they differ. It may run beside `search follow`. Tried on Logstash 9.6.0."
    )
    check = add_verb(verbs, "check", about, "logstash check --url https://logstash:8443", _check)
    check.add_argument(
        "--url", metavar="URL", help="address of the http input, instead of logstash_url"
    )
    check.add_argument(
        "--cases", type=Path, default=_CASES, metavar="FOLDER", help="folder of the sample events"
    )
    check.add_argument(
        "--limit",
        type=float,
        default=_LIMIT_S,
        metavar="SECONDS",
        help="time for a busy intake and for missing documents (default 60)",
    )
    add_json(check)


def _setup(_args: argparse.Namespace, config: CloudConfig) -> int:
    prefix = need(config.search, "search", config).prefix
    print(f"index {dead_letters.install(open_search(config), prefix)}")
    return 0


def _check(args: argparse.Namespace, config: CloudConfig) -> int:
    prefix = need(config.search, "search", config).prefix
    cases = read_cases(args.cases, prefix_of_check(prefix))
    http_input, store = open_http_input(config, url=args.url), open_search(config)
    try:
        trial = PipelineTrial(http_input, store, prefix, SystemClock(), time.sleep)
        results = trial.run(cases, args.limit)
    finally:
        http_input.close()
        store.close()
    _print(results, as_json=args.json)
    return 1 if any(result.faults for result in results) else 0


def _print(results: Sequence[CaseResult], *, as_json: bool) -> None:
    failed = [result for result in results if result.faults]
    if as_json:
        faults = {result.case: list(result.faults) for result in failed}
        print(json.dumps({"cases": len(results), "failed": len(failed), "faults": faults}))
        return
    for result in results:
        print(f"{'fails' if result.faults else 'holds'}  {result.case}")
        for fault in result.faults:
            print(f"       {fault}")
    print(f"{len(failed)} of {len(results)} cases fail")
