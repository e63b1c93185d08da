"""Reads a file as an import would, and writes nothing: the first readings and all refusals."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cloud.importing.blocks import BlockMaker
from cloud.importing.formats import rows_of
from cloud.importing.mapping import Mapping
from cloud.importing.naming import Grade
from cloud.importing.refusals import Refusals, Refused
from cloud.importing.run import Watch
from cloud.importing.source import Source
from cloud.importing.values import Piece, ValueReader

__all__ = ["Preview", "Shown", "preview"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One reading as it would be stored.

    Attributes:
        line: Line in the file.
        device: The device.
        signal: Sensor and quantity.
        at: Instant, ms since 1970 UTC.
        value: Value in the quantity's unit.
        unit: That unit.
        quality: Quality and flags.
        statistic: Statistic and its span in seconds; empty for a sample.
    """

    line: int
    device: str
    signal: str
    at: int
    value: float
    unit: str
    quality: str
    statistic: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What an import of a file would do.

    Attributes:
        file: The file.
        first: The first readings.
        readings: Number of all readings.
        missing: Values that the file does not have.
        refused: What would be refused, by reason.
    """

    file: str
    first: tuple[Shown, ...]
    readings: int
    missing: int
    refused: tuple[Refused, ...]


def preview(path: Path, mapping: Mapping, now_ms: int, shown: int, watch: Watch) -> Preview:
    """Reads a whole file; nothing is written.

    Args:
        path: The file.
        mapping: The mapping.
        now_ms: Current time, ms since 1970 UTC; decides which times are plausible.
        shown: Number of readings to show.
        watch: Called after each part of the file.

    Raises:
        HistoryError: The file cannot be read, or has not the mapping's columns.
    """
    source, refusals = Source(path, path.stat().st_size, ""), Refusals()
    reader = ValueReader(mapping, now_ms, refusals)
    maker = BlockMaker(b"", reader.grades, refusals)
    first: list[Shown] = []
    for rows in rows_of(source, mapping):
        new: list[Shown] = []
        for piece in reader.read(rows):
            maker.add(piece)
            if len(first) < shown:
                new += _shown(piece, reader.grades, shown)
        first = _once(first + sorted(new, key=_line))[:shown]
        deque(maker.full(), maxlen=0)
        watch(rows.read_bytes, maker.readings_total)
    deque(maker.rest(), maxlen=0)
    return Preview(
        file=str(path),
        first=tuple(first),
        readings=maker.readings_total,
        missing=reader.missing_total,
        refused=refusals.all(),
    )


def _once(shown: list[Shown]) -> list[Shown]:
    """Returns the readings without those of a time that a reading of the signal has already."""
    by_time = {(s.device, s.signal, s.statistic, s.at): s for s in reversed(shown)}
    return list(reversed(by_time.values()))


def _line(shown: Shown) -> tuple[int, str]:
    return shown.line, shown.signal


def _shown(piece: Piece, grades: list[Grade], most: int) -> Iterator[Shown]:
    key, quantity = piece.key, piece.key.signal.quantity
    statistic = "" if key.statistic is None else f"{key.statistic} of {key.span_s or 0:g} s"
    for n in range(min(most, len(piece.lines))):
        quality, flags = grades[int(piece.grades[n])]
        yield Shown(
            line=int(piece.lines[n]),
            device=key.device_id,
            signal=str(key.signal),
            at=int(piece.at_ms[n]),
            value=int(piece.scaled[n]) / 10**key.decimals,
            unit=quantity.facts.unit,
            quality=" ".join((quality, *flags)),
            statistic=statistic,
        )
