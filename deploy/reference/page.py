"""Finds the generated parts of a page by their markers, and rewrites or checks them.

A part is the text between `<!-- table: NAME -->` and `<!-- end of table -->`; the rest of a page is
written by hand. Each page has its own module that generates its parts.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["maintain", "rewritten", "table"]

_MARKED = re.compile(r"(<!-- table: ([a-z0-9_ ]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def rewritten(text: str, parts: Mapping[str, str]) -> str:
    """Returns the page with its current parts.

    Raises:
        KeyError: The page names a part that does not exist.
    """
    return _MARKED.sub(lambda m: m[1] + parts[m[2]] + m[3], text)


def maintain(module: str, parts: Mapping[str, str], arguments: Sequence[str] | None = None) -> int:
    """Rewrites the page named on the command line; with --check only checks that it is current.

    Args:
        module: Name of the command's module, such as `deploy.reference.contract`.
        parts: Every generated part by its name.
        arguments: Arguments of the command line; None for those of the process.

    Returns:
        The exit code: 1 only for a stale page with --check.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description="Rewrites a page.")
    parser.add_argument("page", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    options = parser.parse_args(arguments)
    old = options.page.read_text(encoding="utf-8")
    new = rewritten(old, parts)
    if old == new:
        return 0
    if options.check:
        print(f"{options.page}: the tables are stale; run python -m {module} {options.page}")
        return 1
    options.page.write_text(new, encoding="utf-8")
    print(f"{options.page}: written")
    return 0
