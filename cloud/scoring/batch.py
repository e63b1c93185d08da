"""Scores one batch: arrivals -> forecasts -> rows -> documents -> obsolete rows -> cursor.

The cursor is written last. It alone says which files are done; Spark's checkpoint does not. Every
step may be repeated, because the forecasts depend on data and registry and not on the batches.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it

from cloud.errors import ProjectionError
from cloud.forecast import Forecast
from cloud.lake.positions import Cursor
from cloud.scoring.arrivals import Arrival, Arrivals, affected, arrivals_of
from cloud.scoring.champions import Term
from cloud.scoring.forecast import TimeSpan, warm_days
from cloud.scoring.history import KnownReadings, ReadingSource
from cloud.scoring.offsets import covers
from cloud.scoring.score import scored
from cloud.spark import converted
from cloud.transforms.run import CursorReader, CursorWriter
from contract.records import Kind
from models.conditions import all_signals

__all__ = ["BatchResult", "BatchScorer", "Sink", "Terms"]


class Terms(Protocol):
    """A source of terms: times in which a model was in force."""

    def terms(self) -> tuple[Term, ...]:
        """Return all terms, past and present."""
        ...


class Sink(Protocol):
    """The target of forecasts."""

    def standing(self, spans: Mapping[str, TimeSpan]) -> list[Forecast]:
        """Return the stored forecasts within the spans."""
        ...

    def keep(self, made: Sequence[Forecast]) -> None:
        """Write the forecasts' rows, all or none."""
        ...

    def search(self, gone: Sequence[Forecast], made: Sequence[Forecast]) -> None:
        """Write the documents of `made` and delete the documents of `gone`."""
        ...

    def drop(self, gone: Sequence[Forecast]) -> None:
        """Delete the rows of `gone`, all or none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """Result of one batch.

    Attributes:
        readings_total: Number of received readings, including repeated ones.
        undated_total: Number of these readings without a date; they are scored after a ClockFix.
        forecasts_total: Number of forecasts written, including those that existed before.
        removed_total: Number of obsolete forecasts that were deleted.
        seconds: Duration of each step, s.
    """

    readings_total: int
    undated_total: int
    forecasts_total: int
    removed_total: int
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Change:
    """Forecasts within the spans of a batch: `gone` are obsolete, `made` are valid."""

    gone: Sequence[Forecast] = ()
    made: Sequence[Forecast] = ()


class BatchScorer:
    """Scores batches, one at a time."""

    def __init__(  # the composition of a projection: its sources and targets
        self,
        history: ReadingSource,
        terms: Terms,
        sink: Sink,
        *,
        transformed: CursorReader,
        cursor: CursorWriter,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._history = history
        self._terms = terms
        self._sink = sink
        self._transformed = transformed
        self._cursor = cursor
        self._now_s = now_s
        # Readings up to here may still wait for a date: a new process does not know which ones.
        self._dates_until = cursor.load()

    def score(self, rows: DataFrame) -> BatchResult | None:
        """Write all changes that the rows of the data source cause, then move the cursor.

        Returns:
            The result; None for a batch without files, with which Spark begins every query.

        Raises:
            DewlineError: The cursor is unchanged; the same rows can be scored again.
        """
        watch = _Watch(self._now_s)
        with watch.step("arrivals"), converted(ProjectionError, "scoring: files cannot be read"):
            arrived = arrivals_of(rows)
        if not arrived.positions:
            return None
        until = self._cursor.load().after(arrived.positions)
        if arrived.dates_change:
            self._dates_until = until
        with watch.step("forecasts"):
            change = self._change(rows, arrived, until)
        with watch.step("warehouse"):
            self._sink.keep(change.made)
        with watch.step("search"):
            self._sink.search(change.gone, change.made)
        self._sink.drop(change.gone)
        with watch.step("cursor"):
            self._cursor.save(until)
        return BatchResult(
            readings_total=arrived.readings_total,
            undated_total=arrived.undated_total,
            forecasts_total=len(change.made),
            removed_total=len(change.gone),
            seconds=watch.seconds,
        )

    def _change(self, rows: DataFrame, arrived: Arrivals, until: Cursor) -> _Change:
        terms = self._terms.terms()
        warm = warm_days(terms)
        devices = arrived.devices
        if arrived.dates_change:
            devices = _joined(devices, _dated(rows, self._known(until)))
        if not devices:
            return _Change()
        spans = affected(devices, warm)
        standing, made = self._sink.standing(spans), list[Forecast]()
        chosen = _in_force(terms, spans)
        if chosen:
            wanted = all_signals(t.condition for t in chosen)
            readings = self._known(until).of(spans, wanted, warm)
            made = scored(readings, chosen, spans, warm)
        kept = {_place(f) for f in made}
        return _Change([f for f in standing if _place(f) not in kept], made)

    def _known(self, until: Cursor) -> KnownReadings:
        transformed = (
            self._transformed.load()
        )  # before the table is opened: see ReadingSource.known
        unsure = not covers(transformed, self._dates_until)
        return self._history.known(transformed, until, dates_change=unsure)


class _Watch:
    """Measures the duration of steps by name."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began_s = self._now_s()
        yield
        self.seconds[name] = self._now_s() - began_s


def _in_force(terms: Sequence[Term], spans: Mapping[str, TimeSpan]) -> list[Term]:
    first = min(s.from_ms for s in spans.values())
    end = max(s.until_ms for s in spans.values())
    return [t for t in terms if t.from_at < end and (t.until_at is None or t.until_at > first)]


def _place(f: Forecast) -> tuple[object, ...]:
    """Return the forecast's key in the table and in the index of its day."""
    return (f.device_id, f.stream_id, f.seq, f.condition_id, f.model, f.version, f.issued_at)


def _dated(rows: DataFrame, known: KnownReadings) -> Mapping[str, Arrival]:
    """Return arrivals of the readings to which clock fixes now give dates.

    These are undated readings of this batch, and earlier ones that waited for a fix of this batch.
    """
    fix = F.col("kind") == Kind.CLOCK_FIX.value
    asking = fix | ((F.col("kind") == Kind.READING.value) & F.col("observed_at").isNull())
    last = F.max("seq").alias("last")
    with converted(ProjectionError, "scoring: the readings cannot be dated"):
        return known.dates_of(rows.where(asking).groupBy("device_id", "stream_id").agg(last))


def _joined(devices: Mapping[str, Arrival], others: Mapping[str, Arrival]) -> dict[str, Arrival]:
    return dict(devices) | {d: a.joined(devices.get(d)) for d, a in others.items()}
