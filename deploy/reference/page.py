"""Pages with generated parts: found by their markers, written anew or checked.

A part stands between `<!-- table: NAME -->` and `<!-- end of table -->`; the prose around it is
written by people. Each page has a module that makes its parts; this one knows none of them.
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
    """Returns the page with its parts as they are now.

    Raises:
        KeyError: The page names a part that does not exist.
    """
    return _MARKED.sub(lambda m: m[1] + parts[m[2]] + m[3], text)


def maintain(module: str, parts: Mapping[str, str], arguments: Sequence[str] | None = None) -> int:
    """Rewrites a page named on the command line, or with --check tells whether it is current.

    Args:
        module: Whose command this is, such as `deploy.reference.contract`.
        parts: Every generated part by its name.
        arguments: The command line's words, those of the process if None.

    Returns:
        The exit code: 1 only for a stale page with --check.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description="Writes a page anew.")
    parser.add_argument("page", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    options = parser.parse_args(arguments)
    old = options.page.read_text(encoding="utf-8")
    new = rewritten(old, parts)
    if old == new:
        return 0
    if options.check:
        print(f"{options.page}: tables are stale: run python -m {module} {options.page}")
        return 1
    options.page.write_text(new, encoding="utf-8")
    print(f"{options.page}: written")
    return 0
