"""Counts figures of the code's structure: files per change, largest module, long lines of docs.

    make figures-structure

`files_for_quantity` is the number of non-test files in the commit that added the last row of
`Quantity`. `files_for_chip` is the same for the last driver. Both are null if git's history is not
available, as in a shallow clone.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from contract.quantities import Quantity
from firmware_bridge.chips import driver_names

ROOT = Path(__file__).parent.parent
_LONG = 160  # characters of a line of docs, outside of tables and code
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_SOURCES = ("contract", "transport", "firmware_bridge", "models", "edge", "cloud", "deploy")


def main() -> int:
    """Print one figure per line, then all of them as one line of JSON."""
    largest, lines_total = _largest_module()
    figures = {
        "edge_top_level_modules": len([*(ROOT / "edge").glob("*.py")]) - 1,  # not __init__
        "largest_module_lines": lines_total,
        "files_for_quantity": _files_of(_commit_of_quantity()),
        "files_for_chip": _files_of(_commit_of_chip()),
        "docs_lines_over_160": _long_lines(),
    }
    for name, value in figures.items():
        print(f"{name:<24} {'not known' if value is None else value}")
    print(f"(largest module: {largest})")
    print(json.dumps(figures))
    return 0


def _largest_module() -> tuple[str, int]:
    found = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for room in _SOURCES
        for path in (ROOT / room).rglob("*.py")
    }
    name = max(found, key=found.__getitem__)
    return name, found[name]


def _commit_of_quantity() -> str | None:
    """Returns the commit that added the last row of `Quantity`."""
    last = list(Quantity)[-1]
    return _first(["-S", f'"{last.value}",', "--", "contract/quantities.py"])


def _commit_of_chip() -> str | None:
    """Returns the newest commit that added exactly one driver."""
    added: dict[str, list[str]] = {}
    for name in driver_names():
        path = f"firmware_bridge/chips/{name}.py"
        commit = _first(["--diff-filter=A", "--", path])
        if commit is not None:
            added.setdefault(commit, []).append(name)
    alone = [commit for commit, names in added.items() if len(names) == 1]
    return max(alone, key=_age, default=None)


def _age(commit: str) -> int:
    return int(_git("show", "-s", "--format=%ct", commit) or 0)


def _first(arguments: list[str]) -> str | None:
    commits = _git("log", "--format=%H", *arguments).split()
    return commits[-1] if commits else None


def _files_of(commit: str | None) -> int | None:
    if commit is None:
        return None
    names = _git("show", "--name-only", "--format=", commit).split()
    return len([name for name in names if not name.startswith("tests/")])


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else ""


def _long_lines() -> int:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    return sum(
        len(line) > _LONG and not line.startswith("|")
        for page in pages
        for line in _FENCED.sub("", page.read_text(encoding="utf-8")).splitlines()
    )


if __name__ == "__main__":
    sys.exit(main())
