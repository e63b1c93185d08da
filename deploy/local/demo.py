"""The demo: a year of real weather from sensor chips into every store, and the proof of it.

    python -m deploy.local.demo [--stay]

Three gateways measure what three airports recorded, on virtual time and in lock-step: at each mark
they wait until the cloud has acked and projected everything. At four of them the cloud runs its
cycle: models are trained and judged, and what has earned it goes out to the gateways. One gateway
is cut off from mid-July to mid-September. Gateways and cloud speak TLS with each other, with
certificates of an authority that the demo makes. At the end every record is counted in every store,
and December, which no decision has seen, judges the models. Exit code 0 only if nothing is lost or
doubled and the gateways run what the registry says.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from contract.errors import DewlineError
from contract.topics import presence_topic
from deploy.local.certificates import CertificateFiles, Certificates
from deploy.local.closing import Proof, Steps, show, summary, verdict
from deploy.local.cloud_side import FOLLOWERS
from deploy.local.forecasts import Closing, show_forecasts
from deploy.local.kibana import PanelCheck, write_panels
from deploy.local.servers import Stack, open_folder, start_stack, term_as_interrupt
from deploy.local.versions import versions_of
from deploy.local.year import Year

__all__ = ["main"]


def run(folder: Path, console: Console, *, stay: bool) -> int:
    """Runs the demo in `folder`; the exit code."""
    steps = Steps(console)
    if folder.exists():
        shutil.rmtree(folder)
    (folder / "certificates").mkdir(parents=True)
    certificates = Certificates(folder / "certificates")
    with ExitStack() as running:
        base = running.enter_context(open_folder("dewline-demo-"))
        with steps.step("servers", "Starting broker, database server and Elasticsearch"):
            stack = running.enter_context(start_stack(base, [], steps.say, certificates))
            servers = _named(stack, steps)
        with steps.step("prepare", "Writing the recordings, migrating, starting the cloud"):
            year = Year(folder, stack, certificates, steps)
            running.callback(year.close)
            year.prepare()
        proof, forecasts, panels = _live_through(year, steps)
        kibana = write_panels(panels, folder / "panels.md")
        closed = proof.closed and forecasts.closed and not kibana["apart"]
        figures = summary(proof, steps, servers) | forecasts.summary() | {"kibana": kibana}
        (folder / "summary.json").write_text(json.dumps(figures, indent=2), encoding="utf-8")
        show(proof, console)
        show_forecasts(forecasts, console)
        verdict(figures, console, closed=closed)
        _say_where(folder, kibana, console)
        if stay:
            _stay(year, _ways_in(year, stack, certificates.service("observer")), console)
    print(json.dumps(figures))
    return 0 if closed else 1


def _named(stack: Stack, steps: Steps) -> Mapping[str, str]:
    """Returns the servers and their versions, also printed."""
    servers = versions_of(stack)
    steps.say(", ".join(servers.values()))
    return servers


def _live_through(year: Year, steps: Steps) -> tuple[Proof, Closing, tuple[PanelCheck, ...]]:
    """Returns the year itself, and what it came to."""
    with steps.step("flow", "A year of weather, in lock-step"):
        year.flow()
    with steps.step("drain", "Stopping the gateways in order"):
        year.drain()
    with steps.step("project", "Waiting for the projections, folding the lake"):
        year.project()
    with steps.step("derive", "Spark: lake to warehouse, and what December says of the models"):
        december = year.derive()
    with (
        steps.step("prove", "Counting again in every store, and writing the report"),
        ThreadPoolExecutor() as beside,
    ):
        written = beside.submit(year.report)
        proof, forecasts = year.prove(), year.close_forecasts(december)
        panels = year.panels()
        written.result()
    return proof, forecasts, panels


def _say_where(folder: Path, kibana: Mapping[str, int], console: Console) -> None:
    console.print(
        f"Kibana's panels: {kibana['asked']} questions, {kibana['apart']} apart from MySQL: "
        f"{folder / 'panels.md'}\nreport: {folder / 'report.html'}",
        soft_wrap=True,
        highlight=False,
    )


def _stay(year: Year, ways_in: str, console: Console) -> None:
    for name in ("ingest run", *(f"{n} follow" for n in FOLLOWERS)):
        year.cloud.start(*name.split())
    console.print(ways_in, highlight=False, soft_wrap=True)
    try:
        while True:
            time.sleep(1)
            year.cloud.check_alive()
    except KeyboardInterrupt:
        console.print("stopping")


def _ways_in(year: Year, stack: Stack, observer: CertificateFiles) -> str:
    config, broker = year.cloud.config_path, stack.mosquitto
    programs = Path(sys.executable).parent
    return (
        f"MQTT over TLS   127.0.0.1:{broker.devices_port} for gateways, "
        f"{broker.services_port} for services\n"
        f"{stack.database.product:<15} {stack.database.url}\n"
        f"Elasticsearch   {stack.elasticsearch.url}\n"
        "Try, in another terminal:\n"
        f"  {programs}/dewline-cloud --config {config} ledger show\n"
        f"  {programs}/dewline-cloud --config {config} ledger proof\n"
        f"  {programs}/dewline-cloud --config {config} lake show\n"
        f"  {programs}/dewline-gateway outbox --config {year.gateways[0].config_path}\n"
        f"  mosquitto_sub -h 127.0.0.1 -p {broker.services_port} -t {presence_topic('+')} -v "
        f"--cafile {observer.ca} --cert {observer.certificate} --key {observer.key}\n"
        f"  curl -s {stack.elasticsearch.url}/dewline-alert/_search?size=1\n"
        f"Ctrl-C ends the servers; the lake stays in {config.parent}."
    )


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
