"""The demo: a year of real weather from sensor chips into every store, and the proof of it.

    python -m deploy.local.demo [--stay]

Three gateways measure what three airports recorded, on virtual time and in lock-step: at each mark
they wait until the cloud has acked everything. One is cut off from mid-July to mid-September. At
the end every record is counted in every store. Exit code 0 only if nothing is lost or doubled.
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

from rich.console import Console

from cloud.commands.opening import open_lake
from cloud.ledger.report import Totals
from contract.errors import DewlineError
from deploy.local.closing import Proof, Steps, show, summary, verdict
from deploy.local.cloud_side import FOLLOWERS, CloudSide, write_config
from deploy.local.errors import ServerError
from deploy.local.fleet import SITES, Gateway
from deploy.local.proof import Counts, count_lake, lines
from deploy.local.proxy import Proxy
from deploy.local.servers import BrokerAccount, Stack, open_folder, start_stack, term_as_interrupt
from deploy.local.weather import recorded_ms, write_recordings

__all__ = ["main"]

CUT_OFF = "lga"
CUT_FROM, CUT_TO = "2013-07-15T00:00:00+00:00", "2013-09-15T00:00:00+00:00"
_MONTHS = [f"2013-{month:02d}-01T00:00:00+00:00" for month in range(2, 13)]
MARKS = tuple(sorted([*_MONTHS, CUT_FROM, CUT_TO]))
_SET_UP = (("warehouse", "migrate"), ("search", "setup"))
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
        self._stack = stack
        self._proxy = Proxy(stack.mosquitto.port)
        config_path = write_config(folder, stack, accounts["ingest"].password)
        self.cloud = CloudSide(config_path, folder)
        now_ms = int(time.time() * 1000)
        self._shift, first_ms, self._last_ms = write_recordings(folder, now_ms)
        self.gateways = [
            Gateway(
                site,
                folder / site.device,
                folder / f"{site.device}.csv",
                accounts[site.device].password,
                self._proxy.port if site.device == CUT_OFF else stack.mosquitto.port,
                first_ms,
            )
            for site in SITES
        ]

    def close(self) -> None:
        """Ends everything that this run has started."""
        for gateway in self.gateways:
            gateway.kill()
        self.cloud.stop()
        self._proxy.close()

    def prepare(self) -> None:
        """Tables, templates, and the processes that run throughout."""
        with ThreadPoolExecutor() as beside:
            for done in beside.map(lambda words: self.cloud.call(*words), _SET_UP):
                self._steps.say(done.splitlines()[-1])
        self.cloud.start("ingest", "run")
        for noun in FOLLOWERS:
            self.cloud.start(noun, "follow")
        self.cloud.start("lake", "fold", "--follow", "--every", "5")

    def flow(self) -> None:
        """The year, from mark to mark."""
        ends_ms = self._last_ms + 3_600_000
        marks = [*(self._shift.moved(recorded_ms(m)) for m in MARKS), ends_ms]
        cut_ms, mend_ms = (self._shift.moved(recorded_ms(m)) for m in (CUT_FROM, CUT_TO))
        for gateway in self.gateways:
            gateway.start(marks[0])
        cut = False
        for index, mark_ms in enumerate(marks):
            self._wait_at(mark_ms, without=CUT_OFF if cut else None)
            cut = self._line(mark_ms, cut_ms, mend_ms, cut=cut)
            if index + 1 < len(marks):
                for gateway in self.gateways:
                    gateway.move_on(marks[index + 1])

    def _line(self, mark_ms: int, cut_ms: int, mend_ms: int, *, cut: bool) -> bool:
        if mark_ms == cut_ms:
            self._proxy.cut()
            self._steps.say(f"{CUT_OFF} is cut off: it goes on measuring and warning")
            return True
        if mark_ms == mend_ms:
            held = next(g for g in self.gateways if g.device == CUT_OFF).queued()
            self._proxy.mend()
            self._steps.say(f"{CUT_OFF} is back, with {held.blocks} blocks to tell")
            return False
        return cut

    def _wait_at(self, mark_ms: int, without: str | None) -> None:
        deadline_s = time.monotonic() + _MARK_LIMIT_S
        for gateway in self.gateways:
            while not (
                gateway.is_waiting(mark_ms)
                and (gateway.device == without or not gateway.queued().blocks)
            ):
                self.cloud.check_alive()
                if time.monotonic() > deadline_s:
                    raise ServerError(f"{gateway.device} did not come to its mark and drain")
                time.sleep(_POLL_S)
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
        """Waits for the followers, then stops them and folds what is left."""
        self.cloud.wait_projected(FOLLOWERS, _MARK_LIMIT_S)
        self.cloud.stop()
        self.cloud.call("lake", "fold")

    def derive(self) -> None:
        """Spark: raw to readings and events, and into the warehouse."""
        for line in self.cloud.call("transform", "run").splitlines():
            self._steps.say(line)

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
    accounts["ingest"] = BrokerAccount.generate("ingest", "ingest")
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
        with steps.step("derive", "Spark: lake to warehouse"):
            demo.derive()
        with steps.step("prove", "Counting again in every store"):
            proof = demo.prove()
        show(proof, console)
        figures = summary(proof, steps)
        (folder / "summary.json").write_text(json.dumps(figures, indent=2), encoding="utf-8")
        verdict(proof, figures, console)
        if stay:
            _stay(demo, stack, console)
    print(json.dumps(figures))
    return 0 if proof.closed else 1


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
