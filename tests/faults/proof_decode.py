"""A million payloads, made to be expensive, under the CPU clock of the thread that decodes them.

Shown: no payload of up to 12 kB costs more than 20 ms, and the cost of larger ones grows with
their size. The worst payload of each family is changed further, so the search goes uphill.

    make proof-decode
    PYTHONPATH=. python tests/faults/proof_decode.py --inputs 20000 --seed 1
"""

import argparse
import random
import sys
import time
from dataclasses import dataclass

from tests.contract.expensive import cost_of, least_cost_of, made

LARGEST_S = 0.020
LARGE_BYTES = 12_288
SIZES = (300, 300, 300, 1_000, 1_000, 3_000, 3_000, 10_000, 30_000)  # most inputs are small
LARGE_SIZES = (120_000, 200_000, 300_000, 400_000)
LARGE_EVERY = 100


@dataclass
class Worst:
    """The most expensive payload of a family."""

    cpu_s: float = 0.0
    payload: bytes = b""
    is_block: bool = False


def allowed_s(payload: bytes) -> float:
    """20 ms for up to 12 kB, and in proportion above that."""
    return LARGEST_S * max(1.0, len(payload) / LARGE_BYTES)


def changed(payload: bytes, source: random.Random) -> bytes:
    """A payload with a few other bytes."""
    body = bytearray(payload)
    for _ in range(source.randint(1, 3)):
        body[source.randrange(1, len(body))] = source.randrange(256)
    return bytes(body)


class Search:
    """Makes and measures payloads, and keeps the worst."""

    def __init__(self, seed: int) -> None:
        self.source = random.Random(seed)
        self.worst: dict[str, Worst] = {}
        self.blocks = 0
        self.above: list[str] = []

    def step(self, number: int) -> None:
        source = self.source
        if number % 3 == 2 and self.worst:
            name = source.choice(sorted(self.worst))
            payload = changed(self.worst[name].payload, source)
        else:
            sizes = LARGE_SIZES if number % LARGE_EVERY == 0 else SIZES
            name, payload = made(source, source.choice(sizes))
        self._measure(name, payload)

    def most_s(self) -> float:
        """The largest cost of a payload of up to 12 kB."""
        return max(w.cpu_s for w in self.worst.values() if len(w.payload) <= LARGE_BYTES)

    def _measure(self, name: str, payload: bytes) -> None:
        cost, known = cost_of(payload), self.worst.setdefault(name, Worst())
        self.blocks += cost.is_block
        if cost.cpu_s / allowed_s(payload) <= known.cpu_s / LARGEST_S:
            return
        cost = least_cost_of(payload, 0.0)
        share = cost.cpu_s / allowed_s(payload)
        if share > known.cpu_s / LARGEST_S:
            self.worst[name] = Worst(cost.cpu_s, payload, cost.is_block)
        if share > 1.0:
            self.above.append(f"{name}: {len(payload)} bytes cost {cost.cpu_s * 1e3:.1f} ms")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    search, began_s = Search(args.seed), time.monotonic()
    for number in range(args.inputs):
        search.step(number)
        if number % 100_000 == 99_999:
            spent_s, most_s = time.monotonic() - began_s, search.most_s()
            print(f"{number + 1} inputs, {spent_s:.0f} s; {most_s * 1e3:.1f} ms", flush=True)
    for name, worst in sorted(search.worst.items()):
        what = "a block" if worst.is_block else "refused"
        print(f"  {name:8s} {len(worst.payload):7d} bytes {worst.cpu_s * 1e3:6.1f} ms, {what}")
    most_s = search.most_s()
    print(
        f"{args.inputs} inputs, {search.blocks} of them blocks; up to 12 kB: {most_s * 1e3:.1f} ms"
    )
    for line in search.above[:10]:
        print(f"above the limit: {line}")
    return 1 if search.above or not search.blocks else 0


if __name__ == "__main__":
    sys.exit(main())
