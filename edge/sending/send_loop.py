"""Runs the send loop: sends blocks to the broker, deletes those that the cloud has acked.

The loop has one thread and one connection at a time, and makes every reconnect. The broker's PUBACK
is not enough to delete a block: the block stays until an ack of the cloud names it.
"""

import logging
import math
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Protocol

from contract.acks import decode_ack
from contract.errors import ContractError
from contract.topics import presence_topic, up_topic
from edge.clock import real_s
from edge.configuration.config import UplinkConfig
from edge.errors import (
    OutboxCorrupt,
    OutboxError,
    UplinkError,
    UplinkRefused,
    UplinkTakenOver,
    UplinkUnavailable,
)
from edge.sending.lanes import Lanes
from edge.sending.mqtt import DesiredHeard, Heard, Lost, News, NobodyListens, Woken
from edge.storage.outbox import Outbox
from edge.storage.queued import QueuedBlock
from transport.backoff import Backoff

__all__ = ["Connect", "SendLoop", "Wire"]

log = logging.getLogger(__name__)

_IDLE_S = 0.5  # longest time between two checks for overdue acks
_NOBODY_LIMIT_S = 2.0
_ABRUPT_ENDS = 3  # short connections without a reason in a row, until a second client is suspected
_PACKET_OVERHEAD = 16  # bytes of a PUBLISH packet besides topic and payload, at most


class Wire(Protocol):
    """A live connection, such as `edge.sending.mqtt.MqttConnection`."""

    @property
    def max_packet_bytes(self) -> int | None:
        """Largest packet that the broker accepts; None if it states no limit."""
        ...

    def publish(self, topic: str, payload: bytes) -> None:
        """Sends one block; may raise UplinkUnavailable."""
        ...

    def close(self, presence: str | None = None) -> None:
        """Ends the connection."""
        ...


Connect = Callable[["queue.SimpleQueue[News]"], Wire]
OnDesired = Callable[[bytes], None]


class SendLoop:
    """Sends until it is stopped.

    Args:
        device_id: Owner of the topics.
        config: `[uplink]`.
        open_outbox: Opens this thread's own connection to the outbox.
        connect: Opens one connection that puts its events into the queue, or raises UplinkError.
        on_desired: Called in this loop's thread with each received desired state; must return at
            once and raise nothing, like `edge.bundles.updates.Updates.offer`. If absent, desired
            states are ignored.
    """

    _corrupt: OutboxCorrupt | None = None

    def __init__(
        self,
        device_id: str,
        config: UplinkConfig,
        open_outbox: Callable[[], Outbox],
        connect: Connect,
        on_desired: OnDesired | None = None,
    ) -> None:
        self._device_id = device_id
        self._config = config
        self._open_outbox = open_outbox
        self._connect = connect
        self._on_desired = on_desired
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._drained = threading.Event()
        self._damaged: queue.SimpleQueue[QueuedBlock] = queue.SimpleQueue()
        self._had_backlog = False
        self._drain_until_s = math.inf
        self._nobody = Backoff(first_s=0.5, longest_s=_NOBODY_LIMIT_S, stable_s=math.inf)
        self._hold_until_s = 0.0
        self._probing = False
        self._connected_at_s: float | None = None
        self._complaint = ""
        self._abrupt_ends = self._too_large = self.acked_total = self.refused_acks_total = 0

    def backlog_drained(self) -> bool:
        """Returns whether a backlog was sent since the last call; for the sense loop."""
        drained = self._drained.is_set()
        self._drained.clear()
        return drained

    def wake(self) -> None:
        """Starts the next round at once, after a commit. May be called from any thread."""
        self._news.put(Woken())

    def take_damaged(self) -> list[QueuedBlock]:
        """Returns damaged blocks found since the last call; the sense loop writes their Loss.

        Raises:
            OutboxCorrupt: This loop found the file damaged; only the sense loop can replace it.
        """
        if self._corrupt is not None:
            raise self._corrupt
        damaged = []
        while not self._damaged.empty():
            damaged.append(self._damaged.get())
        return damaged

    def stop(self, drain_s: float) -> None:
        """Asks the loop to end when the queue is empty, at the latest after `drain_s` seconds."""
        self._drain_until_s = real_s() + drain_s
        self._stopping.set()
        self.wake()

    def run(self) -> None:
        """Connects and sends until stopped; connects again after each failure."""
        backoff = Backoff(
            first_s=1.0, longest_s=self._config.retry_max_s, stable_s=self._config.stable_s
        )
        while not self._expired():
            try:
                with closing(self._open_outbox()) as outbox:
                    self._serve(outbox, backoff)
            except OutboxError as error:
                self._complain(error)
            except Exception:  # without this thread no reading would be sent, silently
                log.exception("uplink: unexpected error; the send loop restarts")
            else:
                return
            self._stopping.wait(backoff.wait_s())

    def _serve(self, outbox: Outbox, backoff: Backoff) -> None:
        lanes = Lanes(
            outbox, self._config.window, self._config.ack_timeout_s, self._config.retry_max_s
        )
        lanes.begin()
        while not self._finished(lanes):
            self._connected_at_s = None
            try:
                self._session(lanes)
            except (UplinkError, OutboxError) as error:
                lanes.forget_flights()
                self._complain(error)
                self._pause(backoff.wait_s(self._worked_s(), rarely=not error.retryable), lanes)

    def _session(self, lanes: Lanes) -> None:
        self._news = queue.SimpleQueue()
        wire = self._connect(self._news)
        self._connected_at_s = real_s()
        self._probing = False
        self._hold_until_s = 0.0
        log.info("uplink: connected")
        try:
            while not self._finished(lanes):
                self._round(wire, lanes)
        except BaseException:
            wire.close()
            raise
        wire.close(presence_topic(self._device_id))

    def _worked_s(self) -> float:
        return 0.0 if self._connected_at_s is None else real_s() - self._connected_at_s

    def _complain(self, error: UplinkError | OutboxError) -> None:
        text = str(error)
        if self._connected_at_s is not None or text != self._complaint:
            log.warning("uplink: %s", text)
        self._complaint = text
        if isinstance(error, OutboxCorrupt):
            self._corrupt = error

    def _round(self, wire: Wire, lanes: Lanes) -> None:
        now_s = real_s()
        lanes.note_commits(now_s)
        if now_s >= self._hold_until_s:
            for outgoing in lanes.next(now_s, self._most(lanes)):
                topic = up_topic(self._device_id, outgoing.lane)
                if self._fits(wire, topic, outgoing.block):
                    self._publish(wire, topic, outgoing.block.payload)
                else:
                    lanes.set_aside(outgoing)
        for news in self._heard(0.0 if self._finished(lanes) else _IDLE_S):
            self._hear(news, lanes)
        self._notice_backlog(lanes)
        for block in lanes.outbox.damaged():
            self._damaged.put(block)

    def _publish(self, wire: Wire, topic: str, payload: bytes) -> None:
        """Publishes; if the connection has ended, raises the broker's reason for that."""
        try:
            wire.publish(topic, payload)
        except UplinkUnavailable:
            for news in self._heard(_IDLE_S):
                if isinstance(news, Lost):
                    raise self._failure(news) from None
            raise

    def _fits(self, wire: Wire, topic: str, block: QueuedBlock) -> bool:
        """Returns whether the broker accepts the block; logs the largest one that it does not."""
        limit, size_bytes = wire.max_packet_bytes, len(block.payload)
        if limit is None or len(topic) + size_bytes + _PACKET_OVERHEAD <= limit:
            return True
        if size_bytes > self._too_large:
            self._too_large = size_bytes
            log.error(
                "uplink: the broker accepts packets of at most %d bytes, and a block has %d: it "
                "stays in the outbox, and smaller blocks are sent. Set the broker's largest packet "
                "(Mosquitto: max_packet_size) to 262144; [commit] records limits new blocks",
                limit,
                size_bytes,
            )
        return False

    def _most(self, lanes: Lanes) -> int:
        if self._probing:
            return 0 if lanes.in_flight else 1
        return self._config.window

    def _heard(self, timeout_s: float) -> Iterator[News]:
        """Yields the queue's events, after waiting at most `timeout_s` for the first."""
        try:
            yield self._news.get(timeout=timeout_s) if timeout_s else self._news.get_nowait()
            while True:
                yield self._news.get_nowait()
        except queue.Empty:
            return

    def _hear(self, news: News, lanes: Lanes) -> None:
        if isinstance(news, Heard):
            self._take_ack(news.payload, lanes)
        elif isinstance(news, DesiredHeard):
            if self._on_desired is not None:
                self._on_desired(news.payload)
        elif isinstance(news, NobodyListens):
            self._hold(lanes)
        elif isinstance(news, Lost):
            raise self._failure(news)

    def _failure(self, lost: Lost) -> UplinkError:
        """Returns the error for the end of a connection.

        If two clients have one name, each new connection of one ends that of the other. Brokers
        that do not say so just close the connection, so it is suspected after some short ones.
        """
        short = self._worked_s() < self._config.stable_s
        self._abrupt_ends = self._abrupt_ends + 1 if lost.abrupt and short else 0
        if lost.taken_over or self._abrupt_ends >= _ABRUPT_ENDS:
            doubt = "" if lost.taken_over else "probably "
            return UplinkTakenOver(
                f"{lost.reason}; {doubt}two gateways use the device id {self._device_id}, and each "
                "ends the other's connection. Find the copied SD card, and give its gateway an id "
                "and a certificate of its own"
            )
        return UplinkRefused(lost.reason) if lost.refused else UplinkUnavailable(lost.reason)

    def _hold(self, lanes: Lanes) -> None:
        """Pauses because no ingest process subscribes; later one block tests whether one does."""
        if not self._probing:
            log.warning(
                "uplink: the broker accepts blocks, but no ingest process subscribes; blocks stay "
                "in the outbox"
            )
        self._probing = True
        lanes.forget_flights()
        self._hold_until_s = real_s() + self._nobody.wait_s()

    def _take_ack(self, payload: bytes, lanes: Lanes) -> None:
        try:
            done = lanes.acked(decode_ack(payload), real_s())
        except ContractError as error:
            self.refused_acks_total += 1
            log.warning("uplink: an invalid ack is ignored: %s", error)
            return
        if done:
            lanes.outbox.delete(done)
            self.acked_total += len(done)
            self._listened()

    def _listened(self) -> None:
        if self._probing:
            log.info("uplink: the cloud acks blocks again")
        self._probing = False
        self._nobody = Backoff(first_s=0.5, longest_s=_NOBODY_LIMIT_S, stable_s=math.inf)
        self._hold_until_s = 0.0

    def _notice_backlog(self, lanes: Lanes) -> None:
        backlog = lanes.backlog()
        if self._had_backlog and not backlog:
            self._drained.set()
        self._had_backlog = backlog

    def _finished(self, lanes: Lanes) -> bool:
        return self._stopping.is_set() and (self._expired() or lanes.empty())

    def _expired(self) -> bool:
        return self._stopping.is_set() and real_s() >= self._drain_until_s

    def _pause(self, seconds: float, lanes: Lanes) -> None:
        until_s = real_s() + seconds
        while real_s() < until_s and not self._finished(lanes):
            for _ in self._heard(min(_IDLE_S, until_s - real_s())):
                pass  # a commit or the stop has ended the wait
            lanes.note_commits(real_s())
