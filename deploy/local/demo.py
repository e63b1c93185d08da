"""Runs the demo: a year of real weather from simulated chips into every store, with a proof.

    python -m deploy.local.demo [--stay]

January to August come in as history, by `dewline-cloud import`. From September on, three gateways
measure recorded weather of three airports on virtual time. They run in lock-step: at each mark (a
fixed date) all wait until the cloud has acked and projected every block. At three marks the cloud
runs its cycle: it trains and judges models and releases those that are better; the first is judged
on history. One gateway is cut off for five weeks. Gateways and cloud connect by TLS, with
certificates of an authority that the demo makes. At the end every record is counted in every store,
and the models are judged on December, which no decision has used. The exit code is 0 only if no
record is lost or doubled and the gateways run the bundles that the registry names.
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
from deploy.local.cloud_side import FOLLOWERS
from deploy.local.demo_run import Year
from deploy.local.forecasts import Closing, show_forecasts
from deploy.local.kibana import PanelCheck, write_panels
from deploy.local.servers import Stack, open_folder, start_stack, term_as_interrupt
from deploy.local.summary import Proof, Steps, show, summary, verdict
from deploy.local.versions import versions_of

__all__ = ["main"]


def run(folder: Path, console: Console, *, stay: bool) -> int:
    """Runs the demo in `folder`, and returns the exit code."""
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
        with steps.step("prepare", "Writing recordings, creating tables, starting the cloud"):
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
    """Prints and returns the servers with their versions."""
    servers = versions_of(stack)
    steps.say(", ".join(servers.values()))
    return servers


def _live_through(year: Year, steps: Steps) -> tuple[Proof, Closing, tuple[PanelCheck, ...]]:
    """Runs the year, and returns the results."""
    with steps.step("history", "Importing eight months of history"):
        year.history()
    with steps.step("flow", "Running four months of weather, gateways and cloud in lock-step"):
        year.flow()
    with steps.step("drain", "Stopping the gateways"):
        year.drain()
    with steps.step("project", "Waiting for the projections, folding the lake"):
        year.project()
    with steps.step("derive", "Spark: filling the warehouse, judging the models on December"):
        december = year.derive()
    with (
        steps.step("prove", "Counting records in every store, writing the report"),
        ThreadPoolExecutor() as beside,
    ):
        written = beside.submit(year.report)
        proof, forecasts = year.prove(), year.close_forecasts(december)
        panels = year.panels()
        written.result()
    return proof, forecasts, panels


def _say_where(folder: Path, kibana: Mapping[str, int], console: Console) -> None:
    console.print(
        f"Kibana's panels: {kibana['asked']} queries, {kibana['apart']} differ from MySQL: "
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
        f"Ctrl-C stops the servers; the lake stays in {config.parent}."
    )


def _console() -> Console:
    # A pipe has no width: rich would use 80 columns and cut off the table.
    return Console() if sys.stdout.isatty() else Console(width=120)


def main() -> int:
    """Parses the arguments and runs the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stay", action="store_true", help="keep the servers running at the end")
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
