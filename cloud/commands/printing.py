"""Prints tables: ruled on a terminal, plain aligned columns when piped."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["print_table"]


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str | int]]) -> None:
    """Prints rows under headings; a column with a number in the first row is right-aligned."""
    right = [isinstance(cell, int) for cell in (rows[0] if rows else headings)]
    cells = [[str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_ruled(headings, cells, right)
    else:
        _print_plain(headings, cells, right)


def _print_ruled(
    headings: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]
) -> None:
    table = Table()
    for heading, numeric in zip(headings, right, strict=True):
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(escape, row))
    Console().print(table)


def _print_plain(
    headings: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]
) -> None:
    lines = [headings, *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headings))]
    for line in lines:
        aligned = (
            text.rjust(width) if numeric else text.ljust(width)
            for text, width, numeric in zip(line, widths, right, strict=True)
        )
        print("  ".join(aligned).rstrip())
