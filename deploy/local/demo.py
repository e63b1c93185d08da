"""The demo: a year of real weather from sensor chips into every store, and the proof of it.

    python -m deploy.local.demo [--stay]

Three gateways measure what three airports recorded, on virtual time and in lock-step: at each mark
they wait until the cloud has acked and projected everything. At four of them the cloud runs its
cycle: models are trained and judged, and what has earned it goes out to the gateways. One gateway
is cut off from mid-July to mid-September. At the end every record is counted in every store, and
December, which no decision has seen, judges the models. Exit code 0 only if nothing is lost or
doubled and the gateways run what the registry says.
"""

import argparse
import json
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from cloud.commands.models import open_registry
from cloud.commands.opening import open_lake, open_warehouse
from cloud.config import fleet_conditions, need
from cloud.ledger.report import Totals
from contract.errors import DewlineError
from deploy.local.agreement import agree
from deploy.local.closing import Proof, Steps, show, summary, verdict
from deploy.local.cloud_side import FOLLOWERS, CloudSide, write_config
from deploy.local.errors import ServerError
from deploy.local.fleet import CONDITIONS, SITES, Gateway
from deploy.local.forecasts import Closing, cloud_predictions, gather, show_forecasts
from deploy.local.model_side import ModelSide, SparkSide, make_key
from deploy.local.proof import Counts, count_lake, lines
from deploy.local.proxy import Proxy
from deploy.local.servers import BrokerAccount, Stack, open_folder, start_stack, term_as_interrupt
from deploy.local.weather import recorded_ms, write_recordings
from models.signing import Signer

__all__ = ["main"]

CUT_OFF = "lga"
CUT_FROM, CUT_TO = "2013-07-15T00:00:00+00:00", "2013-09-15T00:00:00+00:00"
_MONTHS = [f"2013-{month:02d}-01T00:00:00+00:00" for month in range(2, 13)]
MARKS = tuple(sorted([*_MONTHS, CUT_FROM, CUT_TO]))
CYCLES = tuple(f"2013-{month:02d}-01T00:00:00+00:00" for month in (4, 7, 9, 12))
_SET_UP = (("warehouse", "migrate"), ("search", "setup"))
_HOUR_MS = 3_600_000
_MARK_LIMIT_S = 120.0
_POLL_S = 0.05


class Demo:
    """One run in one folder.

    Args:
        folder: Everything but the servers' own data; emptied first.
        stack: The servers.
        accounts: On the broker, by name.
        steps: Progress.
    """

    def __init__(
        self, folder: Path, stack: Stack, accounts: dict[str, BrokerAccount], steps: Steps
    ) -> None:
        self._steps = steps
        make_key(folder)
        config_path = write_config(folder, stack, accounts, CONDITIONS)
        self.cloud = CloudSide(config_path, folder)
        self.spark = SparkSide(config_path, folder)
        api = need(self.cloud.config.api, "api", self.cloud.config)
        self._lines = (Proxy(stack.mosquitto.port), Proxy(api.port))
        self._models = ModelSide(self.cloud, Signer.load(folder / "signing.pem"))
        self.cycles: list[dict[str, Any]] = []
        now_ms = int(time.time() * 1000)
        self._shift, first_ms, self._last_ms = write_recordings(folder, now_ms)
        self._cut = False
        self.gateways = [
            Gateway(
                site,
                folder / site.device,
                folder / f"{site.device}.csv",
                accounts[site.device].password,
                self._ports(site.device, stack.mosquitto.port, api.port),
                first_ms,
            )
            for site in SITES
        ]

    def _ports(self, device: str, broker: int, api: int) -> tuple[int, int]:
        return (self._lines[0].port, self._lines[1].port) if device == CUT_OFF else (broker, api)

    def close(self) -> None:
        """Ends everything that this run has started."""
        for gateway in self.gateways:
            gateway.kill()
        self.spark.stop()
        self.cloud.stop()
        for line in self._lines:
            line.close()

    def prepare(self) -> None:
        """Tables, templates, and the processes that run throughout."""
        with ThreadPoolExecutor() as beside:
            for done in beside.map(lambda words: self.cloud.call(*words), _SET_UP):
                self._steps.say(done.splitlines()[-1])
        self.cloud.start("ingest", "run")
        for noun in FOLLOWERS:
            self.cloud.start(noun, "follow")
        self.cloud.start("rollout", "run")
        self.cloud.start("api", "serve")

    def flow(self) -> None:
        """The year, from mark to mark."""
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
        """Cuts or mends the line; whether somebody is back."""
        if mark_ms == self._at(CUT_FROM):
            self._cut = True
            for line in self._lines:
                line.cut()
            self._steps.say(f"{CUT_OFF} is cut off: it goes on measuring, warning and forecasting")
        if mark_ms != self._at(CUT_TO):
            return False
        held = next(g for g in self.gateways if g.device == CUT_OFF).queued()
        for line in self._lines:
            line.mend()
        self._cut = False
        self._steps.say(f"{CUT_OFF} is back, with {held.blocks} blocks to tell")
        return True

    def _cycle(self, mark_ms: int) -> None:
        """Training where it is due, on all that has arrived by the mark."""
        self.cloud.call("lake", "fold")
        with self._steps.timed("cycles"):
            result = self.spark.ask(f"cycle {mark_ms}")
        for row in result["decisions"]:
            self._steps.say(f"  {row['condition_id']}: {row['decision']}: {row['reason']}")
        if not self.cycles:
            self.spark.ask("follow")  # there is something to score with from now on
        self.cycles.append(result)

    def _wait_running(self, mark_ms: int) -> None:
        """Holds the mark until every connected gateway runs and reports what it should."""
        with self._steps.timed("rollouts"):
            self._models.wait_fetched(self._connected, _MARK_LIMIT_S)
            deadline_s = time.monotonic() + _MARK_LIMIT_S
            while not (
                self._models.running(self._connected) and self._models.reported(self._connected)
            ):
                if time.monotonic() > deadline_s:
                    raise ServerError("a gateway does not run what it has fetched: see its log")
                self._move_on(mark_ms)  # to where it waits: it only looks for news
                self._wait_at(mark_ms, quiet=True)

    def _wait_at(self, mark_ms: int, *, quiet: bool = False) -> None:
        """Until all wait at the mark, and all that the connected ones sent is projected."""
        deadline_s = time.monotonic() + _MARK_LIMIT_S
        connected = {g.device for g in self._connected}
        for gateway in self.gateways:
            while not (
                gateway.is_waiting(mark_ms)
                and (gateway.device not in connected or not gateway.queued().blocks)
            ):
                self.cloud.check_alive()
                if time.monotonic() > deadline_s:
                    raise ServerError(f"{gateway.device} did not come to its mark and drain")
                time.sleep(_POLL_S)
        with self._steps.timed("projections"):
            self.cloud.wait_projected(FOLLOWERS, _MARK_LIMIT_S)
        if self.cycles:
            with self._steps.timed("scoring"):
                self.spark.ask("scored")
        if not quiet:
            records = sum(sum(g.observer.committed.values()) for g in self.gateways)
            blocks = sum(g.observer.blocks for g in self.gateways)
            self._steps.say(f"{_date(mark_ms)}: {records:,} records committed in {blocks:,} blocks")

    def drain(self) -> None:
        """The orderly end of all gateways."""
        for gateway in self.gateways:
            gateway.stop()
        for gateway in self.gateways:
            gateway.wait_stopped(_MARK_LIMIT_S)
            queued = gateway.queued()
            if queued.blocks:
                raise ServerError(f"{gateway.device} still holds {queued.blocks} blocks")

    def project(self) -> None:
        """Waits for the projections, then stops them and folds what is left."""
        self.cloud.wait_projected(FOLLOWERS, _MARK_LIMIT_S)
        self.spark.ask("scored")
        self.cloud.stop()
        self.cloud.call("lake", "fold")

    def derive(self) -> dict[str, Any]:
        """Spark: what is left into the warehouse; December judges, nothing is trained."""
        return self.spark.ask(f"judge {self._last_ms + _HOUR_MS}")

    def close_forecasts(self, december: dict[str, Any]) -> Closing:
        """What became of the models, asked of the stores and of the gateways' own slots."""
        engine = open_warehouse(self.cloud.config)
        try:
            decisions, running, alerts = gather(
                engine,
                open_registry(self.cloud.config),
                fleet_conditions(self.cloud.config),
                self.gateways,
                self._last_ms + _HOUR_MS,
            )
            stored, agreement = cloud_predictions(engine), agree(engine)
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

    def report(self, path: Path) -> None:
        """The report, as a page."""
        self.cloud.call("report", "write", "--out", str(path))

    def prove(self) -> Proof:
        """Counts everything again, in the stores themselves."""
        devices = [g.device for g in self.gateways]
        with ThreadPoolExecutor() as beside:  # two commands of their own while the lake is read
            ledger = beside.submit(self.cloud.call, "ledger", "show", "--json")
            verify = beside.submit(self.cloud.call, "search", "verify", "--json")
            lake = count_lake(open_lake(self.cloud.config))
            shown, verified = json.loads(ledger.result()), json.loads(verify.result())
        produced: Counts = {
            (g.device, kind): n for g in self.gateways for kind, n in g.observer.committed.items()
        }
        table = lines(
            produced,
            {(g.device, kind): n for g in self.gateways for kind, n in g.queued_kinds().items()},
            lake.keys,
            self.cloud.search_counts(devices),
            self.cloud.warehouse_counts(),
        )
        return Proof(table, lake, Totals(**shown["totals"]), bool(verified["equal"]))


def _date(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d")


def run(folder: Path, console: Console, *, stay: bool) -> int:
    """Runs the demo in `folder`; the exit code."""
    steps = Steps(console)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    accounts = {s.device: BrokerAccount.generate(s.device, "device") for s in SITES}
    for name in ("ingest", "rollout"):
        accounts[name] = BrokerAccount.generate(name, name)
    with ExitStack() as running:
        base = running.enter_context(open_folder("dewline-demo-"))
        with steps.step("servers", "Starting Mosquitto, MariaDB and Elasticsearch"):
            stack = running.enter_context(start_stack(base, list(accounts.values()), steps.say))
        with steps.step("prepare", "Writing the recordings, migrating, starting the cloud"):
            demo = Demo(folder, stack, accounts, steps)
            running.callback(demo.close)
            demo.prepare()
        with steps.step("flow", "A year of weather, in lock-step"):
            demo.flow()
        with steps.step("drain", "Stopping the gateways in order"):
            demo.drain()
        with steps.step("project", "Waiting for the projections, folding the lake"):
            demo.project()
        with steps.step("derive", "Spark: lake to warehouse, and what December says of the models"):
            december = demo.derive()
        with steps.step("prove", "Counting again in every store"):
            proof = demo.prove()
            forecasts = demo.close_forecasts(december)
        with steps.step("report", "Writing the report"):
            demo.report(folder / "report.html")
        show(proof, console)
        show_forecasts(forecasts, console)
        closed = proof.closed and forecasts.closed
        figures = summary(proof, steps) | forecasts.summary()
        (folder / "summary.json").write_text(json.dumps(figures, indent=2), encoding="utf-8")
        verdict(figures, console, closed=closed)
        console.print(f"report: {folder / 'report.html'}", soft_wrap=True, highlight=False)
        if stay:
            _stay(demo, stack, console)
    print(json.dumps(figures))
    return 0 if closed else 1


def _stay(demo: Demo, stack: Stack, console: Console) -> None:
    config = demo.cloud.config_path
    programs = Path(sys.executable).parent
    for name in ("ingest run", *(f"{n} follow" for n in FOLLOWERS)):
        demo.cloud.start(*name.split())
    console.print(
        f"MQTT            127.0.0.1:{stack.mosquitto.port}\n"
        f"MySQL dialect   {stack.mariadb.url}\n"
        f"Elasticsearch   {stack.elasticsearch.url}\n"
        "Try, in another terminal:\n"
        f"  {programs}/dewline-cloud --config {config} ledger show\n"
        f"  {programs}/dewline-cloud --config {config} ledger proof\n"
        f"  {programs}/dewline-cloud --config {config} lake show\n"
        f"  {programs}/dewline-gateway outbox --config {demo.gateways[0].config_path}\n"
        f"  curl -s {stack.elasticsearch.url}/dewline-alert/_search?size=1\n"
        f"Ctrl-C ends the servers; the lake stays in {config.parent}.",
        highlight=False,
        soft_wrap=True,
    )
    try:
        while True:
            time.sleep(1)
            demo.cloud.check_alive()
    except KeyboardInterrupt:
        console.print("stopping")


def _console() -> Console:
    # a pipe has no width: rich would take 80 and cut the table
    return Console() if sys.stdout.isatty() else Console(width=120)


def main() -> int:
    """Parses the arguments and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stay", action="store_true", help="leave the servers up at the end")
    parser.add_argument("--folder", type=Path, default=Path("var/demo"))
    args = parser.parse_args()
    term_as_interrupt()
    try:
        return run(args.folder.absolute(), _console(), stay=args.stay)
    except KeyboardInterrupt:
        return 130
    except DewlineError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
