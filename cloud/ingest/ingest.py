"""Moves blocks of a lane: broker -> one committed landing file -> acks -> PUBACK.

An acked block is always in the lake. All other steps may fail, be killed or be repeated.
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

from cloud.clock import Clock
from cloud.errors import LakeError
from cloud.ingest.blocks import acks_of, landed_block
from cloud.ingest.broker import Inbound
from cloud.ingest.gather import Gather, GatherLimits
from cloud.lake.landing import LandingWriter
from cloud.lake.positions import LandedBlock
from contract.acks import encode_ack
from contract.errors import ContractError
from contract.topics import Lane, ack_topic, parse_up_topic
from transport.backoff import Backoff

__all__ = ["IngestCounters", "LaneIngest", "Link", "summed"]

_IDLE_S = 0.2  # maximum delay of a stop
_BAD_TOPIC_LOG_MS = 60_000

_log = logging.getLogger(__name__)


class Link(Protocol):
    """One lane's connection to the broker."""

    def take(self, timeout_s: float) -> Inbound | None:
        """Returns the next message; None after `timeout_s` seconds without one."""
        ...

    def charge(self, device_id: str, cpu_s: float, *, readable: bool) -> None:
        """Charges a device's budget for the check of its block."""
        ...

    def publish(self, topic: str, payload: bytes) -> bool:
        """Sends at most once; returns False if there is no connection."""
        ...


@dataclass(frozen=True, slots=True)
class _Gathered:
    """A message, and its row of the lake; None if its topic names no device."""

    message: Inbound
    block: LandedBlock | None


@dataclass(slots=True)
class IngestCounters:
    """Counters of one lane since its start."""

    files_total: int = 0
    blocks_total: int = 0
    payload_bytes_total: int = 0
    undecodable_total: int = 0
    bad_topics_total: int = 0
    store_failures_total: int = 0
    acks_total: int = 0
    acks_unsent_total: int = 0


def summed(counters: Sequence[IngestCounters]) -> IngestCounters:
    """Returns the sums of several lanes' counters."""
    return IngestCounters(
        *(sum(getattr(c, f.name) for c in counters) for f in fields(IngestCounters))
    )


class LaneIngest:
    """Moves the blocks of one lane from its link into the landing."""

    def __init__(
        self,
        lane: Lane,
        link: Link,
        writer: LandingWriter,
        clock: Clock,
        limits: GatherLimits,
        backoff: Backoff | None = None,
    ) -> None:
        self.counters = IngestCounters()
        self._lane = lane
        self._link = link
        self._writer = writer
        self._clock = clock
        self._gather: Gather[_Gathered] = Gather(limits)
        self._backoff = backoff or Backoff(first_s=0.1, longest_s=5.0)
        self._bad_topic_logged_ms: int | None = None

    def run(self, stop: threading.Event) -> None:
        """Runs until `stop`; messages gathered then get no PUBACK, and gateways send them again.

        Raises:
            LakeExists: Another process writes with the same node and start id.
        """
        while not stop.is_set():
            left_ms = self._gather.left_ms(self._clock.monotonic_ms())
            if left_ms == 0:
                self._commit(self._gather.take(), stop)
                continue
            wait_s = _IDLE_S if left_ms is None else min(_IDLE_S, left_ms / 1000)
            message = self._link.take(wait_s)
            if message is not None:
                # Checked now, so that the time for expensive blocks counts against the file's wait.
                gathered = _Gathered(message, self._checked(message))
                self._gather.add(gathered, len(message.payload), self._clock.monotonic_ms())

    def _commit(self, gathered: Sequence[_Gathered], stop: threading.Event) -> None:
        """Writes the file, then sends acks, then PUBACKs; only this method decides the order."""
        blocks = tuple(one.block for one in gathered if one.block is not None)
        if blocks and not self._written(blocks, stop):
            return
        self._publish_acks(blocks)
        for one in gathered:
            one.message.answer()

    def _checked(self, message: Inbound) -> LandedBlock | None:
        try:
            device_id, _ = parse_up_topic(message.topic)
        except ContractError as error:
            self._note_bad_topic(error)
            return None
        began_s = time.thread_time()
        block = landed_block(message.topic, device_id, message.payload, message.received_at)
        cpu_s = time.thread_time() - began_s
        self._link.charge(device_id, cpu_s, readable=block.stream_id is not None)
        return block

    def _written(self, blocks: tuple[LandedBlock, ...], stop: threading.Event) -> bool:
        """Retries until the file is durable; returns False if `stop` is set before."""
        failing = False
        while True:
            try:
                self._writer.commit(self._lane, blocks)
            except LakeError as error:
                if not error.retryable:
                    raise
                self.counters.store_failures_total += 1
                if not failing:
                    _log.error(
                        "lane %s: no block is stored or acked: %s; trying again", self._lane, error
                    )
                failing = True
                if stop.wait(self._backoff.wait_s()):
                    return False
            else:
                break
        if failing:
            _log.info("lane %s: blocks are stored again", self._lane)
        self._backoff.reset()
        self._count(blocks)
        return True

    def _publish_acks(self, blocks: Sequence[LandedBlock]) -> None:
        for device_id, ack in acks_of(blocks):
            if self._link.publish(ack_topic(device_id), encode_ack(ack)):
                self.counters.acks_total += 1
            else:  # harmless: the gateway sends the blocks again and gets the ack then
                self.counters.acks_unsent_total += 1

    def _count(self, blocks: Sequence[LandedBlock]) -> None:
        self.counters.files_total += 1
        self.counters.blocks_total += len(blocks)
        self.counters.payload_bytes_total += sum(len(b.payload) for b in blocks)
        self.counters.undecodable_total += sum(b.stream_id is None for b in blocks)

    def _note_bad_topic(self, error: ContractError) -> None:
        """Counts a message whose topic names no device, and logs it at most once a minute."""
        self.counters.bad_topics_total += 1
        now_ms = self._clock.monotonic_ms()
        last_ms = self._bad_topic_logged_ms
        if last_ms is None or now_ms - last_ms >= _BAD_TOPIC_LOG_MS:
            self._bad_topic_logged_ms = now_ms
            _log.warning(
                "lane %s: %s; %d bad topics so far",
                self._lane,
                error,
                self.counters.bad_topics_total,
            )
