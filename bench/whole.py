"""CPU of the whole gateway process: the real sense loop, the real send loop, a real broker.

Only the chips are not real (they answer from a list) and the sense clock does not wait. `live` and
`saver` go on when the cloud has acked the block, so that each block makes its way alone, as it does
on a gateway that is not behind; a drain sends what has piled up.
"""

import queue
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.air import TICK_MS, layout_of
from bench.chips import list_sensors
from bench.errors import BenchError
from bench.line import DEVICE, Line
from bench.payload import UTC_MS, blocks
from bench.stages import Rhythm, conditions
from contract.keys import stream_id
from contract.wire import encode
from edge.clock import VirtualClock
from edge.configuration.config import CommitConfig
from edge.forecasting.forecasting import Forecasting, NoModels
from edge.forecasting.forecasts import Forecasts
from edge.forecasting.window import Window
from edge.outputs.notifications import Notifications
from edge.sending.mqtt import connect
from edge.sending.send_loop import SendLoop
from edge.sense_loop import Rhythm as SenseRhythm
from edge.sense_loop import SenseLoop, Senses
from edge.sensing.alerts import Alerts
from edge.sensing.sampler import Sampler, Sensor
from edge.storage.journal import Committed, Journal
from edge.storage.outbox import Encoded, Outbox, StreamEnd

__all__ = ["Cost", "drain", "run_whole"]

_LIMIT_S = 60.0
_NEVER_S = 1e6
_LAYOUT = layout_of("rooms", paired=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a number of readings cost.

    Attributes:
        sense_us: CPU of the sense loop's thread a reading, microseconds.
        send_us: CPU of the send loop's and the MQTT client's threads a reading, microseconds.
        wall_us: Wall time a reading, microseconds.
    """

    sense_us: float
    send_us: float
    wall_us: float

    @property
    def cpu_us(self) -> float:
        """CPU of the process a reading, microseconds."""
        return self.sense_us + self.send_us


class _ToldOutbox(Outbox):
    """The send loop's connection; says how many blocks were acked and deleted."""

    def __init__(self, path: Path, gone: "queue.SimpleQueue[None]") -> None:
        super().__init__(path, durable=False)
        self._gone = gone

    def delete(self, row_ids: Iterable[int]) -> None:
        """The outbox's own delete, then the news of it."""
        deleted = list(row_ids)
        super().delete(deleted)
        for _ in deleted:
            self._gone.put(None)


@dataclass(slots=True)
class _Span:
    """CPU and wall time between two moments, by thread."""

    marks: list[tuple[int, int, int]] = field(default_factory=list)

    def mark(self) -> None:
        """To be called by the sense loop's thread, twice."""
        self.marks.append((time.process_time_ns(), time.thread_time_ns(), time.perf_counter_ns()))

    def cost(self, readings: int) -> Cost:
        """Between the marks."""
        process, thread, wall = (b - a for a, b in zip(*self.marks, strict=True))
        return Cost(
            sense_us=thread / 1000 / readings,
            send_us=(process - thread) / 1000 / readings,
            wall_us=wall / 1000 / readings,
        )


class _Sender:
    """The send loop in its thread."""

    def __init__(self, path: Path, line: Line) -> None:
        self._gone: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.loop = SendLoop(
            DEVICE,
            line.uplink,
            open_outbox=lambda: _ToldOutbox(path, self._gone),
            connect=lambda news: connect(DEVICE, line.uplink, news),
        )
        self._thread = threading.Thread(target=self.loop.run, name="send")
        self._thread.start()

    def wait_acked(self, blocks: int) -> None:
        """Returns when so many more blocks are acked and gone.

        Raises:
            BenchError: They were not in time.
        """
        try:
            for _ in range(blocks):
                self._gone.get(timeout=_LIMIT_S)
        except queue.Empty as error:
            raise BenchError(f"no ack within {_LIMIT_S:g} s") from error

    def stop(self) -> None:
        """Ends the loop without waiting for anything."""
        self.loop.stop(0.0)
        self._thread.join()


def run_whole(folder: Path, line: Line, rhythm: Rhythm, seed: int) -> Cost:
    """Returns one round: so many blocks through both loops and the broker, each acked before the next."""
    seconds = rhythm.blocks * rhythm.records // _LAYOUT.signals_total
    span = _Span()
    outbox = Outbox(folder / f"whole-{rhythm.name}-{seed}.db", durable=True)
    sender = _Sender(outbox.path, line)

    def on_commit(committed: Committed) -> None:
        sender.loop.wake()
        sender.wait_acked(len(committed.blocks))
        if not span.marks:
            span.mark()  # the stream's first record is through: connected and warm

    def gate(_mark_ms: int) -> None:
        if len(span.marks) == 1:
            span.mark()

    clock = VirtualClock(UTC_MS, UTC_MS + seconds * TICK_MS - TICK_MS // 2, gate)
    journal = Journal(outbox, stream_id(seed.to_bytes(8, "big")), on_commit)
    sensors = list_sensors(_LAYOUT, seed, seconds + 1, clock)
    try:
        _loop(clock, sensors, (outbox, journal, sender.loop), rhythm).run()
    finally:
        sender.stop()
        outbox.close()
    return span.cost(rhythm.blocks * rhythm.records)


def _loop(
    clock: VirtualClock,
    sensors: Sequence[Sensor],
    parts: tuple[Outbox, Journal, SendLoop],
    rhythm: Rhythm,
) -> SenseLoop:
    outbox, journal, sender = parts
    notifications, models, declared = Notifications(()), NoModels(), conditions()
    senses = Senses(
        clock=clock,
        sampler=Sampler(sensors),
        notifications=notifications,
        alerts=Alerts(declared, notifications, None),
        forecasting=Forecasting(Window(), models, Forecasts(declared, models, notifications, None)),
        journal=journal,
        outbox=outbox,
        queue=sender,
        version="bench",
    )
    commit = CommitConfig(rhythm_s=_NEVER_S, records=rhythm.records, status_s=_NEVER_S)
    return SenseLoop(senses, SenseRhythm(commit, _NEVER_S), None)


def drain(folder: Path, line: Line, rhythm: Rhythm, seed: int) -> Cost:
    """Returns one round: so many blocks wait already; only the send loop works, its window always full."""
    path = folder / f"drain-{rhythm.name}-{seed}.db"
    outbox = Outbox(path, durable=False)
    made = blocks(_LAYOUT, rhythm.records, 0, seed)
    for block in (next(made) for _ in range(rhythm.blocks)):
        encoded = Encoded(block.first, block.last, alert=False, payload=encode(block))
        end = StreamEnd(block.stream_id, block.last, None, 0, clean=False)
        outbox.commit([encoded], end)
    outbox.close()
    span = _Span()
    span.mark()
    sender = _Sender(path, line)
    sender.wait_acked(rhythm.blocks)
    span.mark()
    sender.stop()
    return span.cost(rhythm.blocks * rhythm.records)
