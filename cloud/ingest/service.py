"""Runs the ingest process: three lanes with two threads each, a status line, graceful shutdown."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import fields

from cloud.clock import Clock
from cloud.config import IngestConfig, read_secret
from cloud.ingest.broker import BrokerSettings, LaneLink
from cloud.ingest.gather import GatherLimits
from cloud.ingest.ingest import LaneIngest, summed
from cloud.lake.landing import LandingWriter, start_id
from cloud.lake.store import Store
from contract.topics import Lane

__all__ = ["run_ingest"]

_STATUS_S = 60.0

_log = logging.getLogger(__name__)


def run_ingest(config: IngestConfig, store: Store, clock: Clock, stop: threading.Event) -> None:
    """Runs ingest until `stop`.

    Raises:
        DewlineError: A failure that the operator must fix; all lanes have stopped.
    """
    start = start_id(clock.utc_ms())
    writer = LandingWriter(store, config.node, start)
    settings = BrokerSettings(
        host=config.host,
        port=config.port,
        client_id=f"ingest-{config.node}-{start[-8:]}",
        receive_maximum=config.receive_maximum,
        username=config.username,
        password=read_secret(config.password_file),
        tls=config.tls,
    )
    limits = GatherLimits(
        wait_ms=config.gather_ms,
        size_bytes=config.gather_bytes,
        total=max(1, config.receive_maximum // 2),
    )
    links = {lane: LaneLink(settings, lane, clock) for lane in Lane}
    lanes = [LaneIngest(lane, link, writer, clock, limits) for lane, link in links.items()]
    _log.info("ingest %s/%s: broker %s:%d", config.node, start, config.host, config.port)
    _supervise(list(links.values()), lanes, stop)


def _supervise(
    links: Sequence[LaneLink], lanes: Sequence[LaneIngest], stop: threading.Event
) -> None:
    """Ends all threads when `stop` is set or one of them fails, and raises its failure."""
    with ThreadPoolExecutor(len(links) + len(lanes)) as pool:
        runs = [*(link.run for link in links), *(lane.run for lane in lanes)]
        threads = [pool.submit(run, stop) for run in runs]
        try:
            while not stop.is_set():
                done, _ = wait(threads, timeout=_STATUS_S, return_when=FIRST_EXCEPTION)
                if done:
                    break
                _log_status(links, lanes)
        finally:
            stop.set()
    _log_status(links, lanes)
    for thread in threads:
        thread.result()


def _log_status(links: Sequence[LaneLink], lanes: Sequence[LaneIngest]) -> None:
    counters = summed([lane.counters for lane in lanes])
    shown = " ".join(f"{f.name}={getattr(counters, f.name)}" for f in fields(counters))
    _log.info("status: lanes_connected=%d %s", sum(link.connected for link in links), shown)
