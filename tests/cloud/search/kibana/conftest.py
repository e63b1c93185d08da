"""The bundle of the default prefix, and some days of records in Elasticsearch and warehouse.

Two gateways of the product, run on virtual time without an uplink: what their outboxes hold is
landed as ingest would. A third one is made by hand, of what these two do not come to tell. The
documents are made by the real projection, the rows by the real transform.
"""

import json
import random
import secrets
import sqlite3
import time
from dataclasses import dataclass, replace
from itertools import count

import pytest
from sqlalchemy import Engine

from cloud.clock import SystemClock
from cloud.columns import COLUMNS
from cloud.config import Period
from cloud.forecast import FORECAST_COLUMNS, Forecast
from cloud.lake.cursors import RAW_CURSOR, TRANSFORM_CURSOR, CursorStore
from cloud.lake.positions import FileSequence, LandedFile, Position
from cloud.lake.raw import RawTable
from cloud.lake.store import FolderStore
from cloud.projections.quarantine import Quarantine
from cloud.projections.search import SearchProjection
from cloud.scoring.documents import install_template
from cloud.scoring.sink import ForecastSink
from cloud.search.bulk import BulkLimits, BulkWriter
from cloud.search.client import SearchClient
from cloud.search.kibana.objects import bundle
from cloud.search.kibana.query import Scope
from cloud.search.names import IndexNames
from cloud.search.templates import install, mapping_of
from cloud.transforms.delta import Tables
from cloud.transforms.run import Transform
from cloud.warehouse.engine import connect
from cloud.warehouse.jdbc_tls import JdbcTls
from cloud.warehouse.loader import StagingLoader
from cloud.warehouse.migrate import migrate
from cloud.warehouse.tables import METADATA
from contract.blocks import Block, Mark, SensorColumns, Series, TimedEvent
from contract.quantities import Flag, Quality, Quantity
from contract.records import (
    Alert,
    AlertBasis,
    AlertState,
    Loss,
    LossReason,
    Phase,
    Prediction,
    PredictionMode,
    Span,
    Statistic,
    Status,
)
from contract.topics import Lane
from contract.wire import decode, encode
from edge.bundles.slot_store import SlotStore
from edge.clock import VirtualClock
from edge.configuration.config import parse_config
from edge.gateway import run
from tests.builders import landed

NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z
HOUR_MS = 3_600_000
HOURS = 96
SEED = 7
DAMP = {
    "id": "damp",
    "signal": "hall/humidity",
    "temperature": "hall/temperature",
    "pressure": "roof/pressure",
    "comparison": "above",
    "limit": 70.0,
    "step_s": 3600,
    "max_age_s": 7200,
    "warn_at": 0.5,
}
COLD = {
    "id": "cold",
    "signal": "hall/temperature",
    "humidity": "hall/humidity",
    "comparison": "below",
    "limit": 9.0,
    "step_s": 1800,
    "max_age_s": 7200,
}
MUGGY = {
    "id": "muggy",
    "derived": "absolute_humidity",
    "temperature": "hall/temperature",
    "humidity": "hall/humidity",
    "comparison": "above",
    "limit": 6.8,
    "step_s": 3600,
    "max_age_s": 7200,
}
RULES = {"comparison": "above", "step_s": 3600, "max_age_s": 7200}  # no model looks at these
STALE = {"id": "stale", "signal": "office/co2", "limit": 900.0, **RULES}
BRIGHT = {"id": "bright", "signal": "window/illuminance", "limit": 5_000.0, **RULES}
FULL = {"id": "full", "signal": "battery/voltage", "limit": 12.5, **RULES}
OPEN = {**RULES, "id": "open", "signal": "door/contact", "comparison": "below", "limit": 0.5}
OPEN |= {"step_s": 600, "max_age_s": 1200}
DECLARED = (DAMP, COLD, MUGGY, STALE, BRIGHT, FULL, OPEN)
CO2, DOOR = {"quantities": ["co2"]}, {"pin": 17}
STREAM = "c" * 13
UNDATED = "u" * 13


@pytest.fixture(scope="session")
def objects():
    """The objects of the bundle, in its order."""
    return [json.loads(line) for line in bundle(IndexNames("dewline", Period.DAY)).splitlines()]


@pytest.fixture(scope="session")
def declared():
    """The conditions of the gateways, as tables."""
    return DECLARED


@pytest.fixture(scope="session")
def mappings():
    """Fields of the index template behind each alias of the default prefix."""
    names = IndexNames("dewline", Period.DAY)
    found = {names.alias(kind): mapping_of(columns) for kind, columns in COLUMNS.items()}
    return found | {names.forecasts: mapping_of(FORECAST_COLUMNS)}


@dataclass
class Stores:
    """Elasticsearch and the warehouse, with the same records."""

    search_url: str
    client: SearchClient
    names: IndexNames
    engine: Engine
    scope: Scope


@pytest.fixture(scope="module")
def stores(spark, database, elasticsearch, bundles_in, tmp_path_factory):
    """Both stores, filled once for the tests of a module."""
    folder = tmp_path_factory.mktemp("kibana")
    engine = connect(database.url)
    migrate(engine)
    with engine.begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(table.delete())
    client = SearchClient(elasticsearch.url)
    names = IndexNames(f"k{secrets.token_hex(4)}", Period.MONTH)
    files = tuple(_files(folder, bundles_in))
    source = random.Random(SEED)
    refused = Quarantine(engine, SystemClock())
    writer = BulkWriter(client, refused, BulkLimits(), time.sleep, source)
    install(client, names)
    install_template(client, names)
    SearchProjection(client, writer, names).apply(files)
    _derive(spark, folder / "lake", engine, files)
    sink = ForecastSink(engine, writer, names)
    forecasts = list(_forecasts())
    sink.keep(forecasts)
    sink.search([], forecasts)
    scope = Scope(from_ms=NEW_YEAR + 12 * HOUR_MS, to_ms=NEW_YEAR + (HOURS - 6) * HOUR_MS)
    yield Stores(elasticsearch.url, client, names, engine, scope)
    client.close()
    engine.dispose()


def _derive(spark, root, engine, files):
    root.mkdir()
    store = FolderStore(root)
    folded = CursorStore(store, RAW_CURSOR)
    RawTable(root / "raw").append(files)
    folded.save(folded.load().after([f.position for f in files]))
    Transform(
        spark,
        Tables(root=str(root), period=Period.MONTH),
        folded=folded,
        cursor=CursorStore(store, TRANSFORM_CURSOR),
        loader=StagingLoader(engine, JdbcTls(None)),
    ).run()


def _files(folder, bundles_in):
    """One file a block, as slow lines bring them: `gw-2` was cut off for two days."""
    numbers = count(1)
    for device, late_h in (("gw-1", 0), ("gw-2", 48)):
        for payload in _lived(folder / device, device, bundles_in):
            yield _file(next(numbers), device, payload, late_h)
    for block in (*_made(), _undated()):
        yield _file(next(numbers), "gw-3", encode(block), 0)


def _lived(folder, device, bundles_in):
    """What a real gateway commits within four days."""
    folder.mkdir()
    made = bundles_in(folder)
    config = parse_config(
        {
            "device_id": device,
            "outbox": {"path": str(folder / "outbox.db")},
            "board": {"kind": "simulated"},
            "clock": {"floor": "2013-01-01T00:00:00Z"},
            "commit": {"rhythm_s": 21_600, "records": 80, "status_s": 14_400},
            "sensor": [
                {"id": "roof", "driver": "bme280", "interval_s": 1800},
                {"id": "hall", "driver": "sht4x", "interval_s": 1200},
                {"id": "office", "driver": "scd4x", "interval_s": 3600, "options": CO2},
                {"id": "window", "driver": "bh1750", "interval_s": 3600},
                {"id": "battery", "driver": "ina219", "interval_s": 3600},
                {
                    "id": "door",
                    "driver": "digital_input",
                    "interval_s": 600,
                    "options": {"pin": 17},
                },
            ],
            "condition": list(DECLARED),
            "models": {
                "url": "http://127.0.0.1:1",
                "folder": str(folder / "models"),
                "trusted_keys": [str(made.key)],
            },
        },
        device,
    )
    slots = SlotStore(folder / "models")
    learned = (c for c in config.condition if c.id in ("damp", "cold"))
    for number, condition in enumerate(learned, start=1):
        bundle = made.make(replace(condition), counter=number, hidden=16 + int(device[-1]) + number)
        slots.part(bundle.sha256).write_bytes(bundle.data)
        slots.stage(bundle.sha256)
        slots.swap(condition.id, bundle.sha256, number)
    run(config, VirtualClock(NEW_YEAR, NEW_YEAR + HOURS * HOUR_MS, lambda _mark: None))
    db = sqlite3.connect(folder / "outbox.db")
    rows = db.execute("SELECT payload FROM block ORDER BY row_id").fetchall()
    db.close()
    return [payload for (payload,) in rows]


def _file(number, device, payload, late_h):
    block = decode(payload)
    offsets = [block.offset_ms, *(o for s in block.sensors for o in s.offsets_ms)]
    received_at = NEW_YEAR + max(offsets) + 1234 + late_h * HOUR_MS
    sequence = FileSequence("node-1", "1356998400000-0000abcd", Lane.LIVE)
    return LandedFile(
        Position(sequence, number), (landed(payload, device, received_at=received_at),)
    )


def _alert(number, state, basis):
    return Alert(alert_id=f"{number:016x}", condition_id="damp", state=state, basis=basis)


def _made():
    """A gateway with troubles: bad and thinned readings, an alert left open, losses, a shadow."""
    hour = 20
    rows = SensorColumns(
        sensor_id="hall",
        series=(Series(Quantity.TEMPERATURE, 2), Series(Quantity.HUMIDITY, 1)),
        offsets_ms=tuple(HOUR_MS * hour + 600_000 * n for n in range(9)),
        columns=((None, 2001, 2044, 1999, 15_500, 2010, 2020, None, 2030), (515,) * 9),
        marks=(
            Mark(0, 0, Quality.BAD, (Flag.NO_ANSWER,)),
            Mark(0, 7, Quality.BAD, (Flag.CHECK_FAILED,)),
            Mark(0, 4, Quality.UNCERTAIN, (Flag.OUT_OF_RANGE,)),
        ),
    )
    thinned = [
        SensorColumns(
            sensor_id="roof",
            series=(Series(Quantity.TEMPERATURE, 2),),
            offsets_ms=(HOUR_MS * (hour + 1), HOUR_MS * (hour + 2)),
            columns=(values,),
            statistic=statistic,
            span_s=3600.0,
            counts=(60, 60),
        )
        for statistic, values in (
            (Statistic.MIN, (100, 110)),
            (Statistic.MEAN, (200, 210)),
            (Statistic.MAX, (400, 410)),
        )
    ]
    span = Span(stream_id=STREAM, first=1, last=9)
    shadow = Prediction(
        condition_id="damp",
        model="m",
        version="2",
        horizon_s=21_600,
        probability=0.75,
        mode=PredictionMode.SHADOW,
    )
    events = (
        Status(phase=Phase.START, version="0.9"),
        Status(
            phase=Phase.RUNNING,
            version="0.9",
            queued_blocks=7,
            queued_bytes=70_001,
            sample_failures_total=2,
        ),
        _alert(1, AlertState.RAISED, AlertBasis.OBSERVED),
        _alert(2, AlertState.RAISED, AlertBasis.NO_DATA),
        _alert(2, AlertState.CLEARED, AlertBasis.NO_DATA),
        Loss(reason=LossReason.BUDGET, lost=span),
        Loss(
            reason=LossReason.UNCLEAN_STOP,
            from_at=NEW_YEAR,
            to_at=NEW_YEAR + HOUR_MS,
            estimated_total=41,
        ),
        Loss(reason=LossReason.UNCLEAN_STOP, estimated_total=1),
        shadow,
        replace(shadow, mode=PredictionMode.ACTIVE, probability=0.125),
    )
    timed = [TimedEvent(HOUR_MS * hour + 900_000 * n, e) for n, e in enumerate(events)]
    # by the clock of a gateway on virtual time a stop may have the instant of what ran before
    timed.insert(2, TimedEvent(timed[1].offset_ms, Status(phase=Phase.STOP, version="0.9")))
    yield Block(stream_id=STREAM, first=1, offset_ms=0, utc_at=NEW_YEAR, sensors=(rows, *thinned))
    yield Block(stream_id=STREAM, first=25, offset_ms=0, utc_at=NEW_YEAR, events=tuple(timed))


def _undated():
    columns = SensorColumns(
        sensor_id="hall",
        series=(Series(Quantity.TEMPERATURE, 2),),
        offsets_ms=tuple(HOUR_MS * (20 + n) for n in range(5)),
        columns=((2000,) * 5,),
    )
    return Block(stream_id=UNDATED, first=1, offset_ms=0, utc_at=None, sensors=(columns,))


def _forecasts():
    """What the cloud's scoring would have written."""
    draw = random.Random(SEED)
    for device in ("gw-1", "gw-2", "gw-3"):
        for number in range(HOURS * 2):
            for condition in ("damp", "cold"):
                yield Forecast(
                    device_id=device,
                    stream_id=STREAM,
                    seq=1000 + number,
                    condition_id=condition,
                    model=f"m-{condition}",
                    version=str(1 + number // HOURS),
                    issued_at=NEW_YEAR + number * HOUR_MS // 2 + 7,
                    horizon_s=21_600,
                    probability=round(draw.random(), 6),
                    late=draw.random() < 0.2,
                )
