import functools

import numpy as np
import pyarrow as pa
import pytest

from cloud.config import SparkConfig
from cloud.lake.positions import FileSequence, LandedFile, Position
from cloud.ledger.account import Told, account
from cloud.ledger.facts import BlockFact, HeldFact, LossFact, StartFact, facts_of
from cloud.ledger.tally import tallies
from cloud.quality.verdicts import NOTHING_FOUND
from cloud.training.history import device_history
from cloud.warehouse.aggregate_tables import DUE
from cloud.warehouse.engine import connect
from cloud.warehouse.ledger_tables import DELIVERIES
from cloud.warehouse.migrate import migrate
from cloud.warehouse.tables import METADATA
from contract.blocks import Block, TimedEvent
from contract.errors import ConfigError
from contract.keys import payload_digest
from contract.records import Held, Loss, LossReason, Phase, Span, Status
from contract.signals import Signal
from contract.topics import Lane
from contract.wire import decode, encode
from deploy.local.artifacts import spark_jars
from models.conditions import Comparison, Condition
from models.replay import Readings
from tests.builders import landed, temperatures

assert DELIVERIES.metadata is METADATA  # the ledger's tables are known as well
assert DUE.metadata is METADATA  # and those of summaries

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
        numbers = range(first, last + 1)
        columns = temperatures((value,) * len(numbers), [1000 * n for n in numbers])
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
        made = [landed(m, self.device_id, received_at=self.at) for m in (*blocks, *payloads)]
        sequence = FileSequence(node, "1356998400000-0000abcd", Lane.LIVE)
        return LandedFile(Position(sequence, self.n), tuple(made))


def _account(files):
    """The account of one device from the facts in files, all in memory."""
    facts = {
        fact
        for file in files
        for landed in file.blocks
        for fact in facts_of(landed, file.position, decode(landed.payload))
    }
    deliveries = sorted(
        (f for f in facts if isinstance(f, BlockFact)),
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
def empty(database):
    """The database without any table."""
    engine = connect(database.url)
    with engine.begin() as connection:
        rows = connection.exec_driver_sql("SHOW FULL TABLES").all()
        for name, kind in rows:
            dropped = "VIEW" if kind == "VIEW" else "TABLE"
            connection.exec_driver_sql(f"DROP {dropped} `{name}`")
    yield engine
    engine.dispose()


@pytest.fixture
def warehouse(database):
    """The migrated database, its tables empty."""
    engine = connect(database.url)
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


# made weather: what leads to what is known, so a judge can be judged


class MadeWeather:
    """Hourly weather of a few devices: now and then it gets damp, and something tells before.

    Args:
        seed: Of all that is drawn.
        days: How long.
        told_by: By day from which on: `pressure` or `temperature`, which falls for nine hours
            before; None if nothing does.
    """

    DEVICES = ("gw-1", "gw-2")
    SIGNALS = tuple(map(Signal.parse, ("air/temperature", "air/humidity", "roof/pressure")))

    def __init__(self, seed, days, told_by):
        draw = np.random.default_rng(seed)
        self.hours = days * 24
        self.readings = {name: self._device(draw, told_by) for name in self.DEVICES}

    def at(self, day):
        return NEW_YEAR + round(day * 86_400_000)

    def until(self, last_ms):
        """The readings of each device up to an instant."""
        for name, whole in self.readings.items():
            kept = int(np.searchsorted(whole.at_ms, last_ms, side="right"))
            yield name, whole.rows(slice(kept))

    def table(self, condition, last_ms, verdicts=NOTHING_FOUND):
        """History up to an instant."""
        parts = [
            device_history(name, own, (condition,), verdicts.of(name))
            for name, own in self.until(last_ms)
        ]
        return pa.concat_tables(parts)

    def verdicts(self, _last_ms):
        """Its sensors are healthy; the events that are put in look like faults."""
        return NOTHING_FOUND

    def _device(self, draw, told_by):
        hour = np.arange(self.hours)
        # without memory: how long it has been dry tells nothing
        begins = np.cumsum(5 + draw.geometric(1 / 40, self.hours // 24))
        begins = begins[begins < self.hours]
        fall = {name: np.zeros(self.hours) for name in ("pressure", "temperature")}
        humidity = np.clip(draw.normal(60, 2, self.hours), 1, 100)
        for begin in begins.tolist():
            humidity[begin : begin + 4] += 25
            (name,) = [told_by[day] for day in sorted(told_by) if begin >= day * 24][-1:]
            if name is not None:
                fallen = np.interp(hour - begin, [-9, 0, 2, 14], [0, 1, 1, 0])
                fall[name] = np.maximum(fall[name], fallen)
        wave = 0.5 * np.sin(2 * np.pi * hour / 24)
        temperature = 15 + wave + draw.normal(0, 0.2, self.hours) - 8 * fall["temperature"]
        pressure = 101_300 + draw.normal(0, 30, self.hours) - 900 * fall["pressure"]
        values = np.stack([temperature, humidity, pressure], axis=1).ravel()
        at_ms = NEW_YEAR + np.repeat(hour, 3) * 3_600_000
        return Readings.of_rows(list(self.SIGNALS) * self.hours, at_ms.astype(np.int64), values)


@pytest.fixture(scope="session")
def dampness():
    """The condition of made weather."""
    return Condition(
        id="damp",
        signal=Signal.parse("air/humidity"),
        temperature=Signal.parse("air/temperature"),
        pressure=Signal.parse("roof/pressure"),
        comparison=Comparison.ABOVE,
        limit=75.0,
        step_s=3600,
        max_age_s=7200,
        horizon_s=21_600,
    )


@pytest.fixture(scope="session")
def made_weather():
    """`made_weather(seed, days, told_by)`, each made once."""
    return functools.cache(
        lambda seed, days, **told_by: MadeWeather(
            seed, days, {int(day[4:]): name for day, name in told_by.items()}
        )
    )
