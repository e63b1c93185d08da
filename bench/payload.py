"""Measures payload bytes per reading, with blocks as the gateway makes and encodes them."""

import random
import statistics
from collections.abc import Iterable, Iterator

from bench.air import TICK_MS, Layout, Noise, Tick, ticks
from bench.errors import BenchError
from contract.blocks import Block
from contract.keys import stream_id
from contract.wire import DICTIONARY_VERSION, dictionary, encode
from edge.storage.open_block import Measured, OpenBlock

__all__ = ["UTC_MS", "blocks", "bytes_per_reading", "require_strange_names"]

UTC_MS = 1_795_000_000_000


def require_strange_names(names: Iterable[str]) -> None:
    """Refuses names in the preset dictionary, because they would be compressed to almost nothing.

    Raises:
        BenchError: The preset dictionary contains some of the names.
    """
    known = dictionary(DICTIONARY_VERSION)
    found = [name for name in names if name.encode("ascii") in known]
    if found:
        raise BenchError(f"sensor names must not be in the preset dictionary: {', '.join(found)}")


def blocks(layout: Layout, records: int, age_s: int, seed: int) -> Iterator[Block]:
    """Yields blocks of readings at 1 Hz without end.

    Args:
        layout: The sensors.
        records: Readings per block, a multiple of the number of signals.
        age_s: Age of the stream, seconds; numbers and offsets have more digits in an old stream.
        seed: Random seed of the air, the stream's id and its UTC.
    """
    source = random.Random(seed)
    stream = stream_id(source.randbytes(8))
    epoch_ms = UTC_MS + source.randrange(10**9)
    first = age_s * layout.signals_total + 1
    made = ticks(layout, Noise(), seed)
    while True:
        block = _filled(layout, made, records, (age_s * TICK_MS, epoch_ms)).close(stream, first)
        yield block
        first = block.last + 1


def _filled(
    layout: Layout, made: Iterator[Tick], records: int, shift_ms: tuple[int, int]
) -> OpenBlock:
    block = OpenBlock()
    age_ms, epoch_ms = shift_ms
    while block.records_total < records:
        for placed, (offset_ms, sample) in zip(layout.sensors, next(made).samples, strict=True):
            scaled = tuple(
                round(value * 10**series.decimals)
                for series, (_, value) in zip(placed.series, sample.values, strict=True)
            )
            measured = Measured(
                placed.sensor_id, placed.series, offset_ms + age_ms, scaled, placed.qualities
            )
            block.open_at(measured.offset_ms, epoch_ms + measured.offset_ms)
            block.add_reading(measured)
    return block


def bytes_per_reading(layout: Layout, records: int, age_s: int, total: int) -> float:
    """Returns the mean of `total` blocks, spread over ten seeds with their own air and stream."""
    seeds = range(1, 11)
    sizes = []
    for seed in seeds:
        made = blocks(layout, records, age_s, seed)
        sizes += [len(encode(next(made))) for _ in range(max(1, total // len(seeds)))]
    return statistics.mean(sizes) / records
