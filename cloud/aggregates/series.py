"""Summarizes one device's readings by minute, hour, UTC day and local day. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloud.aggregates.bins import Bins, Frame, Samples, gaps_of, summarize
from cloud.aggregates.days import Part
from cloud.aggregates.schema import SUMMARIES, Level, instants
from contract.quantities import Quantity
from contract.signals import Signal

__all__ = ["series_rows"]

_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000


@dataclass(frozen=True, slots=True)
class _Piece:
    """Summaries of one signal in one frame and level."""

    level: Level
    signal: Signal
    frame: Frame
    length_ms: int
    bins: Bins


def series_rows(rows: pa.Table, part: Part) -> pa.Table:
    """Return the summaries of a part's signals, with the columns of `SUMMARIES`.

    Args:
        rows: Readings of the part's device in its needed days, in the order of time: `signal`,
            `at_ms`, `value` (null if unusable), `calibration` and `is_sample`. Rows that are not
            samples are left out: the lowest or highest value of a span that a gateway has thinned.
        part: The days to summarize.
    """
    chosen = rows.filter(rows["is_sample"])
    coded = chosen["calibration"].combine_chunks().dictionary_encode()
    calibrations = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    pieces = [
        piece
        for signal, samples in _signals(chosen, calibrations)
        for piece in _pieces(signal, samples, part)
    ]
    return _table(part.device_id, pieces, coded.dictionary.to_pylist())


def _signals(rows: pa.Table, calibrations: NDArray[np.int64]) -> Iterator[tuple[Signal, Samples]]:
    signal = rows["signal"].combine_chunks().dictionary_encode()
    codes = signal.indices.to_numpy(zero_copy_only=False)
    at_ms = rows["at_ms"].to_numpy().astype(np.int64)
    values = np.asarray(rows["value"].to_numpy(), dtype=np.float64)
    for code, name in enumerate(signal.dictionary.to_pylist()):
        own = np.flatnonzero(codes == code)
        yield Signal.parse(name), Samples(at_ms[own], values[own], calibrations[own])


def _pieces(signal: Signal, samples: Samples, part: Part) -> Iterator[_Piece]:
    for frame in part.utc_frames():
        yield from _of_frame(signal, samples, frame, local=False)
    for frame in part.local_frames():
        yield from _of_frame(signal, samples, frame, local=True)


def _of_frame(signal: Signal, samples: Samples, frame: Frame, *, local: bool) -> Iterator[_Piece]:
    own = samples.inside(frame)
    if not len(own.at_ms):
        return
    gaps = gaps_of(own, frame)
    lengths = {Level.SITE_DAY if local else Level.DAY: frame.length_ms}
    if not local:
        lengths[Level.HOUR] = _HOUR_MS
        # With one value a minute or fewer, a row would only repeat the reading.
        if gaps.usual_ms is not None and gaps.usual_ms < _MINUTE_MS:
            lengths[Level.MINUTE] = _MINUTE_MS
    warm = signal.quantity is Quantity.TEMPERATURE
    for level, length_ms in lengths.items():
        bins = summarize(own, frame, length_ms, gaps, is_temperature=warm)
        yield _Piece(level, signal, frame, length_ms, bins)


def _table(device_id: str, pieces: Sequence[_Piece], calibrations: Sequence[str]) -> pa.Table:
    if not pieces:
        return SUMMARIES.empty_table()
    every = Bins(*(_joined(pieces, f.name) for f in fields(Bins)))
    absent = {f.name: pa.nulls(len(every), f.type) for f in SUMMARIES}
    same = {
        "level": _repeated(pieces, [p.level.value for p in pieces]),
        "device_id": pa.repeat(device_id, len(every)),
        "event_day": _repeated(pieces, [p.frame.day for p in pieces]),
        "sensor_id": _repeated(pieces, [p.signal.sensor_id for p in pieces]),
        "quantity": _repeated(pieces, [p.signal.quantity.value for p in pieces]),
        "length_s": _repeated(pieces, [p.length_ms // 1000 for p in pieces]),
    }
    return pa.table(absent | same | _figures(every, calibrations), schema=SUMMARIES)


def _figures(every: Bins, calibrations: Sequence[str]) -> dict[str, pa.Array]:
    codes = every.calibrations
    return {
        "begin_at": instants(every.begins_ms),
        "values_total": pa.array(every.values_total),
        "unusable_total": pa.array(every.unusable_total),
        "lowest": _reals(every.lowest),
        "mean": _reals(every.mean),
        "highest": _reals(every.highest),
        "last": _reals(every.last),
        "last_at": instants(every.last_at_ms, absent=-1),
        "coverage_ratio": pa.array(every.coverage),
        "mean_kinetic_temperature": _reals(every.kinetic_c),
        "calibration": pa.array(calibrations, pa.string()).take(pa.array(codes, mask=codes < 0)),
    }


def _joined(pieces: Sequence[_Piece], name: str) -> NDArray[Any]:
    return np.concatenate([getattr(piece.bins, name) for piece in pieces])


def _repeated(pieces: Sequence[_Piece], cells: Sequence[object]) -> pa.Array:
    """Return a column with one cell for each row of each piece."""
    numbers = np.repeat(np.arange(len(pieces)), [len(p.bins) for p in pieces])
    return pa.array(cells).take(pa.array(numbers))


def _reals(values: NDArray[np.float64]) -> pa.Array:
    return pa.array(values, from_pandas=True)  # NaN becomes null
