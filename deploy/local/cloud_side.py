"""Runs the demo's cloud: writes its configuration, starts its processes, counts in its stores.

Each process is a `dewline-cloud` command, run as on a real host.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import func, select

from cloud.composition.lake import open_lake, open_store
from cloud.composition.servers import open_search, open_warehouse
from cloud.config import CloudConfig, load_config, need
from cloud.lake.cursors import CursorStore
from cloud.search.client import SearchClient
from cloud.search.names import IndexNames
from cloud.search.query import Filter
from cloud.warehouse.engine import converted
from cloud.warehouse.tables import FACTS
from contract.records import Kind
from deploy.local.artifacts import spark_jars
from deploy.local.certificates import CertificateFiles, Certificates
from deploy.local.errors import ServerError
from deploy.local.processes import Launch, PrivateServer, free_ports
from deploy.local.proof import Counts
from deploy.local.servers import Stack

__all__ = ["CloudSide", "write_config"]

FOLLOWERS = ("search", "ledger", "quarantine")
_POLL_S = 0.2

_TEMPLATE = """\
[lake]
root = "{folder}/lake"
grace_s = 2.0
period = "month"

[ingest]
node = "demo"
port = {broker_port}
{ingest}

[search]
url = "{search_url}"

[warehouse]
port = {warehouse_port}
user = "{warehouse_user}"
password_file = "{folder}/warehouse.password"

[spark]
jars = {jars}

[registry]
folder = "{folder}/registry"
signing_key = "{folder}/signing.pem"

[rollout]
port = {broker_port}
{rollout}
poll_s = 0.2

[api]
port = {api_port}
certificate_file = "{api.certificate}"
key_file = "{api.key}"
devices_ca_file = "{authority}/ca.pem"
devices_crl_file = "{authority}/crl.pem"
services_ca_file = "{authority}/services.pem"
services_crl_file = "{authority}/services-crl.pem"

[fleet]
conditions_file = "{conditions}"
"""


def write_config(folder: Path, stack: Stack, certificates: Certificates, conditions: Path) -> Path:
    """Writes `cloud.toml` and its secrets for the servers on this machine.

    Args:
        folder: Folder for the files.
        stack: The servers.
        certificates: Certificates of the broker, its clients and the API.
        conditions: File with `[[condition]]` tables.
    """
    (api_port,) = free_ports(1)
    password = folder / "warehouse.password"
    password.touch(mode=0o600)
    password.write_text(stack.database.password, encoding="utf-8")
    path = folder / "cloud.toml"
    path.write_text(
        _TEMPLATE.format(
            folder=folder,
            broker_port=stack.mosquitto.services_port,
            ingest=_tls_keys(certificates.service("ingest")),
            rollout=_tls_keys(certificates.service("rollout")),
            search_url=stack.elasticsearch.url,
            warehouse_port=stack.database.port,
            warehouse_user=stack.database.user,
            jars=json.dumps([str(jar) for jar in spark_jars()]),
            api_port=api_port,
            api=certificates.server("api"),
            authority=certificates.ca.parent,
            conditions=conditions,
        ),
        encoding="utf-8",
    )
    return path


def _tls_keys(files: CertificateFiles) -> str:
    return (
        f'ca_file = "{files.ca}"\ncertificate_file = "{files.certificate}"\n'
        f'key_file = "{files.key}"'
    )


class CloudSide:
    """Runs `dewline-cloud` commands with one configuration.

    Args:
        config_path: `cloud.toml`.
        folder: Working folder and log folder of the processes.
    """

    def __init__(self, config_path: Path, folder: Path) -> None:
        self.config_path = config_path
        self.config: CloudConfig = load_config(config_path)
        self._folder = folder
        self._running: dict[str, PrivateServer] = {}

    def start(self, *words: str) -> PrivateServer:
        """Starts a command that runs until `stop`, or until this process ends."""
        name = "-".join(words)
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        server = PrivateServer(
            Launch(
                name=name,
                command=self._command(words),
                folder=folder,
                logs=(),
                answers=lambda: True,
                environment=dict(os.environ),
                user="",
            ),
            port=0,
        )
        server.spawn()
        self._running[name] = server
        return server

    def call(self, *words: str) -> str:
        """Runs a command to its end, and returns its output.

        Raises:
            ServerError: The command failed; the text ends with the last lines of its output.
        """
        done = subprocess.run(
            self._command(words), capture_output=True, text=True, check=False, cwd=self._folder
        )
        if done.returncode:
            last = "\n".join((done.stdout + done.stderr).splitlines()[-12:])
            raise ServerError(
                f"dewline-cloud {' '.join(words)} exited with code {done.returncode}:\n{last}"
            )
        return done.stdout

    def stop(self, *names: str) -> None:
        """Stops the named commands, or all if none is named."""
        for name in names or tuple(self._running):
            self._running.pop(name).stop()

    def check_alive(self) -> None:
        """Raises ServerError if a command has ended by itself."""
        for name, server in self._running.items():
            if not server.running:
                raise ServerError(
                    f"dewline-cloud {name} ended unexpectedly; see its log in {self._folder / name}"
                )

    def wait_projected(self, names: Sequence[str], limit_s: float) -> None:
        """Waits until the projections have processed all files that the lake has now.

        Raises:
            ServerError: A projection did not finish within the limit, or ended.
        """
        deadline_s = time.monotonic() + limit_s
        for name in names:
            while not self._passed(name):
                self.check_alive()
                if time.monotonic() > deadline_s:
                    raise ServerError(
                        f"projection {name} did not process the whole lake within {limit_s:.0f} s"
                    )
                time.sleep(_POLL_S)

    def _passed(self, name: str) -> bool:
        cursor = CursorStore(open_store(self.config), name).load()
        return next(iter(open_lake(self.config).after(cursor)), None) is None

    def search_counts(self, devices: Sequence[str]) -> Counts:
        """Returns documents per device and kind, counted by Elasticsearch."""
        with self._searching() as (client, names):
            client.refresh([names.alias(kind) for kind in Kind])
            return {
                (device, kind): client.count(
                    names.alias(kind), Filter(terms=(("device_id", device),))
                )
                for device in devices
                for kind in Kind
            }

    def reported(self, device: str, model: str, version: str) -> bool:
        """Returns whether Elasticsearch has the device's report that it runs this bundle."""
        terms = {"device_id": device, "model": model, "version": version, "outcome": "active"}
        with self._searching() as (client, names):
            alias = names.alias(Kind.MODEL_REPORT)
            client.refresh([alias])
            return client.count(alias, Filter(terms=tuple(terms.items()))) > 0

    def forecasts_searchable(self) -> int:
        """Returns the number of the cloud's own forecasts in Elasticsearch."""
        with self._searching() as (client, names):
            client.refresh([names.forecasts])
            return client.count(names.forecasts)

    @contextmanager
    def _searching(self) -> Iterator[tuple[SearchClient, IndexNames]]:
        section = need(self.config.search, "search", self.config)
        lake = need(self.config.lake, "lake", self.config)
        client = open_search(self.config)
        try:
            yield client, IndexNames(section.prefix, lake.period)
        finally:
            client.close()

    def warehouse_counts(self) -> Counts:
        """Returns rows per device and kind, counted by MySQL."""
        engine = open_warehouse(self.config)
        counts: Counts = {}
        with converted(), engine.connect() as connection:
            for kind in Kind:
                table = FACTS[kind]
                query = select(table.c.device_id, func.count()).group_by(table.c.device_id)
                for device, rows in connection.execute(query):
                    counts[(device, kind)] = int(rows)
        engine.dispose()
        return counts

    def _command(self, words: Sequence[str]) -> tuple[str, ...]:
        config = ("--config", str(self.config_path))
        return (sys.executable, "-m", "cloud.cli", *config, *words)
