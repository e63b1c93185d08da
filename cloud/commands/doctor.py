"""`dewline-cloud doctor`: checks everything in the configuration, and prints what to do."""

import argparse
import json
from dataclasses import asdict

from cloud.commands.arguments import Verbs, add_json, add_verb
from cloud.commands.printing import print_table
from cloud.composition.checks import checks_of, missing_of
from cloud.config import CloudConfig
from cloud.health.finding import Finding, State, healthy
from cloud.health.parallel_checks import look_at

__all__ = ["register"]

_HEADINGS = ("check", "state", "found", "expected", "what to do")


def register(nouns: Verbs) -> None:
    """Adds the noun, which has no verbs."""
    about = (
        "Check broker, lake, cursors, Elasticsearch, MySQL, ledger and certificates; "
        "change nothing. Exit code 1 if a check failed."
    )
    add_json(add_verb(nouns, "doctor", about, "doctor --json", _run))


def _run(args: argparse.Namespace, config: CloudConfig) -> int:
    findings = (*look_at(checks_of(config)), *missing_of(config))
    well = healthy(findings)
    if args.json:
        print(json.dumps({"healthy": well, "checks": [asdict(f) for f in findings]}, indent=2))
    else:
        print_table(_HEADINGS, [_cells(finding) for finding in findings])
        failed = sum(finding.state is State.FAILED for finding in findings)
        print("no check failed" if well else f"{failed} of {len(findings)} checks failed")
    return 0 if well else 1


def _cells(finding: Finding) -> list[str | int]:
    f = finding
    return [f.check, f.state, f.found, f.expected or "-", f.remedy or "-"]
