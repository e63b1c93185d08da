"""Runs the demo's models: makes a signing key, runs Spark, checks which bundles gateways run."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.composition.servers import open_warehouse
from cloud.rollout import DesiredStates
from contract.desired import Desired, decode_desired
from deploy.local.cloud_side import CloudSide
from deploy.local.errors import ServerError
from deploy.local.fleet import Gateway
from edge.bundles.slot_store import SlotStore
from models.signing import Signer

__all__ = ["ModelSide", "SparkSide", "make_key"]

_POLL_S = 0.1
_ANSWER_LIMIT_S = 300.0


def make_key(folder: Path) -> None:
    """Writes a new signing key to `signing.pem`, and its public key to `trusted.pem`."""
    signer = Signer.generate()
    signer.save(folder / "signing.pem")
    (folder / "trusted.pem").write_text(signer.public_pem(), encoding="utf-8")


class SparkSide:
    """Runs `deploy.local.spark_side`; the first request waits until the process is ready.

    Args:
        config_path: `cloud.toml`.
        folder: Folder for the log.
    """

    def __init__(self, config_path: Path, folder: Path) -> None:
        self._log = folder / "spark-side.log"
        command = [sys.executable, "-m", "deploy.local.spark_side", "--config", str(config_path)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
                start_new_session=True,
            )
        self._ready = False

    def ask(self, line: str) -> dict[str, Any]:
        """Sends a request, and returns the answer.

        Raises:
            ServerError: The process has ended, or the request failed.
        """
        if not self._ready:
            self._read()
            self._ready = True
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._read()
        if "error" in answer:
            raise ServerError(f"Spark request {line!r} failed: {answer['error']} (see {self._log})")
        return answer

    def stop(self) -> None:
        """Stops the process cleanly; kills it after 30 s."""
        if self._process.poll() is None and self._process.stdin is not None:
            self._process.stdin.close()
            try:
                self._process.wait(30.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ServerError(f"the Spark process ended unexpectedly; see {self._log}")
        table: dict[str, Any] = json.loads(line)
        return table


@dataclass(frozen=True, slots=True)
class _Wanted:
    desired: Desired

    def fetched(self, slots: SlotStore) -> bool:
        return all(slots.path(b.sha256).exists() for b in self.desired.bundles)

    def running(self, slots: SlotStore) -> bool:
        found = (slots.slot(b.condition_id) for b in self.desired.bundles)
        shas = (None if slot is None else slot.current for slot in found)
        return all(sha == b.sha256 for sha, b in zip(shas, self.desired.bundles, strict=True))


class ModelSide:
    """Checks gateways' slots and the warehouse to find out whether a rollout has arrived.

    Args:
        cloud: The cloud.
        signer: Key that signs the desired states.
    """

    def __init__(self, cloud: CloudSide, signer: Signer) -> None:
        self._cloud = cloud
        self._trusted = signer.trusted()

    def wait_fetched(self, gateways: Sequence[Gateway], limit_s: float) -> None:
        """Waits until every gateway has fetched and tried the bundles that it should run.

        Raises:
            ServerError: A gateway has not done so within the limit.
        """
        self._wait(gateways, _Wanted.fetched, "fetched", limit_s)

    def running(self, gateways: Sequence[Gateway]) -> bool:
        """Returns whether every gateway runs the bundles of its desired state."""
        wanted = self._wanted()
        return all(wanted[g.device].running(_slots(g)) for g in gateways if g.device in wanted)

    def reported(self, gateways: Sequence[Gateway]) -> bool:
        """Returns whether Elasticsearch has every gateway's report of its running bundles."""
        wanted = self._wanted()
        return all(
            self._cloud.reported(g.device, bundle.model, bundle.version)
            for g in gateways
            for bundle in (wanted[g.device].desired.bundles if g.device in wanted else ())
        )

    def _wait(
        self,
        gateways: Sequence[Gateway],
        done: Callable[[_Wanted, SlotStore], bool],
        what: str,
        limit_s: float,
    ) -> None:
        deadline_s, wanted = time.monotonic() + limit_s, self._wanted()
        for gateway in gateways:
            while gateway.device in wanted and not done(wanted[gateway.device], _slots(gateway)):
                self._cloud.check_alive()
                if time.monotonic() > deadline_s:
                    raise ServerError(
                        f"gateway {gateway.device} has not {what} its desired bundles; see its log"
                    )
                time.sleep(_POLL_S)

    def _wanted(self) -> dict[str, _Wanted]:
        engine = open_warehouse(self._cloud.config)
        try:
            rows = DesiredStates(engine).rows()
        finally:
            engine.dispose()
        states = (decode_desired(row.payload, self._trusted.verify) for row in rows)
        return {state.device_id: _Wanted(state) for state in states}


def _slots(gateway: Gateway) -> SlotStore:
    return SlotStore(gateway.models_folder)
