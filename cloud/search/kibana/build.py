"""Writes the bundle that is committed, `dewline.ndjson`: that of the default prefix of indices.

python -m cloud.search.kibana.build           writes it
python -m cloud.search.kibana.build --check   exits with 1 if that would change it
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cloud.config import Period, SearchConfig
from cloud.search.kibana.objects import bundle
from cloud.search.names import IndexNames

__all__ = ["BUNDLE", "committed", "main"]

BUNDLE = Path(__file__).with_name("dewline.ndjson")


def committed() -> str:
    """What should stand in the file."""
    # data views name aliases, which are the same whatever an index's period is
    return bundle(IndexNames(SearchConfig(url="http://127.0.0.1").prefix, Period.DAY))


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the file, or checks that it is current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if it is outdated")
    args = parser.parse_args(arguments)
    if not args.check:
        BUNDLE.write_text(committed(), encoding="utf-8")
        return 0
    if BUNDLE.exists() and BUNDLE.read_text("utf-8") == committed():
        return 0
    print(f"{BUNDLE} is outdated: run python -m cloud.search.kibana.build", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
