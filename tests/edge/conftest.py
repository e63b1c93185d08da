"""A gateway in pieces: a clock that a test winds, chips that it sets, what the outbox holds."""

import hashlib
import math
import random
import resource
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from contract.blocks import Block, Series, TimedEvent, entries
from contract.quantities import Flag, Quality, Quantity
from contract.records import Reading, Status
from contract.signals import Signal
from contract.wire import decode
from edge.bundles.slot_store import SlotStore
from edge.configuration.config import CommitConfig
from edge.forecasting.forecast_alerts import ForecastAlerts
from edge.forecasting.forecasting import Forecasting, NoModels
from edge.forecasting.window import Window
from edge.outputs.notifications import Notifications
from edge.sense_loop import Rhythm, SenseLoop, Senses
from edge.sensing.alerts import Alerts
from edge.sensing.sampler import Sampler, Sensor
from edge.storage.journal import Journal
from edge.storage.open_block import Measured
from edge.storage.outbox import Outbox
from edge.storage.queued import Encoded
from edge.storage.stream_end import StreamEnd
from edge.supervisor import Supervisor
from firmware_bridge.board import Sample
from firmware_bridge.errors import SensorError
from models.bundle import Golden, Lineage, Manifest, pack
from models.features import FEATURE_NAMES, FEATURES_VERSION, LAGS, features, windows
from models.replay import Readings, replay
from models.signing import Signer

NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z
STREAM = "abcdefghij234"
TEMPERATURE = Series(Quantity.TEMPERATURE, 2)
HUMIDITY = Series(Quantity.HUMIDITY, 1)


@dataclass
class WoundClock:
    """Time jumps to what is waited for, up to the end; UTC is what `calendar` says of the seconds.

    `at` maps a second to what happens when the clock gets there.
    """

    end_s: float
    calendar: Callable[[float], int | None] = lambda s: NEW_YEAR + round(s * 1000)
    at: dict[float, Callable[[], object]] = field(default_factory=dict)
    now_s: float = 0.0

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_ms(self) -> int | None:
        return self.calendar(self.now_s)

    def sleep_s(self, seconds: float) -> None:
        self.now_s += seconds

    def sleep_until(self, monotonic_s: float, before_wait: Callable[[], None]) -> bool:
        del before_wait
        if monotonic_s > self.end_s:
            return False
        for second in sorted(self.at):
            if second <= monotonic_s:
                self.at.pop(second)()
        self.now_s = max(self.now_s, monotonic_s)
        return True


@dataclass
class Dial:
    """A chip that reads what the test has set; an error instead of numbers is raised."""

    now: dict[Quantity, float] | SensorError
    closed_total: int = 0

    def read(self) -> Sample:
        if isinstance(self.now, SensorError):
            raise self.now
        return Sample(values=tuple(self.now.items()), flags=frozenset())

    def close(self) -> None:
        self.closed_total += 1


@dataclass
class Lamp:
    """An output that remembers what it was told, and may refuse."""

    output_id: str = "lamp"
    takes: bool = True
    told: list[object] = field(default_factory=list)

    def resume(self, *, any_open: bool) -> None:
        self.told.append(("resume", any_open))

    def show(self, alert, *, any_open: bool) -> bool:
        self.told.append((alert.condition_id, alert.state.value, any_open))
        return self.takes

    def close(self) -> None:
        self.told.append("close")


@dataclass
class IdleQueue:
    """What the sense loop sees of a send loop that has nothing to say, until a test speaks."""

    drained: bool = False
    damaged: list[object] = field(default_factory=list)

    def backlog_drained(self) -> bool:
        drained, self.drained = self.drained, False
        return drained

    def take_damaged(self):
        damaged, self.damaged = self.damaged, []
        return damaged


@pytest.fixture
def new_year() -> int:
    return NEW_YEAR


@pytest.fixture
def wound_clock():
    return WoundClock


@pytest.fixture
def dial():
    return Dial


@pytest.fixture
def lamp() -> Lamp:
    return Lamp()


@pytest.fixture
def idle_queue() -> IdleQueue:
    return IdleQueue()


@pytest.fixture
def measured():
    """`measured(offset_ms, 21.5, 40.0)`: a reading of the sensor `attic`; None is a failed one."""

    def make(offset_ms, temperature_c=20.0, humidity_pct=50.0, sensor_id="attic"):
        numbers = (temperature_c, humidity_pct)
        values = tuple(
            None if v is None else round(v * 10**s.decimals)
            for v, s in zip(numbers, (TEMPERATURE, HUMIDITY), strict=True)
        )
        qualities = tuple(
            (Quality.BAD, (Flag.NO_ANSWER,)) if v is None else (Quality.GOOD, ()) for v in values
        )
        return Measured(sensor_id, (TEMPERATURE, HUMIDITY), offset_ms, values, qualities)

    return make


@pytest.fixture
def status():
    return lambda offset_ms: TimedEvent(offset_ms, Status(phase="running", version="0"))


@pytest.fixture
def outbox_path(tmp_path):
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(outbox_path):
    outbox = Outbox(outbox_path, durable=True)
    yield outbox
    outbox.close()


@pytest.fixture
def put():
    """`put(outbox, 1, 8)`: commits one block with these numbers and returns its row id."""

    def commit(outbox, first, last, *, stream=STREAM, alert=False, payload=None):
        payload = payload or f"{stream} {first} {last}".encode()
        end = StreamEnd(stream, last, NEW_YEAR, 1000, clean=False)
        outbox.commit([Encoded(first, last, alert, payload)], end)
        return outbox.newest_row_id()

    return commit


@pytest.fixture
def damage():
    """Flips a byte of a stored payload behind the outbox's back."""

    def flip(path, row_id):
        db = sqlite3.connect(path)
        with db:
            db.execute(
                "UPDATE block SET payload = CAST(x'00' || substr(payload, 2) AS BLOB) "
                "WHERE row_id = ?",
                [row_id],
            )
        db.close()

    return flip


class Disk:
    """The kernel refuses every write of this process to a file while `refuse` is in force."""

    def __init__(self) -> None:
        self._soft, self._hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def refuse(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, self._hard))

    def take(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._soft, self._hard))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    """Ends a refusal before pytest writes the test's result: its output may be a file, too."""
    disk = Disk()
    try:
        return (yield)
    finally:
        disk.take()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def blocks_in():
    """The blocks of an outbox file, oldest first, decoded."""

    def read(path) -> list[Block]:
        db = sqlite3.connect(path)
        rows = db.execute("SELECT payload FROM block ORDER BY row_id").fetchall()
        db.close()
        return [decode(payload) for (payload,) in rows]

    return read


@pytest.fixture
def records_in(blocks_in):
    """All entries of an outbox file whose record is of a type, oldest first."""

    def read(path, kind=object):
        return [e for b in blocks_in(path) for e in entries(b) if isinstance(e.record, kind)]

    return read


@dataclass
class Desk:
    """A sense loop on a wound clock, with everything around it."""

    clock: WoundClock
    loop: SenseLoop
    committed: list[Block]
    outbox: Outbox
    sampler: Sampler


@pytest.fixture
def sense(outbox_path, idle_queue):
    """Builds a `Desk`: `sense(clock, {"attic": dial}, interval_s=60, rhythm_s=600, ...)`."""
    opened = []

    def build(
        clock,
        dials,
        *,
        conditions=(),
        outputs=(),
        models=None,
        interval_s=60.0,
        supervisor=None,
        **commit,
    ):
        outbox = Outbox(outbox_path, durable=True)
        opened.append(outbox)
        sensors = [
            Sensor(
                sensor_id=name,
                interval_s=interval_s,
                series=(TEMPERATURE, HUMIDITY),
                open=lambda dial=dial: dial,
            )
            for name, dial in dials.items()
        ]
        committed: list[Block] = []
        recall, notifications, exact = outbox.recall, Notifications(outputs), models is not None
        models = models or NoModels()
        forecasts = ForecastAlerts(conditions, models, notifications, recall("forecasts"))
        stream = "".join(random.choices("abcdefghijklmnopqrstuvwxyz234567", k=13))
        senses = Senses(
            clock=clock,
            sampler=Sampler(sensors),
            notifications=notifications,
            alerts=Alerts(conditions, notifications, recall("alerts")),
            forecasting=Forecasting(Window.recalled(recall, exact=exact), models, forecasts),
            journal=Journal(outbox, stream, lambda c: committed.extend(c.blocks)),
            outbox=outbox,
            queue=idle_queue,
            version="test",
            supervisor=supervisor or Supervisor(),
        )
        rhythm = Rhythm(CommitConfig(**{"rhythm_s": 600.0, "status_s": 1e7, **commit}), math.inf)
        loop = SenseLoop(senses, rhythm, outbox.stream_end())
        return Desk(clock, loop, committed, outbox, senses.sampler)

    yield build
    for outbox in opened:
        outbox.close()


def _made_golden(condition, weights, bias):
    """Windows of made weather and what a logistic model with these weights says of them."""
    rng, rows = np.random.default_rng(1), 32
    at_ms = NEW_YEAR + np.arange(rows) * 3_600_000
    mean = np.array([12.0, 65.0, 101_300.0])[:, np.newaxis]
    grids = mean + np.array([3.0, 9.0, 300.0])[:, np.newaxis] * rng.uniform(-1, 1, (rows, 3, LAGS))
    made = features(grids, at_ms, condition).values
    row = np.array([weights.get(name, 0.0) for name in FEATURE_NAMES])
    probabilities = 1 / (1 + np.exp(-(made @ row + bias)))
    return Golden(grids=grids, at_ms=at_ms, features=made, probabilities=probabilities)


def _logistic(weights, bias=0.0, *, squashed=True):
    """ONNX of a logistic model on all features, or of a linear one; weights by a feature's name."""
    column = [weights.get(name, 0.0) for name in FEATURE_NAMES]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["features", "w"], ["x"]),
            helper.make_node("Add", ["x", "b"], ["z"]),
            helper.make_node("Sigmoid" if squashed else "Identity", ["z"], ["probability"]),
        ],
        "logistic",
        [value("features", TensorProto.FLOAT, [None, len(column)])],
        [value("probability", TensorProto.FLOAT, [None, 1])],
        [
            helper.make_tensor("w", TensorProto.FLOAT, [len(column), 1], column),
            helper.make_tensor("b", TensorProto.FLOAT, [1], [bias]),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return made.SerializeToString()


@dataclass
class Registry:
    """Makes signed bundles and lays them into a gateway's slots, as a cloud and its updates do."""

    folder: Path
    signer: Signer = field(default_factory=Signer.generate)

    def key_file(self) -> Path:
        path = self.folder / "trusted.pem"
        path.write_text(self.signer.public_pem())
        return path

    logistic = staticmethod(_logistic)

    def bundle(self, condition, counter, weights, bias=0.0, model=None) -> bytes:
        """A logistic model of that version; another `model` needs no golden truth to be packed."""
        manifest = Manifest(
            model=f"{condition.id}-logistic",
            version=f"v{counter}",
            family="sklearn",
            condition=condition,
            horizon_s=condition.horizon_s,
            features_version=FEATURES_VERSION,
            feature_names=FEATURE_NAMES,
            counter=counter,
            created_at=NEW_YEAR,
            lineage=Lineage(**dict.fromkeys(Lineage.__dataclass_fields__, "made")),
        )
        golden = _made_golden(condition, weights, bias)
        model = model or _logistic(weights, bias)
        return pack(manifest, model, golden, "# made", self.signer)

    def lay(self, slots: SlotStore, bundle: bytes) -> str:
        """Among the verified ones; gives its sha256."""
        sha256 = hashlib.sha256(bundle).hexdigest()
        slots.part(sha256).write_bytes(bundle)
        slots.stage(sha256)
        return sha256


@pytest.fixture
def registry(tmp_path) -> Registry:
    return Registry(tmp_path)


@pytest.fixture
def cloud_says(records_in):
    """What the cloud makes of an outbox's readings: [(issued_at, probability)] of a condition.

    All readings at once, through `replay`, `windows` and `features`; nothing of `edge` but the
    session.
    """

    def judge(path, condition, inference):
        found = sorted(records_in(path, Reading), key=lambda e: e.observed_at)
        readings = Readings.of_rows(
            [Signal(e.record.sensor_id, e.record.quantity) for e in found],
            np.array([e.observed_at for e in found], np.int64),
            np.array([e.record.value if e.record.quality != "bad" else None for e in found], float),
        )
        steps = replay(condition, readings)
        at_ms = steps.at_ms[steps.full & ~steps.holds]
        made = features(windows(readings, at_ms, condition), at_ms, condition)
        answers = inference.probability(made.values[made.usable])
        return [
            (at, round(p, 6))
            for at, p in zip(at_ms[made.usable].tolist(), answers.tolist(), strict=True)
        ]

    return judge
