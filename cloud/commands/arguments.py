"""Adds nouns and verbs to the command line, and the arguments that several verbs share."""

import argparse
import signal
import threading
from collections.abc import Callable
from datetime import date
from typing import Any

from cloud.clock import SystemClock
from cloud.config import CloudConfig
from cloud.instants import parse_instant
from contract.errors import ConfigError

__all__ = [
    "Run",
    "Verbs",
    "add_as_of",
    "add_json",
    "add_noun",
    "add_verb",
    "as_of_ms",
    "day",
    "stop_on_signal",
]

Run = Callable[[argparse.Namespace, CloudConfig], int]
Verbs = Any  # argparse's action type is private and generic


def add_noun(nouns: Verbs, name: str, about: str) -> Verbs:
    """Adds a noun; returns the object to which its verbs are added."""
    parser = nouns.add_parser(name, help=about, description=about)
    return parser.add_subparsers(title="verbs", metavar="VERB", required=True)


def add_verb(
    verbs: Verbs, name: str, about: str, example: str, run: Run
) -> argparse.ArgumentParser:
    """Adds a verb that calls `run`; `example` is the command line after `--config FILE`."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=about,
        description=about,
        epilog=f"example: dewline-cloud --config cloud.toml {example}",
    )
    parser.set_defaults(run=run)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds `--json`: print the answer as one JSON document."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_as_of(parser: argparse.ArgumentParser) -> None:
    """Adds `--as-of`: the instant to use as the current time."""
    parser.add_argument(
        "--as-of",
        type=_instant,
        metavar="INSTANT",
        help="use this RFC 3339 instant as the current time, such as 2026-01-31T12:00:00Z",
    )


def as_of_ms(args: argparse.Namespace) -> int:
    """Returns the instant of `--as-of`, or the current time; ms since 1970 UTC."""
    return SystemClock().utc_ms() if args.as_of is None else int(args.as_of)


def _instant(text: str) -> int:
    try:
        return parse_instant(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def day(text: str) -> date:
    """Parses a UTC day, `YYYY-MM-DD`."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day: write it as 2026-01-31") from None


def stop_on_signal() -> threading.Event:
    """Returns an event that SIGTERM and SIGINT set, for verbs that run until they are stopped."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop
