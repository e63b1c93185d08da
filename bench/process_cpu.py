"""Measures the CPU of the whole gateway process: real sense loop, send loop and broker.

Only the chips are not real (they return samples from a list), and the sense clock does not wait. In
`live` and `saver` runs each block is acked before the next one is committed, as on a gateway
without a backlog. `drain` measures sending a backlog.
"""

import queue
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.air import TICK_MS, layout_of
from bench.broker import DEVICE, Line
from bench.chips import list_sensors
from bench.errors import BenchError
from bench.payload import UTC_MS, blocks
from bench.stages import Rhythm, conditions
from contract.keys import stream_id
from contract.wire import encode
from edge.clock import VirtualClock
from edge.configuration.config import CommitConfig
from edge.forecasting.forecast_alerts import ForecastAlerts
from edge.forecasting.forecasting import Forecasting, NoModels
from edge.forecasting.window import Window
from edge.outputs.notifications import Notifications
from edge.sending.mqtt import connect
from edge.sending.send_loop import SendLoop
from edge.sense_loop import Rhythm as SenseRhythm
from edge.sense_loop import SenseLoop, Senses
from edge.sensing.alerts import Alerts
from edge.sensing.sampler import Sampler, Sensor
from edge.storage.journal import Committed, Journal
from edge.storage.outbox import Outbox
from edge.storage.queued import Encoded
from edge.storage.stream_end import StreamEnd

__all__ = ["Cost", "drain", "run_whole"]

_LIMIT_S = 60.0
_NEVER_S = 1e6
_LAYOUT = layout_of("rooms", paired=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Holds the cost of a reading.

    Attributes:
        sense_us: CPU of the sense loop's thread per reading, microseconds.
        send_us: CPU of the send loop's and the MQTT client's threads per reading, microseconds.
        wall_us: Wall time per reading, microseconds.
    """

    sense_us: float
    send_us: float
    wall_us: float

    @property
    def cpu_us(self) -> float:
        """CPU of the process per reading, microseconds."""
        return self.sense_us + self.send_us


class _ToldOutbox(Outbox):
    """Reports each block that the send loop deletes from the outbox after its ack."""

    def __init__(self, path: Path, gone: "queue.SimpleQueue[None]") -> None:
        super().__init__(path, durable=False)
        self._gone = gone

    def delete(self, row_ids: Iterable[int]) -> None:
        """Deletes the blocks, then reports each of them."""
        deleted = list(row_ids)
        super().delete(deleted)
        for _ in deleted:
            self._gone.put(None)


@dataclass(slots=True)
class _Span:
    """Measures CPU and wall time between two marks, by thread."""

    marks: list[tuple[int, int, int]] = field(default_factory=list)

    def mark(self) -> None:
        """Sets a mark; the sense loop's thread must call this twice."""
        self.marks.append((time.process_time_ns(), time.thread_time_ns(), time.perf_counter_ns()))

    def cost(self, readings: int) -> Cost:
        """Returns the cost of a reading between the marks."""
        process, thread, wall = (b - a for a, b in zip(*self.marks, strict=True))
        return Cost(
            sense_us=thread / 1000 / readings,
            send_us=(process - thread) / 1000 / readings,
            wall_us=wall / 1000 / readings,
        )


class _Sender:
    """Runs the send loop in its own thread."""

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
        """Waits until that many more blocks are acked and deleted.

        Raises:
            BenchError: An ack did not arrive in time.
        """
        try:
            for _ in range(blocks):
                self._gone.get(timeout=_LIMIT_S)
        except queue.Empty as error:
            raise BenchError(f"send loop: no ack arrived within {_LIMIT_S:g} s") from error

    def stop(self) -> None:
        """Stops the loop without waiting for acks."""
        self.loop.stop(0.0)
        self._thread.join()


def run_whole(folder: Path, line: Line, rhythm: Rhythm, seed: int) -> Cost:
    """Measures one round through both loops and the broker; each block is acked before the next."""
    seconds = rhythm.blocks * rhythm.records // _LAYOUT.signals_total
    span = _Span()
    outbox = Outbox(folder / f"whole-{rhythm.name}-{seed}.db", durable=True)
    sender = _Sender(outbox.path, line)

    def on_commit(committed: Committed) -> None:
        sender.loop.wake()
        sender.wait_acked(len(committed.blocks))
        if not span.marks:
            span.mark()  # the first record is acked: the loops are connected and warm

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
        forecasting=Forecasting(
            Window(), models, ForecastAlerts(declared, models, notifications, None)
        ),
        journal=journal,
        outbox=outbox,
        queue=sender,
        version="bench",
    )
    commit = CommitConfig(rhythm_s=_NEVER_S, records=rhythm.records, status_s=_NEVER_S)
    return SenseLoop(senses, SenseRhythm(commit, _NEVER_S), None)


def drain(folder: Path, line: Line, rhythm: Rhythm, seed: int) -> Cost:
    """Measures one round of the send loop with a backlog, so that its window is always full."""
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
