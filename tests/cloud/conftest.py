import pytest

from cloud.config import SparkConfig
from cloud.lake.landed import FileSequence, LandedBlock, LandedFile, Position
from cloud.ledger.account import Told, account
from cloud.ledger.facts import Delivery, HeldFact, LossFact, StartFact, facts_of
from cloud.ledger.tally import tallies
from cloud.warehouse.engine import connect
from cloud.warehouse.ledger_tables import DELIVERIES
from cloud.warehouse.migrate import migrate
from cloud.warehouse.tables import METADATA
from contract.blocks import Block, SensorColumns, Series, TimedEvent
from contract.errors import ConfigError
from contract.keys import payload_digest
from contract.quantities import Quantity
from contract.records import Held, Loss, LossReason, Phase, Span, Status
from contract.topics import Lane, up_topic
from contract.wire import decode, encode
from deploy.local.artifacts import spark_jars

assert DELIVERIES.metadata is METADATA  # the ledger's tables are known as well

NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z


class Gateway:
    """Makes the blocks of one device, and lands them."""

    def __init__(self, device_id="ewr-01"):
        self.device_id = device_id
        self.n = 0
        self.at = NEW_YEAR

    @staticmethod
    def stream(letter):
        return letter * 13

    def readings(self, stream, first, last, value=2100):
        rows = last - first + 1
        columns = SensorColumns(
            sensor_id="attic",
            series=(Series(Quantity.TEMPERATURE, 2),),
            offsets_ms=tuple(1000 * (first + i) for i in range(rows)),
            columns=((value,) * rows,),
        )
        return Block(
            stream_id=self.stream(stream),
            first=first,
            offset_ms=1000 * first,
            utc_at=NEW_YEAR + 1000 * first,
            sensors=(columns,),
        )

    def events(self, stream, first, *records):
        timed = tuple(TimedEvent(1000 * first, r) for r in records)
        return Block(
            stream_id=self.stream(stream),
            first=first,
            offset_ms=1000 * first,
            utc_at=None,
            events=timed,
        )

    def start(self, stream, previous=None, previous_last=None):
        status = Status(
            phase=Phase.START,
            version="1",
            previous_stream_id=previous and self.stream(previous),
            previous_last=previous_last,
        )
        return self.events(stream, 1, status)

    def lost(self, stream, seq, of, first, last):
        span = Span(stream_id=self.stream(of), first=first, last=last)
        return self.events(stream, seq, Loss(reason=LossReason.BUDGET, lost=span))

    def held(self, stream, seq, *spans, truncated=False):
        named = tuple(Span(stream_id=self.stream(s), first=f, last=t) for s, f, t in spans)
        return self.events(stream, seq, Held(spans=named, truncated=truncated))

    def file(self, *blocks, node="node-1", after_ms=1000, payloads=()):
        """One committed file; each call is received `after_ms` later than the one before."""
        self.n += 1
        self.at += after_ms
        landed = [self._landed(encode(b), b.stream_id, b.first, b.last) for b in blocks]
        landed += [self._landed(p, None, None, None) for p in payloads]
        sequence = FileSequence(node, "1356998400000-0000abcd", Lane.LIVE)
        return LandedFile(Position(sequence, self.n), tuple(landed))

    def _landed(self, payload, stream_id, first, last):
        return LandedBlock(
            received_at=self.at,
            topic=up_topic(self.device_id, Lane.LIVE),
            device_id=self.device_id,
            stream_id=stream_id,
            first=first,
            last=last,
            payload=payload,
        )


def _account(files):
    """The account of one device from the facts in files, all in memory."""
    facts = {
        fact
        for file in files
        for landed in file.blocks
        for fact in facts_of(landed, file.position, decode(landed.payload))
    }
    deliveries = sorted(
        (f for f in facts if isinstance(f, Delivery)),
        key=lambda d: (d.device_id, d.stream_id, d.first, d.last, d.precedence),
    )
    told = Told(
        starts=tuple(f for f in facts if isinstance(f, StartFact)),
        losses=tuple(f for f in facts if isinstance(f, LossFact)),
        held=tuple(f for f in facts if isinstance(f, HeldFact)),
    )
    return account("ewr-01", tuple(tallies(deliveries)), told)


@pytest.fixture
def gateway():
    return Gateway()


@pytest.fixture(scope="session")
def new_gateway():
    return Gateway


@pytest.fixture(scope="session")
def account_of():
    return _account


@pytest.fixture(scope="session")
def digest_of():
    return lambda block: payload_digest(encode(block))


@pytest.fixture
def empty(mariadb):
    """The database without any table."""
    engine = connect(mariadb.url)
    with engine.begin() as connection:
        rows = connection.exec_driver_sql("SHOW TABLES").all()
        for (name,) in rows:
            connection.exec_driver_sql(f"DROP TABLE `{name}`")
    yield engine
    engine.dispose()


@pytest.fixture
def warehouse(mariadb):
    """The migrated database, its tables empty."""
    engine = connect(mariadb.url)
    migrate(engine)
    with engine.begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(table.delete())
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """The run's one Spark session."""
    from cloud.spark import session  # noqa: PLC0415  # only tests that need it wait for its import

    try:
        jars = tuple(str(jar) for jar in spark_jars())
    except ConfigError as error:
        pytest.skip(str(error))
    spark = session(SparkConfig(jars=jars), tmp_path_factory.mktemp("spark"))
    yield spark
    spark.stop()
