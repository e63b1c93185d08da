import hashlib
import math
import random
import time
from dataclasses import fields, replace
from itertools import count

import numpy as np
import pytest
from onnx import TensorProto, helper

from cloud.clock import SystemClock
from cloud.config import Period
from cloud.lake.cursors import (
    RAW_CURSOR,
    SCORING_CURSOR,
    TRANSFORM_CURSOR,
    CursorStore,
    all_cursors,
)
from cloud.lake.fold import fold
from cloud.lake.landing import LandingWriter
from cloud.lake.raw import RawTable
from cloud.lake.store import FolderStore
from cloud.projections.quarantine import Quarantine
from cloud.registry import Alias, AliasRow, ModelRow, Registry
from cloud.scoring.batch import BatchScorer
from cloud.scoring.champions import Champions
from cloud.scoring.documents import install_template
from cloud.scoring.history import ReadingSource
from cloud.scoring.offsets import available
from cloud.scoring.predict import OnnxModel
from cloud.scoring.sink import ForecastSink
from cloud.scoring.stream import Scoring, StreamSettings
from cloud.search.bulk import BulkLimits, BulkWriter
from cloud.search.client import SearchClient
from cloud.search.names import IndexNames
from cloud.search.query import EVERYTHING
from cloud.transforms.delta import Tables
from cloud.transforms.run import Transform
from cloud.warehouse.jdbc_tls import JdbcTls
from cloud.warehouse.loader import StagingLoader
from cloud.warehouse.model_tables import CLOUD_PREDICTIONS
from contract.blocks import Block, SensorColumns, Series, TimedEvent
from contract.quantities import Quantity
from contract.records import ClockFix
from contract.signals import Signal
from models.bundle import Family, Golden, Lineage, Manifest, pack
from models.conditions import Comparison, Condition
from models.features import FEATURE_NAMES, FEATURES_VERSION, features, windows
from models.replay import Readings, replay
from models.signing import Signer
from tests.builders import landed

NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z
HOUR_MS = 3_600_000
SEED = 6
MODEL = "humid-made"
SIGNALS = (Signal("attic", Quantity.TEMPERATURE), Signal("attic", Quantity.HUMIDITY))
CONDITION = Condition(
    id="humid",
    signal=Signal.parse("attic/humidity"),
    temperature=Signal.parse("attic/temperature"),
    comparison=Comparison.ABOVE,
    limit=75.0,
    hysteresis=2.0,
    step_s=3600,
    max_age_s=7200,
)


def _weather(hour):
    """Temperature in 1/100 degrees, humidity in 1/10 %: days with a noise that a seed makes."""
    noise = random.Random(SEED * 100_003 + round(60 * hour))
    angle = 2 * math.pi * hour / 24
    temperature = 12 + 6 * math.sin(angle) + noise.gauss(0, 0.5)
    humidity = 66 - 12 * math.sin(angle) + noise.gauss(0, 3)
    return round(100 * temperature), round(10 * humidity)


def _weights(seed):
    return np.random.default_rng(seed).normal(0, 0.05, len(FEATURE_NAMES)).astype(np.float32)


def _onnx(seed):
    """Sigmoid of a weighted sum: a model as small as they come, its weights by a seed."""
    weights = _weights(seed).reshape(-1, 1)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["features", "weights"], ["sum"]),
            helper.make_node("Sigmoid", ["sum"], ["probability"]),
        ],
        "made",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(weights)])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel())],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def _golden(seed):
    """Questions of 40 instants, answered by the weights themselves."""
    rows = [(hour, *_weather(hour)) for hour in range(100)]
    at_ms = np.repeat([NEW_YEAR + HOUR_MS * hour for hour, *_ in rows], 2)
    values = np.array([v for _, t, h in rows for v in (t / 100, h / 10)])
    readings = Readings.of_rows(list(SIGNALS) * len(rows), at_ms, values)
    chosen = at_ms[::2][40:80]
    grids = windows(readings, chosen, CONDITION)
    made = features(grids, chosen, CONDITION).values
    scores = made.astype(np.float32) @ _weights(seed)
    return Golden(grids=grids, at_ms=chosen, features=made, probabilities=1 / (1 + np.exp(-scores)))


def _bundle(seed, signer, *, answers=None, **changed):
    lineage = Lineage(**dict.fromkeys((f.name for f in fields(Lineage)), "made"))
    manifest = Manifest(
        model=MODEL,
        version=f"v{seed}",
        family=Family.BASELINE,
        condition=CONDITION,
        horizon_s=CONDITION.horizon_s,
        features_version=FEATURES_VERSION,
        feature_names=FEATURE_NAMES,
        counter=seed,
        created_at=NEW_YEAR,
        lineage=lineage,
    )
    manifest = replace(manifest, **changed)
    return pack(manifest, _onnx(answers or seed), _golden(seed), "a test's model", signer)


class Station:
    """Makes the blocks of one device: a temperature and a humidity each hour from `NEW_YEAR` on."""

    def __init__(self, device_id="ewr-01"):
        self.device_id = device_id
        self.first = dict.fromkeys("abc", 1)

    def block(self, first_hour, hours, *, stream="a", synced=True, past=0.0):
        """The readings of consecutive hours; records are numbered in the order of the calls."""
        rows = [hour + past for hour in range(first_hour, first_hour + hours)]
        columns = SensorColumns(
            sensor_id="attic",
            series=(Series(Quantity.TEMPERATURE, 2), Series(Quantity.HUMIDITY, 1)),
            offsets_ms=tuple(round(HOUR_MS * hour) for hour in rows),
            columns=tuple(zip(*(_weather(hour) for hour in rows), strict=True)),
        )
        first, self.first[stream] = self.first[stream], self.first[stream] + 2 * hours
        return Block(
            stream_id=stream * 13,
            first=first,
            offset_ms=0,
            utc_at=NEW_YEAR if synced else None,
            sensors=(columns,),
        )

    def fix(self, hour, *, stream="a"):
        """What dates the stream's records: offset 0 was at `NEW_YEAR`."""
        first, self.first[stream] = self.first[stream], self.first[stream] + 1
        at = NEW_YEAR + HOUR_MS * hour
        event = TimedEvent(HOUR_MS * hour, ClockFix(utc_at=at, uncertainty_ms=20))
        return Block(stream_id=stream * 13, first=first, offset_ms=0, utc_at=None, events=(event,))


def _expected(hours, terms):
    """(hour, probability) of each forecast, by one replay over all hours: no batches, no Spark."""
    rows = [(hour, *_weather(hour)) for hour in sorted(hours)]
    at_ms = np.repeat([NEW_YEAR + round(HOUR_MS * hour) for hour, *_ in rows], 2)
    values = np.array([v for _, t, h in rows for v in (t / 100, h / 10)])
    readings = Readings.of_rows(list(SIGNALS) * len(rows), at_ms, values)
    steps = replay(CONDITION, readings)
    chosen = steps.at_ms[steps.full & ~steps.holds]
    made = features(windows(readings, chosen, CONDITION), chosen, CONDITION)
    found = []
    for at, row, usable in zip(chosen, made.values, made.usable, strict=True):
        begun = [seed for seed, from_at in terms if from_at <= at]
        if usable and begun:
            score = float(row.astype(np.float32) @ _weights(begun[-1]))
            found.append(((int(at) - NEW_YEAR) / HOUR_MS, 1 / (1 + math.exp(-score))))
    return found


class Site:
    """A lake with everything that scoring needs; two sites share the servers, not the rows."""

    def __init__(self, spark, folder, engine, client):
        self.spark = spark
        self.engine = engine
        self.client = client
        self.folder = folder
        self.store = FolderStore(folder / "lake")
        (folder / "lake").mkdir()
        self.tables = Tables(root=str(folder / "lake"), period=Period.MONTH)
        self.names = IndexNames(f"scoring-{folder.name.replace('_', '-')}", Period.MONTH)
        self.registry = Registry(engine, folder / "registry")
        self.transformed = CursorStore(self.store, TRANSFORM_CURSOR)
        self.signer = Signer.generate()
        self.results = []
        self._starts = count(1)
        install_template(client, self.names)

    def champion(self, seed, from_at):
        """Model number `seed` is champion from an instant on."""
        bundle = _bundle(seed, self.signer)
        row = ModelRow(
            model=MODEL,
            version=f"v{seed}",
            condition_id=CONDITION.id,
            family="baseline",
            counter=seed,
            created_at=from_at,
            trained_from=from_at,
            trained_to=from_at,
            dataset_version="1",
            code_version="1",
            parameters="{}",
            seed=seed,
            sha256=hashlib.sha256(bundle).hexdigest(),
            size_bytes=len(bundle),
            parity_max=0.0,
        )
        self.registry.put(bundle)
        self.registry.record(row)
        self.registry.set_alias(
            AliasRow(
                condition_id=CONDITION.id,
                alias=Alias.CHAMPION,
                from_at=from_at,
                model=row.model,
                version=row.version,
            )
        )

    def writer(self):
        """A start of ingest."""
        start = f"{1_356_998_400_000 + next(self._starts):013d}-0000abcd"
        return LandingWriter(self.store, "node-1", start)

    def land(self, writer, lane, *blocks, device_id="ewr-01"):
        """One file; a block is received when its last record was made, whatever the order here."""
        return writer.commit(lane, [self._landed(lane, b, device_id) for b in blocks])

    @staticmethod
    def _landed(lane, block, device_id):
        offsets = [o for s in block.sensors for o in s.offsets_ms]
        offsets += [e.offset_ms for e in block.events]
        at = NEW_YEAR + max(offsets, default=0) + 1000
        return landed(block, device_id, received_at=at, lane=lane)

    def fold(self):
        """Everything landed into `raw`; what every projection has passed leaves the landing."""
        raw = RawTable(self.folder / "lake" / "raw")
        cursors = all_cursors(self.store).values()
        return fold(self.store, raw, cursors, NEW_YEAR + 10**12, 0.0)

    def transform(self):
        """What is folded into table `readings`."""
        transform = Transform(
            self.spark,
            self.tables,
            folded=CursorStore(self.store, RAW_CURSOR),
            cursor=self.transformed,
            loader=StagingLoader(self.engine, JdbcTls(None)),
        )
        return transform.run()

    def sink(self):
        refused = Quarantine(self.engine, SystemClock())
        source = random.Random(SEED)
        writer = BulkWriter(self.client, refused, BulkLimits(), time.sleep, source)
        return ForecastSink(self.engine, writer, self.client, self.names)

    def scorer(self, sink=None):
        """A new process's: it knows nothing but the stores."""
        champions = Champions(self.registry, (CONDITION,), self.signer.trusted())
        return BatchScorer(
            ReadingSource(self.spark, self.tables, tasks=2),
            champions,
            sink or self.sink(),
            transformed=self.transformed,
            cursor=CursorStore(self.store, SCORING_CURSOR),
        )

    def scoring(self, sink=None, **settings):
        settings = StreamSettings(root=self.tables.root, **{"trigger_s": 0.2} | settings)
        cursors = CursorStore(self.store, SCORING_CURSOR)
        return Scoring(self.spark, settings, self.scorer(sink), cursors, self.results.append)

    def passed(self):
        """The stored cursor."""
        return CursorStore(self.store, SCORING_CURSOR).load()

    def end(self):
        """Where a reader of everything would be."""
        return available(self.store)

    def set_back(self, cursor):
        CursorStore(self.store, SCORING_CURSOR).save(cursor)

    def table(self):
        """Every row of `cloud_prediction`, by its key."""
        with self.engine.connect() as connection:
            rows = connection.execute(CLOUD_PREDICTIONS.select()).all()
        return sorted(tuple(row) for row in rows)

    def hours(self):
        """(hour, probability) of each row, in the order of time."""
        with self.engine.connect() as connection:
            rows = connection.execute(CLOUD_PREDICTIONS.select()).all()
        return sorted(((r.issued_at - NEW_YEAR) / HOUR_MS, r.probability) for r in rows)

    def late(self):
        with self.engine.connect() as connection:
            rows = connection.execute(CLOUD_PREDICTIONS.select()).all()
        return {(r.issued_at - NEW_YEAR) / HOUR_MS: bool(r.late) for r in rows}

    def documents(self):
        """Every document, as the rows of the table."""
        self.client.refresh([self.names.forecasts])
        columns = [c.name for c in CLOUD_PREDICTIONS.c]
        found, after = [], 0
        while hits := self._page(after):
            found += hits
            after = hits[-1].fields["seq"]
        return sorted(tuple(hit.fields[name] for name in columns) for hit in found)

    def _page(self, after):
        return self.client.find([self.names.forecasts], EVERYTHING, after_seq=after, limit=9000)


@pytest.fixture(scope="session")
def client(elasticsearch):
    client = SearchClient(elasticsearch.url)
    client.wait(30)
    yield client
    client.close()


@pytest.fixture
def new_site(spark, warehouse, client, tmp_path_factory):
    """`new_site()`: an empty lake and empty tables; all of one test share the warehouse."""

    def make():
        with warehouse.begin() as connection:
            for table in reversed(CLOUD_PREDICTIONS.metadata.sorted_tables):
                connection.execute(table.delete())
        return Site(spark, tmp_path_factory.mktemp("site"), warehouse, client)

    return make


@pytest.fixture
def station():
    return Station()


@pytest.fixture(scope="session")
def new_station():
    return Station


@pytest.fixture(scope="session")
def expected():
    return _expected


@pytest.fixture(scope="session")
def condition():
    return CONDITION


@pytest.fixture(scope="session")
def made_model():
    return lambda seed: OnnxModel(hashlib.sha256(_onnx(seed)).hexdigest(), _onnx(seed))


@pytest.fixture(scope="session")
def new_bundle():
    """`new_bundle(seed, signer, ...)`: the bundle of model number `seed`."""
    return _bundle
