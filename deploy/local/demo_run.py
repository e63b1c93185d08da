"""Runs the demo's year: eight imported months, then three gateways in lock-step with the cloud.

A mark is a date at which all gateways wait. This module starts and stops the gateways, the cloud's
processes and the Spark process. `deploy.local.demo` calls the steps and prints the results.
"""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloud.composition.lake import open_lake
from cloud.composition.registry import open_registry
from cloud.composition.servers import open_warehouse
from cloud.config import fleet_conditions, need
from cloud.ledger.report import Totals
from cloud.search.kibana.query import Scope
from contract.records import Kind
from deploy.local.agreement import agree
from deploy.local.certificates import CertificateFiles, Certificates
from deploy.local.cloud_side import FOLLOWERS, CloudSide, write_config
from deploy.local.errors import ServerError
from deploy.local.fleet import CONDITIONS, SITES, Gateway, Site
from deploy.local.forecasts import Closing, cloud_predictions, gather
from deploy.local.kibana import PanelCheck, check_panels
from deploy.local.model_side import ModelSide, SparkSide, make_key
from deploy.local.proof import Counts, count_lake, lines
from deploy.local.proxy import Proxy
from deploy.local.servers import Stack
from deploy.local.summary import Proof, Steps
from deploy.local.weather import (
    HISTORY_MAPPING,
    recorded_ms,
    write_history,
    write_recordings,
)
from models.signing import Signer

__all__ = ["Year"]

CUT_OFF = "lga"
BEGIN = "2013-09-01T00:00:00+00:00"  # of the gateways; everything before is imported
CUT_FROM, CUT_TO = "2013-10-07T00:00:00+00:00", "2013-11-11T00:00:00+00:00"
CYCLES = tuple(f"2013-{day}T00:00:00+00:00" for day in ("09-02", "11-01", "12-01"))
MARKS = tuple(sorted([*CYCLES, CUT_FROM, CUT_TO]))
_SET_UP = (("warehouse", "migrate"), ("search", "setup"))
_HOUR_MS = 3_600_000
_MARK_LIMIT_S = 120.0
_POLL_S = 0.05


class Year:
    """Runs one year in one folder.

    Args:
        folder: Folder for all files except the servers' data.
        stack: The servers.
        certificates: Certificates of gateways, cloud and servers.
        steps: Object that prints progress.
    """

    def __init__(
        self, folder: Path, stack: Stack, certificates: Certificates, steps: Steps
    ) -> None:
        self._steps = steps
        self._folder = folder
        make_key(folder)
        config_path = write_config(folder, stack, certificates, CONDITIONS)
        self.cloud = CloudSide(config_path, folder)
        self.spark = SparkSide(config_path, folder)
        api = need(self.cloud.config.api, "api", self.cloud.config)
        ports = (stack.mosquitto.devices_port, api.port)
        self._lines = (Proxy(ports[0]), Proxy(ports[1]))
        self._models = ModelSide(self.cloud, Signer.load(folder / "signing.pem"))
        self._beside = ThreadPoolExecutor()
        self._scoring = False  # starts after the first cycle, because there is no model before
        now_ms = int(time.time() * 1000)
        self._shift, _, self._last_ms = write_recordings(folder, now_ms)
        self._begin_ms = self._at(BEGIN)
        self._imported: Counter[str] = Counter()
        self._cut = False
        self.gateways = [
            self._gateway(site, certificates.device(site.device), ports) for site in SITES
        ]

    def _gateway(
        self, site: Site, certificate: CertificateFiles, ports: tuple[int, int]
    ) -> Gateway:
        if site.device == CUT_OFF:
            ports = (self._lines[0].port, self._lines[1].port)
        folder, recording = self._folder / site.device, self._folder / f"{site.device}.csv"
        return Gateway(site, folder, recording, certificate, ports, self._begin_ms)

    def close(self) -> None:
        """Stops all processes that this run has started."""
        self._beside.shutdown()
        for gateway in self.gateways:
            gateway.kill()
        self.spark.stop()
        self.cloud.stop()
        for line in self._lines:
            line.close()

    def prepare(self) -> None:
        """Creates tables and index templates, and starts the processes that run all the time."""
        for done in self._beside.map(lambda words: self.cloud.call(*words), _SET_UP):
            self._steps.say(done.splitlines()[-1])
        self.cloud.start("ingest", "run")
        for noun in FOLLOWERS:
            self.cloud.start(noun, "follow")
        self.cloud.start("rollout", "run")
        self.cloud.start("api", "serve")

    def history(self) -> None:
        """Imports the months before the gateways begin."""
        path = self._folder / "history.csv"
        self._imported = write_history(path, self._shift, recorded_ms(BEGIN))
        words = ("import", str(path), "--mapping", str(HISTORY_MAPPING), "--json")
        found = json.loads(self.cloud.call(*words))
        self._steps.say(
            f"{found['readings']:,} readings imported, in {found['files'][0]['blocks']:,} blocks"
        )
        with self._steps.timed("projections"):
            self.cloud.wait_projected(FOLLOWERS, _MARK_LIMIT_S)

    def flow(self) -> None:
        """Runs the gateways' months from mark to mark."""
        marks = [*(self._at(m) for m in MARKS), self._last_ms + _HOUR_MS]
        cycles = {self._at(m) for m in CYCLES}
        for gateway in self.gateways:
            gateway.start(marks[0])
        for index, mark_ms in enumerate(marks):
            self._wait_at(mark_ms)
            if mark_ms in cycles:
                self._cycle(mark_ms)
            if self._line(mark_ms) or mark_ms in cycles:
                self._wait_running(mark_ms)
            if index + 1 < len(marks):
                self._move_on(marks[index + 1])

    def _at(self, recorded: str) -> int:
        return self._shift.moved(recorded_ms(recorded))

    def _move_on(self, mark_ms: int) -> None:
        for gateway in self.gateways:
            gateway.move_on(mark_ms)

    @property
    def _connected(self) -> list[Gateway]:
        return [g for g in self.gateways if not (self._cut and g.device == CUT_OFF)]

    def _line(self, mark_ms: int) -> bool:
        """Cuts or restores a gateway's network; returns whether it was restored."""
        if mark_ms == self._at(CUT_FROM):
            self._cut = True
            for line in self._lines:
                line.cut()
            self._steps.say(
                f"{CUT_OFF} is cut off; it continues to measure, to raise alerts and to forecast"
            )
        if mark_ms != self._at(CUT_TO):
            return False
        held = next(g for g in self.gateways if g.device == CUT_OFF).queued()
        for line in self._lines:
            line.mend()
        self._cut = False
        self._steps.say(f"{CUT_OFF} is connected again, with {held.blocks} blocks to send")
        return True

    def _cycle(self, mark_ms: int) -> None:
        """Runs a cycle, which trains due models on all data received by the mark."""
        with self._steps.timed("cycles"):
            result = self.spark.ask(f"cycle {mark_ms}")
        for row in result["decisions"]:
            self._steps.say(f"  {row['condition_id']}: {row['decision']}: {row['reason']}")
        if not self._scoring:
            self.spark.ask("follow")
            self._scoring = True

    def _wait_running(self, mark_ms: int) -> None:
        """Waits until every connected gateway runs and reports its desired bundles."""
        with self._steps.timed("rollouts"):
            self._models.wait_fetched(self._connected, _MARK_LIMIT_S)
            deadline_s = time.monotonic() + _MARK_LIMIT_S
            while not (
                self._models.running(self._connected) and self._models.reported(self._connected)
            ):
                if time.monotonic() > deadline_s:
                    raise ServerError("a gateway does not run its fetched bundles; see its log")
                self._move_on(mark_ms)  # to the same mark: gateways only look for new bundles
                self._wait_projected(mark_ms)

    def _wait_at(self, mark_ms: int) -> None:
        """Waits until all are at the mark and every store has the connected gateways' records."""
        self._wait_projected(mark_ms)
        with self._steps.timed("scoring"):
            folded = self._beside.submit(self.cloud.call, "lake", "fold")
            if self._scoring:
                self.spark.ask("scored")
            folded.result()
        records = sum(sum(g.observer.committed.values()) for g in self.gateways)
        blocks = sum(g.observer.blocks for g in self.gateways)
        self._steps.say(f"{_date(mark_ms)}: {records:,} records committed in {blocks:,} blocks")

    def _wait_projected(self, mark_ms: int) -> None:
        """Waits until all are at the mark and the connected gateways' records are projected."""
        deadline_s = time.monotonic() + _MARK_LIMIT_S
        connected = {g.device for g in self._connected}
        for gateway in self.gateways:
            while not (
                gateway.is_waiting(mark_ms)
                and (gateway.device not in connected or not gateway.queued().blocks)
            ):
                self.cloud.check_alive()
                if time.monotonic() > deadline_s:
                    raise ServerError(
                        f"gateway {gateway.device} did not reach its mark and send all blocks in "
                        "time; see its log"
                    )
                time.sleep(_POLL_S)
        with self._steps.timed("projections"):
            self.cloud.wait_projected(FOLLOWERS, _MARK_LIMIT_S)

    def drain(self) -> None:
        """Stops all gateways cleanly."""
        for gateway in self.gateways:
            gateway.stop()
        for gateway in self.gateways:
            gateway.wait_stopped(_MARK_LIMIT_S)
            queued = gateway.queued()
            if queued.blocks:
                raise ServerError(
                    f"gateway {gateway.device} stopped with {queued.blocks} unsent blocks"
                )

    def project(self) -> None:
        """Waits for the projections, stops them, and appends the last landing files to `raw`."""
        self.cloud.wait_projected(FOLLOWERS, _MARK_LIMIT_S)
        self.spark.ask("scored")
        self.cloud.stop()
        self.cloud.call("lake", "fold")

    def derive(self) -> dict[str, Any]:
        """Updates the warehouse and judges the models on December with Spark; trains nothing."""
        return self.spark.ask(f"judge {self._last_ms + _HOUR_MS}")

    def close_forecasts(self, december: dict[str, Any]) -> Closing:
        """Returns the results about models, from the stores and the gateways' slots."""
        engine = open_warehouse(self.cloud.config)
        try:
            decisions, running, alerts = gather(
                engine,
                open_registry(self.cloud.config),
                fleet_conditions(self.cloud.config),
                self.gateways,
                self._last_ms + _HOUR_MS,
            )
            stored, agreement = cloud_predictions(engine), agree(engine, self._begin_ms)
        finally:
            engine.dispose()
        return Closing(
            decisions=decisions,
            december=december["judged"],
            running=running,
            as_desired=self._models.running(self.gateways),
            alerts=alerts,
            cloud_predictions=(self.cloud.forecasts_searchable(), stored),
            agreement=agreement,
        )

    def panels(self) -> tuple[PanelCheck, ...]:
        """Compares the data of Kibana's panels in Elasticsearch with MySQL."""
        search = need(self.cloud.config.search, "search", self.cloud.config)
        engine = open_warehouse(self.cloud.config)
        scope = Scope(from_ms=self._at(CUT_TO), to_ms=int(time.time() * 1000))
        try:
            return check_panels(search.url, engine, scope, [g.device for g in self.gateways])
        finally:
            engine.dispose()

    def report(self) -> None:
        """Writes the report as `report.html`."""
        self.cloud.call("report", "write", "--out", str(self._folder / "report.html"))

    def prove(self) -> Proof:
        """Counts all records in the stores."""
        devices = [g.device for g in self.gateways]
        # Both commands run while this process reads the lake.
        ledger = self._beside.submit(self.cloud.call, "ledger", "show", "--json")
        verify = self._beside.submit(self.cloud.call, "search", "verify", "--json")
        lake = count_lake(open_lake(self.cloud.config))
        shown, verified = json.loads(ledger.result()), json.loads(verify.result())
        table = lines(
            self._produced(),
            {(g.device, kind): n for g in self.gateways for kind, n in g.queued_kinds().items()},
            lake.keys,
            self.cloud.search_counts(devices),
            self.cloud.warehouse_counts(),
        )
        return Proof(table, lake, Totals(**shown["totals"]), bool(verified["equal"]))

    def _produced(self) -> Counts:
        """Returns what the gateways committed, and what the imported file contains."""
        counts: Counter[tuple[str, Kind]] = Counter()
        for gateway in self.gateways:
            for kind, records in gateway.observer.committed.items():
                counts[(gateway.device, kind)] += records
        for device, readings in self._imported.items():
            counts[(device, Kind.READING)] += readings
            counts[(device, Kind.STATUS)] += 1  # the begin of the file's stream
        return dict(counts)


def _date(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d")
