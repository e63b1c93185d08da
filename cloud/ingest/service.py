"""Runs the ingest process: three lanes with two threads each, a status line, graceful shutdown."""

import functools
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, fields

from cloud.clock import Clock
from cloud.config import IngestConfig, read_secret
from cloud.ingest.broker import BrokerSettings, LaneLink, lane_turns
from cloud.ingest.budget import DeviceLimits
from cloud.ingest.gather import GatherLimits
from cloud.ingest.group import shared_group
from cloud.ingest.ingest import LaneIngest, summed
from cloud.ingest.refusals import Refusals
from cloud.lake.landing import LandingWriter, start_id
from cloud.lake.store import Store
from contract.topics import Lane

__all__ = ["run_ingest"]

_STATUS_S = 60.0
_LOOK_S = 1.0

_log = logging.getLogger(__name__)


def run_ingest(config: IngestConfig, store: Store, clock: Clock, stop: threading.Event) -> None:
    """Runs ingest until `stop`.

    Raises:
        DewlineError: A failure that the operator must fix; all lanes have stopped.
    """
    start = start_id(clock.utc_ms())
    writer = LandingWriter(store, config.node, start)
    settings = _broker_settings(config, f"ingest-{config.node}-{start[-8:]}")
    limits = GatherLimits(
        wait_ms=config.gather_ms,
        size_bytes=config.gather_bytes,
        total=max(1, config.receive_maximum // 2),
    )
    group = functools.partial(shared_group, store)
    device_limits = _device_limits(config)
    refusals = Refusals(store, device_limits)
    links = {
        lane: LaneLink(settings, lane, group, clock, lane_turns(device_limits, refusals.note))
        for lane in Lane
    }
    lanes = [LaneIngest(lane, link, writer, clock, limits) for lane, link in links.items()]
    _log.info("ingest %s/%s: broker %s:%d", config.node, start, config.host, config.port)
    _supervise(_Parts(list(links.values()), lanes, refusals, clock), stop)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What one ingest process consists of."""

    links: Sequence[LaneLink]
    lanes: Sequence[LaneIngest]
    refusals: Refusals
    clock: Clock


def _broker_settings(config: IngestConfig, client_id: str) -> BrokerSettings:
    return BrokerSettings(
        host=config.host,
        port=config.port,
        client_id=client_id,
        receive_maximum=config.receive_maximum,
        username=config.username,
        password=read_secret(config.password_file),
        tls=config.tls,
    )


def _device_limits(config: IngestConfig) -> DeviceLimits:
    return DeviceLimits(
        messages_per_s=config.device_messages_per_s,
        bytes_per_s=config.device_bytes_per_s,
        held_total=config.device_window,
    )


def _supervise(parts: _Parts, stop: threading.Event) -> None:
    """Ends all threads when `stop` is set or one of them fails, and raises its failure."""
    with ThreadPoolExecutor(len(parts.links) + len(parts.lanes)) as pool:
        runs = [*(link.run for link in parts.links), *(lane.run for lane in parts.lanes)]
        threads = [pool.submit(run, stop) for run in runs]
        try:
            _watch(parts, threads, stop)
        finally:
            stop.set()
    _log_status(parts)
    for thread in threads:
        thread.result()


def _watch(parts: _Parts, threads: Sequence[Future[None]], stop: threading.Event) -> None:
    """Reports until `stop` is set or a thread has ended."""
    status_ms = parts.clock.monotonic_ms()
    while not stop.is_set():
        done, _ = wait(threads, timeout=_LOOK_S, return_when=FIRST_EXCEPTION)
        if done:
            return
        parts.refusals.report(parts.clock.utc_ms())
        if parts.clock.monotonic_ms() - status_ms >= _STATUS_S * 1000:
            status_ms = parts.clock.monotonic_ms()
            _log_status(parts)


def _log_status(parts: _Parts) -> None:
    counters = summed([lane.counters for lane in parts.lanes])
    shown = " ".join(f"{f.name}={getattr(counters, f.name)}" for f in fields(counters))
    connected = sum(link.connected for link in parts.links)
    _log.info(
        "status: lanes_connected=%d refused_total=%d %s", connected, parts.refusals.total, shown
    )
