"""Collects pieces of series and cuts them into blocks, one stream for each device. Pure.

The blocks depend only on the pieces and their order. So a run that was killed makes the same blocks
again, and blocks that are in the lake already can be left out.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from cloud.importing.columns import Ints
from cloud.importing.naming import GOOD, Grade
from cloud.importing.refusals import Refusals
from cloud.importing.values import Piece, SeriesKey
from contract.blocks import Block, Mark, SensorColumns, Series, TimedEvent
from contract.keys import import_stream_id
from contract.records import Phase, Status

__all__ = ["BlockMaker", "DeviceBlock"]

# Readers of the lake hold a number of blocks in memory, and expect those of gateways, which have at
# most some hundreds of readings.
_BLOCK_READINGS = 500
_ROWS = 100  # rows of a series in a block, if there are so many: a short series costs a name
_BUFFERED = 400_000  # readings of all devices in memory, some 13 MB
_ITEMS = 200  # series in one block; the contract's limit is 256
_VERSION = "import"  # the program's version would change the stream's first block


@dataclass(frozen=True, slots=True)
class DeviceBlock:
    """A block and its device."""

    device_id: str
    block: Block


@dataclass(frozen=True, slots=True)
class _Run:
    """Readings of one series, sorted by time."""

    key: SeriesKey
    at_ms: Ints
    scaled: Ints
    grades: Ints


@dataclass(slots=True)
class _Device:
    stream_id: str
    next_seq: int = 1
    readings: int = 0
    pieces: dict[SeriesKey, list[Piece]] = field(default_factory=dict)
    last: dict[SeriesKey, tuple[int, int]] = field(default_factory=dict)


class BlockMaker:
    """Makes the blocks of one file.

    Args:
        digest: Digest of the file's content and mapping, from which the streams' ids are made.
        grades: The qualities that pieces name by their place.
        refusals: Counts readings that come twice.

    Attributes:
        readings_total: Readings in the blocks so far.
        spans: First and last instant of each series in the blocks so far, ms since 1970 UTC.
    """

    def __init__(self, digest: bytes, grades: Sequence[Grade], refusals: Refusals) -> None:
        self._digest = digest
        self._grades = grades
        self._refusals = refusals
        self._devices: dict[str, _Device] = {}
        self._buffered = 0
        self.readings_total = 0
        self.spans: dict[SeriesKey, tuple[int, int]] = {}

    def add(self, piece: Piece) -> None:
        """Takes a piece."""
        device = self._devices.get(piece.key.device_id)
        if device is None:
            name = hashlib.sha256(self._digest + piece.key.device_id.encode()).digest()
            device = _Device(import_stream_id(name))
            self._devices[piece.key.device_id] = device
        device.pieces.setdefault(piece.key, []).append(piece)
        device.readings += len(piece.lines)
        self._buffered += len(piece.lines)

    def full(self) -> Iterator[DeviceBlock]:
        """Yields the blocks of devices with many readings; call this after each part of a file."""
        many = self._buffered > _BUFFERED
        for device_id in sorted(self._devices):
            if many or self._devices[device_id].readings >= _BLOCK_READINGS:
                yield from self._flushed(device_id)

    def rest(self) -> Iterator[DeviceBlock]:
        """Yields the remaining blocks, at the end of the file."""
        for device_id in sorted(self._devices):
            yield from self._flushed(device_id)

    def _flushed(self, device_id: str) -> Iterator[DeviceBlock]:
        device = self._devices[device_id]
        runs = [self._run(device, device.pieces[key]) for key in sorted(device.pieces, key=_order)]
        self._buffered -= device.readings
        device.pieces, device.readings = {}, 0
        runs = [run for run in runs if len(run.at_ms)]
        if runs and device.next_seq == 1:
            first_at = min(int(run.at_ms[0]) for run in runs)
            yield DeviceBlock(device_id, _start(device, first_at))
        for part in _windows(runs):
            block = self._block(device, part)
            self.readings_total += block.records_total
            yield DeviceBlock(device_id, block)

    def _run(self, device: _Device, pieces: list[Piece]) -> _Run:
        """Joins pieces of one series, and refuses values of an instant that has one already."""
        key = pieces[0].key
        at_ms = np.concatenate([p.at_ms for p in pieces])
        order = np.argsort(at_ms, kind="stable")
        at_ms = at_ms[order]
        scaled = np.concatenate([p.scaled for p in pieces])[order]
        grades = np.concatenate([p.grades for p in pieces])[order]
        lines = np.concatenate([p.lines for p in pieces])[order]
        before_at, before = device.last.get(key, (-1, 0))
        begin = np.searchsorted(at_ms, before_at, "left")
        same = np.zeros(len(at_ms), np.bool_)
        same[1:] = at_ms[1:] == at_ms[:-1]
        same[begin : begin + 1] |= at_ms[begin : begin + 1] == before_at
        # The first value of an instant counts, also if it is in an earlier block.
        first = np.maximum.accumulate(np.where(same, 0, np.arange(len(at_ms))))
        kept = scaled[first] if len(scaled) else scaled
        if len(same) and same[begin : begin + 1].any():
            kept = np.where(at_ms == before_at, before, kept)
        self._refusals.add("repeated", lines[same & (scaled == kept)])
        self._refusals.add("conflict", lines[same & (scaled != kept)])
        run = _Run(key, at_ms[~same], scaled[~same], grades[~same])
        self._note(device, run)
        return run

    def _note(self, device: _Device, run: _Run) -> None:
        if not len(run.at_ms):
            return
        first, last = int(run.at_ms[0]), int(run.at_ms[-1])
        low, high = self.spans.get(run.key, (first, last))
        self.spans[run.key] = (min(low, first), max(high, last))
        if last > device.last.get(run.key, (-1, 0))[0]:
            device.last[run.key] = (last, int(run.scaled[-1]))

    def _block(self, device: _Device, runs: Sequence[_Run]) -> Block:
        at_ms = min(int(run.at_ms[0]) for run in runs)
        block = Block(
            stream_id=device.stream_id,
            first=device.next_seq,
            offset_ms=at_ms,
            utc_at=at_ms,
            sensors=tuple(self._sensors(runs)),
        )
        device.next_seq = block.last + 1
        return block

    def _sensors(self, runs: Sequence[_Run]) -> Iterator[SensorColumns]:
        """Yields one item for each sensor, statistic and list of times."""
        groups: dict[tuple[str, str, float | None, bytes], list[_Run]] = {}
        for run in runs:
            key = run.key
            times = hashlib.sha256(run.at_ms.tobytes()).digest()
            shared = (key.signal.sensor_id, str(key.statistic or ""), key.span_s, times)
            groups.setdefault(shared, []).append(run)
        for group in groups.values():
            key = group[0].key
            yield SensorColumns(
                sensor_id=key.signal.sensor_id,
                series=tuple(Series(r.key.signal.quantity, r.key.decimals) for r in group),
                offsets_ms=tuple(group[0].at_ms.tolist()),
                columns=tuple(tuple(r.scaled.tolist()) for r in group),
                marks=tuple(self._marks(group)),
                statistic=key.statistic,
                span_s=key.span_s,
            )

    def _marks(self, runs: Sequence[_Run]) -> Iterator[Mark]:
        for series, run in enumerate(runs):
            if not run.grades.any():
                continue
            for row in np.flatnonzero(run.grades):
                quality, flags = self._grades[int(run.grades[row])]
                if (quality, flags) != GOOD:
                    yield Mark(series, int(row), quality, flags)


def _order(key: SeriesKey) -> tuple[str, str, str, int]:
    return key.order


def _start(device: _Device, at_ms: int) -> Block:
    """Returns the first block of a stream: the contract wants a Status of phase `start` first."""
    status = TimedEvent(at_ms, Status(phase=Phase.START, version=_VERSION))
    device.next_seq = 2
    return Block(
        stream_id=device.stream_id, first=1, offset_ms=at_ms, utc_at=at_ms, events=(status,)
    )


def _windows(runs: Sequence[_Run]) -> Iterator[list[_Run]]:
    """Yields parts that are small enough for a block, of one span of time after the other."""
    if not runs:
        return
    every = np.sort(np.concatenate([run.at_ms for run in runs]))
    size = max(_BLOCK_READINGS, _ROWS * len(runs))
    ends = np.unique(every[size - 1 :: size])
    begins = [0] * len(runs)
    for end in (*ends.tolist(), int(every[-1])):
        part: list[_Run] = []
        for n, run in enumerate(runs):
            until = int(np.searchsorted(run.at_ms, end, "right"))
            part += _slices(run, begins[n], until)
            begins[n] = until
        yield from _packed(part)


def _slices(run: _Run, begin: int, end: int) -> Iterator[_Run]:
    for at in range(begin, end, _BLOCK_READINGS):
        cut = slice(at, min(at + _BLOCK_READINGS, end))
        yield _Run(run.key, run.at_ms[cut], run.scaled[cut], run.grades[cut])


def _packed(runs: Sequence[_Run]) -> Iterator[list[_Run]]:
    """Yields runs together as long as they fit into one block."""
    part: list[_Run] = []
    readings = 0
    for run in runs:
        if part and (readings + len(run.at_ms) > _BLOCK_READINGS or len(part) == _ITEMS):
            yield part
            part, readings = [], 0
        part.append(run)
        readings += len(run.at_ms)
    if part:
        yield part
