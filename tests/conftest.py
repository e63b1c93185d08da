"""Fixtures for several rooms' tests: waiting, processes, real servers shared by a run, bundles."""

import contextlib
import hashlib
import os
import shutil
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from onnx import TensorProto, helper, numpy_helper

from cloud.ca.authority import Authority
from contract.desired import Desired, DesiredBundle, encode_desired
from contract.signals import Signal
from deploy.local.certificates import Certificates
from deploy.local.database_choice import preferred
from deploy.local.database_server import DatabaseServer
from deploy.local.elasticsearch import Elasticsearch
from deploy.local.mosquitto import BrokerAccount, Mosquitto
from deploy.local.servers import temporary_parent
from models.bundle import Family, Golden, Lineage, Manifest, pack
from models.conditions import Comparison, Condition
from models.features import FEATURE_NAMES, FEATURES_VERSION, LAGS, features
from models.signing import Signer

DEVICES = ("ewr", "jfk", "lga", "gw-1", "gw-2", "gw-3")


# a busy machine is no counterexample
settings.register_profile("patient", settings(), deadline=None)
settings.load_profile("patient")


# Rooms whose tests share the one Spark session of a process.
SPARK = tuple(
    f"tests/cloud/{room}"
    for room in (
        "aggregates/",
        "quality/test_lake.py",
        "scoring/",
        "search/kibana/",
        "training/",
        "transforms/",
        "test_spark.py",
    )
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Shares out the tests between workers: a file is one piece, and so are all of Spark's.

    Groups by pytest-xdist's own marks do not work with pytest 9.2: it no longer takes a test's id
    from where pytest-xdist 3.8 writes the group.
    """
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - only with workers

    class Pieces(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "spark" if nodeid.startswith(SPARK) else super()._split_scope(nodeid)

    return Pieces(config, log)  # type: ignore[arg-type]  # xdist's own type is private


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Spark's piece is the longest, so it comes first; the demo beside tests that mostly wait."""
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()) and not item.nodeid.startswith(SPARK):
            raise pytest.UsageError(
                f"{item.nodeid} uses Spark: add its room to SPARK in {__file__}"
            )
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(SPARK))


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """`wait_until(condition, limit_s=30)`: returns once it is true, fails at the limit."""

    def wait(condition: Callable[[], object], limit_s: float = 30.0) -> None:
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, f"not so within {limit_s} s: {condition}"
            time.sleep(0.02)

    return wait


@pytest.fixture(scope="session")
def processes_in() -> Callable[[Path], list[int]]:
    """`processes_in(folder)`: pids that work in a folder or name it; the dead do not count."""

    def find(folder: Path) -> list[int]:
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and _is_about(entry, str(folder))
        ]

    return find


def _is_about(process: Path, folder: str) -> bool:
    try:
        named = folder in (process / "cmdline").read_bytes().decode(errors="replace")
        return named or str((process / "cwd").readlink()).startswith(folder)
    except OSError:  # it has ended meanwhile
        return False


@pytest.fixture(scope="session")
def stack_base() -> Generator[Path]:
    """Folder that servers of another user can reach; pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="dewline-test-", dir=temporary_parent()))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=os.getuid() != 0)


@pytest.fixture(scope="session")
def accounts() -> Mapping[str, BrokerAccount]:
    """The broker's accounts by name: `ingest`, `observer`, and a few devices."""
    devices = [BrokerAccount.generate(name, "device") for name in DEVICES]
    others = [
        BrokerAccount.generate("ingest", "ingest"),
        BrokerAccount.generate("observer", "observer"),
    ]
    return {account.name: account for account in (*devices, *others)}


@pytest.fixture(scope="session")
def mosquitto(stack_base: Path, accounts: Mapping[str, BrokerAccount]) -> Generator[Mosquitto]:
    """The run's broker. A test that stops or erases one starts its own."""
    server = Mosquitto.start(stack_base, list(accounts.values()))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The run's authority. A test that revokes makes its own."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def tls_broker(stack_base: Path, certificates: Certificates) -> Generator[Mosquitto]:
    """A broker that lets in nobody without a certificate of `certificates`."""
    server = Mosquitto.start(stack_base, [], certificates=certificates)
    yield server
    server.stop()


class Door:
    """A server on loopback that shakes hands by TLS, and ends each connection after that.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return  # closed
            accepted.settimeout(10)
            with accepted, contextlib.suppress(OSError):  # the client tells what was wrong
                self._context.wrap_socket(accepted, server_side=True).close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def tls_door(tmp_path: Path) -> Generator[Callable[..., tuple[int, str]]]:
    """`tls_door("expired")`: port and ca_file of a server whose certificate is that.

    `good`, `expired`, `not yet valid`, `for another name`; its authority is in ca_file.
    """
    now, doors = datetime.now(UTC), []
    authority = Authority.create(tmp_path / "door", "door", now - timedelta(days=200))
    kinds = {
        "good": (["127.0.0.1", "localhost"], 0),
        "expired": (["127.0.0.1", "localhost"], -100),
        "not yet valid": (["127.0.0.1", "localhost"], 2),
        "for another name": (["broker.example.org"], 0),
    }

    def start(kind: str) -> tuple[int, str]:
        hosts, days = kinds[kind]
        issued = authority.issue_server(hosts, now + timedelta(days=days), 20)
        (tmp_path / "door.cert").write_bytes(issued.certificate_pem)
        (tmp_path / "door.key").write_bytes(issued.key_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "door.cert", tmp_path / "door.key")
        doors.append(Door(context))
        return doors[-1].port, str(tmp_path / "door" / "ca.pem")

    yield start
    for door in doors:
        door.close()


@pytest.fixture(scope="session")
def database(stack_base: Path) -> Generator[DatabaseServer]:
    """The run's database server; its user may also create databases named `dewline_...`."""
    server = preferred().start(stack_base)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def elasticsearch(stack_base: Path) -> Generator[Elasticsearch]:
    """The run's Elasticsearch node."""
    server = Elasticsearch.start(stack_base)
    yield server
    server.stop()


class Web:
    """A real web server of the cloud's side: files by path, in ranges; it may be told to misbehave.

    Attributes:
        files: Body by path; what is not there is not found.
        asked: Path and first byte of each request.
        cut_bytes: Each answer breaks off after so many bytes of the body.
        paused: Answers wait while it is cleared.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, int]] = []
        self.cut_bytes: int | None = None
        self.paused = threading.Event()
        self.paused.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                begin = int(self.headers.get("Range", "bytes=0-")[6:-1])
                web.asked.append((self.path, begin))
                web.paused.wait(30)
                body = web.files.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(206 if begin else 200)
                if begin:
                    last = len(body) - 1
                    self.send_header("Content-Range", f"bytes {begin}-{last}/{len(body)}")
                self.send_header("Content-Length", str(len(body) - begin))
                self.end_headers()
                with contextlib.suppress(OSError):  # the client has gone
                    self.wfile.write(body[begin:][: web.cut_bytes])

            def log_message(self, *_args: object) -> None:
                pass

        return Handler

    def close(self) -> None:
        self.paused.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@pytest.fixture
def web() -> Generator[Web]:
    """A web server of the test's own."""
    server = Web()
    yield server
    server.close()


@pytest.fixture
def damp() -> Condition:
    """A condition with a model: relative humidity above 75 %."""
    return Condition(
        id="damp",
        signal=Signal.parse("attic/humidity"),
        temperature=Signal.parse("attic/temperature"),
        comparison=Comparison.ABOVE,
        limit=75.0,
        step_s=600,
        max_age_s=1800,
    )


@pytest.fixture
def frost() -> Condition:
    """Another one: temperature below 0 degrees."""
    return Condition(
        id="frost",
        signal=Signal.parse("attic/temperature"),
        humidity=Signal.parse("attic/humidity"),
        comparison=Comparison.BELOW,
        limit=0.0,
        step_s=600,
        max_age_s=1800,
    )


@dataclass(frozen=True)
class MadeBundle:
    """A bundle's file, and how a desired state names it."""

    data: bytes
    wanted: DesiredBundle

    @property
    def sha256(self) -> str:
        return self.wanted.sha256


def network(hidden: int) -> tuple[bytes, Callable[[np.ndarray], np.ndarray]]:
    """ONNX of a small network, and the same computed by numpy; larger with more `hidden`."""
    draw, columns = np.random.default_rng(hidden), len(FEATURE_NAMES)
    first = draw.normal(0, 0.01, (columns, hidden)).astype(np.float32)
    second = draw.normal(0, 0.5 / hidden**0.5, (hidden, 1)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["features", "first"], ["a"]),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "second"], ["c"]),
        helper.make_node("Sigmoid", ["c"], ["probability"]),
    ]
    weights = [numpy_helper.from_array(w, n) for w, n in ((first, "first"), (second, "second"))]

    def answer(rows: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(np.tanh(rows @ first.astype(float)) @ second.astype(float))[:, 0]))

    return onnx_of(nodes, weights), answer


@pytest.fixture(name="onnx_of")
def onnx_of_fixture() -> Callable[..., bytes]:
    """`onnx_of(nodes, weights)`: ONNX from `features` to `probability`."""
    return onnx_of


def onnx_of(nodes: Sequence[object], weights: Sequence[object] = ()) -> bytes:
    """ONNX from `features` to `probability`, as bundles hold it."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "made",
        [value("features", TensorProto.FLOAT, [None, len(FEATURE_NAMES)])],
        [value("probability", TensorProto.FLOAT, [None, 1])],
        weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(made.SerializeToString())


def weather(rows: int = 40) -> np.ndarray:
    """Windows of made weather: temperature (Celsius), humidity (%), pressure (Pa, some unknown)."""
    draw = np.random.default_rng(20130101)
    steps = draw.normal(0, [[[0.8], [2.0], [60.0]]], (rows, 3, LAGS)).cumsum(axis=2)
    grid = steps + np.array([[[8.0], [60.0], [101_325.0]]])
    grid[:, 1] = grid[:, 1].clip(5, 100)
    grid[::4, 2] = np.nan
    return grid


class Bundles:
    """Makes bundles and desired states, rightly and wrongly signed."""

    def __init__(self, folder: Path) -> None:
        self.signer, self.stranger = Signer.generate(), Signer.generate()
        self.key = folder / "trusted.pem"
        self.key.write_text(self.signer.public_pem())

    def make(
        self,
        condition: Condition,
        *,
        version: str = "1",
        counter: int = 1,
        hidden: int = 16,
        shift: float = 0.0,
        model: bytes | None = None,
        signer: Signer | None = None,
        **manifest: object,
    ) -> MadeBundle:
        """A bundle; `shift` is what its golden probabilities are wrong by."""
        made, answer = network(hidden)
        grids = weather()
        at_ms = 1_356_998_400_000 + np.arange(len(grids), dtype=np.int64) * 3_600_000
        rows = features(grids, at_ms, condition).values
        golden = Golden(grids=grids, at_ms=at_ms, features=rows, probabilities=answer(rows) + shift)
        names = ("dataset_version", "code_version", "trained_from", "trained_to", "parameters")
        told = Manifest(
            model=f"m-{condition.id}",
            version=version,
            family=Family.BASELINE,
            condition=condition,
            horizon_s=condition.horizon_s,
            features_version=FEATURES_VERSION,
            feature_names=FEATURE_NAMES,
            counter=counter,
            created_at=1_356_998_400_000,
            lineage=Lineage(seed="1", **dict.fromkeys(names, "made up")),
        )
        told = replace(told, **manifest)
        data = pack(told, model or made, golden, "# Made up\n", signer or self.signer)
        return self.named(data, told)

    def named(self, data: bytes, manifest: Manifest) -> MadeBundle:
        """Any bytes under the names of a manifest."""
        wanted = DesiredBundle(
            condition_id=manifest.condition.id,
            model=manifest.model,
            version=manifest.version,
            counter=manifest.counter,
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
        )
        return MadeBundle(data, wanted)

    def desired(
        self,
        made: Sequence[MadeBundle],
        *,
        counter: int = 1,
        device: str = "gw-1",
        signer: Signer | None = None,
    ) -> bytes:
        """A desired state as it travels."""
        state = Desired(
            device_id=device,
            counter=counter,
            issued_at=1_356_998_400_000,
            bundles=tuple(one.wanted for one in made),
        )
        return encode_desired(state, (signer or self.signer).sign)


@pytest.fixture
def bundles(tmp_path: Path) -> Bundles:
    """Makes bundles with keys of the test's own."""
    return Bundles(tmp_path)


@pytest.fixture(scope="session")
def bundles_in() -> type[Bundles]:
    """`bundles_in(folder)`: the same for what outlives a test."""
    return Bundles
