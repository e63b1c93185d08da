import pytest

from cloud.columns import COLUMNS
from cloud.config import Period
from cloud.lake.cursors import RAW_CURSOR, TRANSFORM_CURSOR, CursorStore
from cloud.lake.positions import FileSequence, LandedFile, Position
from cloud.lake.raw import RawTable
from cloud.lake.raw_rows import rows_of
from cloud.lake.store import FolderStore
from cloud.transforms.delta import Tables
from cloud.transforms.run import Transform
from cloud.warehouse.jdbc_tls import JdbcTls
from cloud.warehouse.loader import StagingLoader
from cloud.warehouse.tables import FACTS
from contract.blocks import Block, Mark, SensorColumns, Series, TimedEvent
from contract.quantities import Flag, Quality, Quantity
from contract.records import (
    Alert,
    AlertBasis,
    AlertState,
    ClockFix,
    Held,
    Kind,
    Loss,
    LossReason,
    ModelReport,
    Phase,
    Prediction,
    Receipt,
    Span,
    Statistic,
    Status,
)
from contract.topics import Lane
from tests.builders import landed

STREAM = "aaaaaaaaaaaaa"
JULY = 1_372_895_999_123  # 2013-07-03T23:59:59.123Z: the block crosses midnight
RECEIVED_AT = JULY + 60_001
EVERY_EVENT = (
    Prediction(condition_id="damp", model="m", version="1", horizon_s=3600, probability=0.1),
    Alert(
        alert_id="0123456789abcdef",
        condition_id="damp",
        state=AlertState.RAISED,
        basis=AlertBasis.FORECAST,
        value=2.5,
        probability=1e-07,
        receipts=(Receipt(output_id="lamp", delivered=True),),
    ),
    Status(phase=Phase.START, version='0.1.0 "ä"', samples_total=2**53 - 1),
    ModelReport(model="m", version="1", outcome="active", reason="größer \\ kleiner"),
    Loss(reason=LossReason.BUDGET, lost=Span(stream_id=STREAM, first=1, last=9)),
    Loss(reason=LossReason.UNCLEAN_STOP, from_at=JULY - 1, to_at=JULY, estimated_total=0),
    ClockFix(utc_at=JULY, uncertainty_ms=20),
    Held(spans=(Span(stream_id=STREAM, first=1, last=1),), truncated=True),
    Held(),
)


def _full_block(utc_at=JULY, stream_id=STREAM):
    """Every kind, marks, nulls, a thinned sensor with a calibration."""
    plain = SensorColumns(
        sensor_id="attic",
        series=(Series(Quantity.TEMPERATURE, 2), Series(Quantity.HUMIDITY, 1)),
        offsets_ms=(5, 1000, 1000),
        columns=((2508, -2508, 0), (451, None, 1001)),
        marks=(
            Mark(1, 1, Quality.BAD, (Flag.CHECK_FAILED,)),
            Mark(1, 2, Quality.UNCERTAIN, (Flag.OUT_OF_RANGE, Flag.JUMP)),
            Mark(0, 2, Quality.UNCERTAIN, ()),
        ),
    )
    thinned = SensorColumns(
        sensor_id="roof",
        series=(Series(Quantity.PRESSURE, 0),),
        offsets_ms=(0, 600_000),
        columns=((101_325, 29_999),),
        calibration="c-7",
        statistic=Statistic.MEAN,
        span_s=60.5,
        counts=(60, 0),
    )
    return Block(
        stream_id=stream_id,
        first=41,
        offset_ms=0,
        utc_at=utc_at,
        sensors=(plain, thinned),
        events=tuple(TimedEvent(2000 * n, e) for n, e in enumerate(EVERY_EVENT)),
    )


@pytest.fixture(scope="session")
def full_block():
    return _full_block


@pytest.fixture(scope="session")
def raw_frame(spark):
    """Rows of table `raw` from blocks or payloads, one file each."""

    def make(*blocks, received_at=RECEIVED_AT, node="node-1", device_id="gw-1"):
        sequence = FileSequence(node, "1372895999000-0000abcd", Lane.LIVE)
        files = [
            LandedFile(Position(sequence, n), (landed(block, device_id, received_at=received_at),))
            for n, block in enumerate(blocks, start=1)
        ]
        return spark.createDataFrame(rows_of(files))

    return make


class Lake:
    """A lake whose files are folded as soon as they are given, and its projection."""

    def __init__(self, spark, folder, engine):
        self.spark = spark
        self.engine = engine
        self.tables = Tables(root=str(folder), period=Period.MONTH)
        self.loader = StagingLoader(engine, JdbcTls(None))
        self._raw = RawTable(folder / "raw")
        store = FolderStore(folder)
        self.folded = CursorStore(store, RAW_CURSOR)
        self.cursor = CursorStore(store, TRANSFORM_CURSOR)

    def fold(self, *files):
        self._raw.append(files)
        self.folded.save(self.folded.load().after([f.position for f in files]))

    def transform(self):
        return Transform(
            self.spark,
            self.tables,
            folded=self.folded,
            cursor=self.cursor,
            loader=self.loader,
        )

    def delta(self, path):
        """Every row of a derived table, sorted by its key."""
        rows = self.spark.read.format("delta").load(path).toArrow().to_pylist()
        return sorted(rows, key=lambda r: (r["device_id"], r["stream_id"], r["seq"]))

    def warehouse(self):
        """Every row of every fact table, by kind, sorted by its key."""
        with self.engine.connect() as connection:
            return {
                kind: sorted(
                    (tuple(r) for r in connection.execute(FACTS[kind].select())),
                    key=lambda r: r[:3],
                )
                for kind in Kind
            }

    def staged_total(self):
        with self.engine.connect() as connection:
            return sum(
                connection.exec_driver_sql(f"SELECT COUNT(*) FROM stg_{kind}").scalar()
                for kind in Kind
            )

    def everything(self):
        return (self.delta(self.tables.readings), self.delta(self.tables.events), self.warehouse())


@pytest.fixture
def new_lake(spark, warehouse, tmp_path_factory):
    """`new_lake()`: an empty lake; all of one test share the warehouse, emptied each time."""

    def make():
        with warehouse.begin() as connection:
            for kind in Kind:
                connection.execute(FACTS[kind].delete())
        return Lake(spark, tmp_path_factory.mktemp("lake"), warehouse)

    return make


@pytest.fixture(scope="session")
def named():
    """`named(kind, cells)`: a row of the warehouse by the names of its columns."""
    return lambda kind, cells: dict(zip((c.name for c in COLUMNS[kind]), cells, strict=True))
