"""All damage to an outbox: 20 truncations, 200 flipped bits of the file and 40 of its -wal.

Each case is a start on a copy of an outbox that a kill left: in this process on virtual time, and
each tenth one as a process of its own. Prints one line of JSON. Run it with `make proof-outbox`;
DEWLINE_SEED chooses other bits.
"""

import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.outbox_cases import (
    Site,
    assert_law,
    checkpointed,
    flip,
    flips,
    history,
    truncate,
)

Damage = Callable[[Site], None]

TRUNCATIONS, FLIPS, WAL_FLIPS = 20, 200, 40
TENTH = 10


@dataclass
class Figures:
    """What the proof counts."""

    cases: Counter[str] = field(default_factory=Counter)
    with_loss: int = 0
    declared: int = 0
    missing: int = 0
    slowest_s: float = 0.0  # CPU time
    failures: list[str] = field(default_factory=list)


def cases(killed: Site, settled: Site, seed: int) -> Iterator[tuple[str, Site, Damage]]:
    """Yields (name, site to copy, damage)."""
    size = settled.outbox.stat().st_size
    wal_size = wal_of(killed).stat().st_size
    for index in range(TRUNCATIONS):
        half, part = index // 2, (index // 2) / (TRUNCATIONS / 2)
        if index % 2:
            yield (
                f"truncated -wal {half}",
                killed,
                lambda s, p=part: truncate(wal_of(s), int(wal_size * p)),
            )
        else:
            yield (
                f"truncated file {half}",
                settled,
                lambda s, p=part: truncate(s.outbox, int(size * p)),
            )
    for kind, offset, bit in flips(settled.outbox, FLIPS, seed):
        yield (
            f"flipped {kind} {offset}.{bit}",
            settled,
            lambda s, o=offset, b=bit: flip(s.outbox, o, b),
        )
    for _, offset, bit in flips(wal_of(killed), WAL_FLIPS, seed):
        yield (
            f"flipped -wal {offset}.{bit}",
            killed,
            lambda s, o=offset, b=bit: flip(wal_of(s), o, b),
        )


def wal_of(site: Site) -> Path:
    return site.outbox.with_name(f"{site.outbox.name}-wal")


def judge(name: str, site: Site, figures: Figures) -> None:
    """Runs the gateway on the damaged copy and counts what the law says."""
    figures.cases[name.rsplit(" ", 1)[0]] += 1
    try:
        if figures.cases.total() % TENTH:
            site.run_inside()
        else:
            site.run_again()
        found = assert_law(site)
    except Exception as error:  # noqa: BLE001 - each is a failure of the case
        figures.failures.append(f"{name}: {error}")
        print(f"FAILED {name}: {str(error)[-1500:]}", file=sys.stderr)
        return
    figures.with_loss += bool(found.missing)
    figures.missing += len(found.missing)
    figures.declared += len(found.declared)
    figures.slowest_s = max(figures.slowest_s, site.first_commit_s or 0.0)


def main() -> int:
    """Runs all cases; returns the exit code."""
    seed = int(os.environ.get("DEWLINE_SEED", "14"))
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="dewline-proof-outbox-") as name:
        folder = Path(name)
        killed = Site.make(folder / "killed")
        history(killed)
        settled = killed.copy(folder / "settled")
        checkpointed(settled)
        for title, origin, damage in cases(killed, settled, seed):
            site = origin.copy(folder / "site")
            damage(site)
            judge(title, site, figures)
            shutil.rmtree(folder / "site")
    table = {
        "seed": seed,
        "cases": dict(figures.cases),
        "cases_with_loss": figures.with_loss,
        "missing": figures.missing,
        "declared": figures.declared,
        "slowest_first_commit_cpu_s": round(figures.slowest_s, 2),
        "failures": len(figures.failures),
    }
    print(json.dumps(table))
    return 1 if figures.failures else 0


if __name__ == "__main__":
    sys.exit(main())
