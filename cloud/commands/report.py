"""`dewline-cloud report`: writes events, forecasts and their outcomes as one HTML file."""

import argparse
import json
from pathlib import Path

from cloud.commands.arguments import Verbs, add_as_of, add_json, add_noun, add_verb, as_of_ms
from cloud.composition.servers import open_warehouse
from cloud.config import CloudConfig, fleet_conditions
from contract.errors import ConfigError

__all__ = ["register"]


def register(nouns: Verbs) -> None:
    """Adds the noun and its verb."""
    verbs = add_noun(nouns, "report", "Write a report of events, forecasts and their outcomes.")
    about = "Write the report on the warehouse's data as one HTML file."
    write = add_verb(verbs, "write", about, "report write --out report.html", _write)
    write.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="the HTML file; an older one is replaced",
    )
    add_as_of(write)
    add_json(write)


def _write(args: argparse.Namespace, config: CloudConfig) -> int:
    # Imported here, so that --help needs no matplotlib.
    from cloud.reports.page import render  # noqa: PLC0415 - see above
    from cloud.reports.queries import collect  # noqa: PLC0415 - see above

    conditions = fleet_conditions(config)
    page = render(collect(open_warehouse(config), conditions, as_of_ms(args)))
    written_bytes = _replace(args.out, page)
    if args.json:
        print(json.dumps({"path": str(args.out), "bytes": written_bytes}))
    else:
        print(args.out)
    return 0


def _replace(path: Path, page: str) -> int:
    """Replaces the file in one step, so that a reader never gets half a page."""
    data = page.encode()
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error
    return len(data)
