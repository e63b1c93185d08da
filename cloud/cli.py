"""`dewline-cloud --config FILE NOUN VERB`: runs a command and prints its failure as a message.

Exit code: 0 done, 1 failed, 2 wrong usage or configuration. Each noun is a module of
`cloud.commands` with `register(subparsers)`; a verb sets `run=callable(args, config) -> int`.
"""

import argparse
import importlib
import importlib.util
import keyword
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from cloud.commands.arguments import Verbs
from cloud.config import CloudConfig, load_config
from contract.errors import ConfigError, DewlineError

__all__ = ["NOUNS", "main", "module_of", "parser_of"]

NOUNS = (
    "ingest",
    "import",
    "lake",
    "search",
    "logstash",
    "kibana",
    "ledger",
    "quarantine",
    "warehouse",
    "transform",
    "scoring",
    "cycle",
    "models",
    "rollout",
    "api",
    "report",
    "ca",
    "doctor",
)
_NEEDS_SPARK = ("transform", "cycle", "scoring")  # an ingest host installs extra `cloud` only

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    _start_logging()
    words = sys.argv[1:] if arguments is None else list(arguments)
    args = parser_of(words).parse_args(words)
    try:
        status: int = args.run(args, load_config(args.config))
    except ConfigError as error:
        print(f"dewline-cloud: {error}", file=sys.stderr)
        return 2
    except DewlineError as error:
        print(f"dewline-cloud: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1
    except BrokenPipeError:  # the reader of our output, such as `head`, has closed it
        sys.stderr.close()
        return 1
    except Exception:  # noqa: BLE001  # the outermost frame: no other code could log it
        _log.exception("this is a bug in dewline; please report it with these lines")
        return 1
    return status


def _start_logging() -> None:
    """Logs to standard error: dewline's lines from INFO on, those of libraries from WARNING on."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("cloud").setLevel(logging.INFO)


def parser_of(words: Sequence[str]) -> argparse.ArgumentParser:
    """Returns the command line's parser with the noun in `words`, or with all; docs use it too."""
    parser = argparse.ArgumentParser(
        prog="dewline-cloud",
        description="The cloud's side of dewline: ingest, the lake and its projections.",
        epilog="example: dewline-cloud --config cloud.toml lake show",
    )
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="configuration file, TOML"
    )
    nouns = parser.add_subparsers(title="nouns", metavar="NOUN", required=True)
    # A noun imports its libraries (Arrow, SQLAlchemy, ...), so only the named noun is imported;
    # all of them for the help and for an unknown noun.
    for noun in [noun for noun in NOUNS if noun in words] or NOUNS:
        if noun in _NEEDS_SPARK and importlib.util.find_spec("pyspark") is None:
            _lacking(nouns, noun)
            continue
        importlib.import_module(f"cloud.commands.{module_of(noun)}").register(nouns)
    return parser


def module_of(noun: str) -> str:
    """Returns the name of a noun's module; a keyword of Python has an underscore added."""
    return f"{noun}_" if keyword.iskeyword(noun) else noun


def _lacking(nouns: Verbs, noun: str) -> None:
    def refuse(_args: argparse.Namespace, _config: CloudConfig) -> int:
        raise ConfigError(
            f"{noun} needs Spark, which is not installed: install dewline with extra `spark`"
        )

    parser = nouns.add_parser(noun, help="not available: needs extra `spark`")
    parser.add_argument("words", nargs="*")
    parser.set_defaults(run=refuse)


if __name__ == "__main__":
    sys.exit(main())
