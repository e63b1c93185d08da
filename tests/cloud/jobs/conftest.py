import pytest

from cloud.columns import COLUMNS
from cloud.config import Period
from cloud.jobs.delta import Tables
from cloud.jobs.transform import PROJECTION, Transform
from cloud.lake.cursors import RAW_CURSOR, CursorStore
from cloud.lake.raw import RawTable
from cloud.lake.store import FolderStore
from cloud.warehouse.loader import StagingLoader
from cloud.warehouse.tables import FACTS
from contract.records import Kind


class Lake:
    """A lake whose files are folded as soon as they are given, and its projection."""

    def __init__(self, spark, folder, engine):
        self.spark = spark
        self.engine = engine
        self.tables = Tables(root=str(folder), period=Period.MONTH)
        self.loader = StagingLoader(engine)
        self._raw = RawTable(folder / "raw")
        store = FolderStore(folder)
        self.folded = CursorStore(store, RAW_CURSOR)
        self.cursor = CursorStore(store, PROJECTION)

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
