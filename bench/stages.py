"""Measures the CPU of the sense loop by stage; it calls the gateway's own parts like the loop does.

There is one thread and no broker. `bench.process_cpu` measures the whole loop: the difference to
the sum of these stages is the cost of the loop itself.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.air import TICK_MS, layout_of
from bench.chips import list_sensors
from bench.payload import UTC_MS
from contract.keys import stream_id
from edge.forecasting.window import Window
from edge.outputs.notifications import Notifications
from edge.sensing.alerts import Alerts, samples_of
from edge.sensing.sampler import Sampler
from edge.sensing.timeline import Timeline
from edge.storage.journal import Journal, Tail
from edge.storage.outbox import Outbox
from edge.storage.queued import Encoded
from edge.storage.stream_end import Kept, StreamEnd
from models.conditions import Condition, load_conditions

__all__ = ["STAGES", "Rhythm", "Watch", "conditions", "run_stages"]

STAGES = ("sample", "conditions", "journal", "memory", "encode", "commit")
_WARM_UP = 5  # blocks before the watch starts


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Describes a load: readings per block and number of blocks."""

    name: str
    records: int
    blocks: int


@dataclass(slots=True)
class Watch:
    """Adds up this thread's CPU and wall time by stage; each lap names its stage."""

    cpu_ns: dict[str, int] = field(default_factory=dict)
    wall_ns: dict[str, int] = field(default_factory=dict)
    _cpu: int = 0
    _wall: int = 0

    def start(self) -> None:
        """Begins a lap; the time since the last lap is not counted."""
        self._wall = time.perf_counter_ns()
        self._cpu = time.thread_time_ns()

    def lap(self, stage: str) -> None:
        """Ends a lap and begins the next one."""
        cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
        self.cpu_ns[stage] = self.cpu_ns.get(stage, 0) + cpu - self._cpu
        self.wall_ns[stage] = self.wall_ns.get(stage, 0) + wall - self._wall
        self.start()

    def clear(self) -> None:
        """Discards the laps so far."""
        self.cpu_ns.clear()
        self.wall_ns.clear()


class _WatchedOutbox(Outbox):
    """Splits the journal's commit into two stages: encoding, then the transaction."""

    def __init__(self, path: Path, watch: Watch) -> None:
        super().__init__(path, durable=True)
        self._watch = watch

    def commit(
        self,
        blocks: Sequence[Encoded],
        end: StreamEnd,
        memory: Iterable[tuple[str, str]] = (),
        forget: Iterable[int] = (),
        dropped: Kept | None = None,
    ) -> None:
        """Commits to the outbox between two laps."""
        self._watch.lap("encode")
        super().commit(blocks, end, memory, forget, dropped)
        self._watch.lap("commit")


def conditions() -> tuple[Condition, ...]:
    """Returns two conditions on sensors of the name set `rooms`; both stay false in the bench."""
    shared = {"step_s": 60, "max_age_s": 120, "duration_s": 600, "comparison": "below"}
    margin = {"id": "wet-wall", "derived": "dew_point_margin", "limit": 0.5}
    pair = {"temperature": "cellar/temperature", "humidity": "cellar/humidity"}
    cold = {"id": "frost", "signal": "attic/temperature", "limit": 3.0}
    return load_conditions([{**shared, **margin, **pair}, {**shared, **cold}], "bench")


class _Stages:
    def __init__(self, outbox: Outbox, watch: Watch, sampler: Sampler) -> None:
        self._watch = watch
        self._sampler = sampler
        self._alerts = Alerts(conditions(), Notifications(()), None)
        self._window = Window()
        self._journal = Journal(outbox, stream_id(bytes(8)), lambda _: None)
        self._timeline = Timeline(self._journal.stream_id, UTC_MS)

    def tick(self, second: int, records: int) -> None:
        """Runs one second of the loop: read, judge, append, and commit if the block is full."""
        watch, offset_ms = self._watch, second * TICK_MS
        watch.start()
        measured = self._sampler.read_due(float(second), lambda: offset_ms, 0.0)
        watch.lap("sample")
        for one in measured:
            samples = samples_of(one, UTC_MS + one.offset_ms)
            self._alerts.take(samples, self._timeline)
            for signal, sample in samples:
                self._window.take(signal, sample)
        self._alerts.advance(offset_ms, self._timeline)
        self._alerts.take_completed()
        self._window.settle()
        watch.lap("conditions")
        for one in measured:
            self._journal.add_reading(one, UTC_MS + one.offset_ms)
        watch.lap("journal")
        if self._journal.open_records >= records:
            self._commit(offset_ms)

    def _commit(self, offset_ms: int) -> None:
        memory = [("alerts", self._alerts.dump()), *self._window.memory()]
        self._watch.lap("memory")
        self._journal.commit(Tail(offset_ms, UTC_MS + offset_ms, 2000), (), memory)
        self._window.stale = False
        self._watch.lap("commit")


def run_stages(folder: Path, rhythm: Rhythm, seed: int) -> Watch:
    """Runs one round with a new outbox in `folder`, and returns the times."""
    layout = layout_of("rooms", paired=True)
    per_block = rhythm.records // layout.signals_total
    warm_up, total = _WARM_UP * per_block, (_WARM_UP + rhythm.blocks) * per_block
    watch = Watch()
    outbox = _WatchedOutbox(folder / f"stages-{rhythm.name}-{seed}.db", watch)
    stages = _Stages(outbox, watch, Sampler(list_sensors(layout, seed, total)))
    for second in range(total):
        if second == warm_up:
            watch.clear()
        stages.tick(second, rhythm.records)
    outbox.close()
    return watch
