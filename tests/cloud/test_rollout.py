"""The plan as data, the table on a real server, the service between real server and broker."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

import pytest

from cloud.errors import BrokerRefused, SchemaOutdated
from cloud.mqtt import BrokerSettings, Connection
from cloud.registry import Alias, AliasRow, ModelRow, Registry
from cloud.rollout import DesiredStates, GatewaySignals, Rollout, known_devices, plan, roll_out
from cloud.warehouse.model_tables import DESIRED
from cloud.warehouse.tables import FACTS
from contract.desired import decode_desired
from contract.records import Kind
from contract.signals import Signal
from deploy.local.mosquitto import BrokerAccount, Mosquitto
from models.conditions import Comparison, Condition
from models.derived import Derived
from transport.backoff import Backoff

NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z
DAY_MS = 86_400_000
LIMIT_S = 20

FROST = Condition(
    id="frost",
    comparison=Comparison.BELOW,
    limit=0.0,
    step_s=3600,
    max_age_s=5400,
    signal=Signal.parse("attic/temperature"),
)
DEW = Condition(
    id="dew-point-margin",
    comparison=Comparison.BELOW,
    limit=3.0,
    step_s=3600,
    max_age_s=5400,
    derived=Derived.DEW_POINT_MARGIN,
    temperature=Signal.parse("attic/temperature"),
    humidity=Signal.parse("attic/humidity"),
    pressure=Signal.parse("attic/pressure"),
)
BOTH = frozenset(map(Signal.parse, ("attic/temperature", "attic/humidity")))


def sign_with(key):
    """Not Ed25519, but as long, and without chance in it like that."""
    return lambda data: (key * 16, hashlib.sha512(key.encode() + data).digest())


SIGN = sign_with("a")


def model(condition_id, counter=1):
    bundle = f"{condition_id} {counter}".encode()
    return ModelRow(
        model=condition_id,
        version=f"v{counter}",
        condition_id=condition_id,
        family="baseline",
        counter=counter,
        created_at=NEW_YEAR,
        trained_from=NEW_YEAR - DAY_MS,
        trained_to=NEW_YEAR,
        dataset_version="1",
        code_version="1",
        parameters="{}",
        seed=1,
        sha256=hashlib.sha256(bundle).hexdigest(),
        size_bytes=len(bundle),
        parity_max=0.0,
    )


def device(name, signals=BOTH):
    return GatewaySignals(device_id=name, signals=signals)


def opened(row):
    def verify(key_id, data, signature):
        assert sign_with(key_id[0])(data) == (key_id, signature)

    return decode_desired(row.payload, verify)


def test_a_device_gets_the_champion_of_each_condition_that_it_can_evaluate():
    devices = [
        device("ewr"),
        device("jfk", frozenset({Signal.parse("attic/temperature")})),
        device("lga", frozenset()),
    ]
    champions = {"frost": model("frost", 3), "dew-point-margin": model("dew-point-margin")}
    plans = plan(devices, (FROST, DEW), champions)
    named = {name: [(b.condition_id, b.version) for b in found] for name, found in plans.items()}
    assert named == {
        "ewr": [("frost", "v3"), ("dew-point-margin", "v1")],
        "jfk": [("frost", "v3")],
        "lga": [],
    }
    (bundle,) = plans["jfk"]
    wanted = model("frost", 3)
    assert (bundle.sha256, bundle.size_bytes, bundle.counter) == (
        wanted.sha256,
        wanted.size_bytes,
        3,
    )


def test_a_condition_without_a_champion_has_no_bundle():
    assert plan([device("ewr")], (FROST, DEW), {}) == {"ewr": ()}
    (bundle,) = plan([device("ewr")], (FROST, DEW), {"frost": model("frost")})["ewr"]
    assert bundle.condition_id == "frost"
    assert plan([device("ewr")], (), {"frost": model("frost")}) == {"ewr": ()}


@pytest.fixture
def states(warehouse):
    return DesiredStates(warehouse)


def planned(*rows, name="ewr"):
    return plan([device(name)], (FROST, DEW), {row.condition_id: row for row in rows})


@pytest.mark.services
def test_the_counter_grows_only_when_the_content_changes(states):
    first, second = planned(model("frost")), planned(model("frost", 2))
    assert states.write(planned(), SIGN, NEW_YEAR) == ()
    assert states.rows() == ()
    (written,) = states.write(first, SIGN, NEW_YEAR)
    assert (written.device_id, written.counter, written.issued_at) == ("ewr", 1, NEW_YEAR)
    before = states.rows()
    assert states.write(first, SIGN, NEW_YEAR + DAY_MS) == ()
    assert states.rows() == before
    (written,) = states.write(second, SIGN, NEW_YEAR + DAY_MS)
    (row,) = states.rows()
    assert (row.counter, row.issued_at) == (2, NEW_YEAR + DAY_MS)
    assert opened(row) == written
    (emptied,) = states.write(planned(), SIGN, NEW_YEAR + DAY_MS)
    assert (emptied.counter, emptied.bundles) == (3, ())


@pytest.mark.services
def test_another_key_is_a_change_and_an_earlier_plan_is_none(states):
    states.write(planned(model("frost")), SIGN, NEW_YEAR)
    (row,) = states.write(planned(model("frost")), sign_with("b"), NEW_YEAR)
    assert row.counter == 2
    assert states.write(planned(model("frost", 2)), SIGN, NEW_YEAR - 1) == ()
    assert opened(states.rows()[0]).bundles[0].version == "v1"


@pytest.mark.services
def test_other_devices_stay_as_they_are_and_changes_are_found_by_counter(states):
    for name in ("ewr", "jfk"):
        states.write(planned(model("frost"), name=name), SIGN, NEW_YEAR)
    states.write(planned(model("frost", 2), name="jfk"), SIGN, NEW_YEAR)
    assert [(r.device_id, r.counter) for r in states.rows()] == [("ewr", 1), ("jfk", 2)]
    found = [[r.device_id for r in rows] for rows in states.changed({"ewr": 1, "jfk": 1})]
    assert found == [["jfk"]]
    assert list(states.changed({"ewr": 1, "jfk": 2})) == []


@pytest.mark.services
def test_a_large_fleet_is_read_in_pieces(states, warehouse):
    with warehouse.begin() as connection:
        rows = [
            {"device_id": f"gw-{n:04}", "counter": 1, "issued_at": 0, "payload": b"x"}
            for n in range(250)
        ]
        connection.execute(DESIRED.insert(), rows)
    assert [len(rows) for rows in states.changed({})] == [100, 100, 50]
    assert [r.device_id for r in states.rows()] == [r["device_id"] for r in rows]


@pytest.mark.services
def test_devices_and_their_signals_are_those_that_have_readings(warehouse):
    assert known_devices(warehouse) == ()
    with warehouse.begin() as connection:
        for seq, (name, sensor, quantity) in enumerate(
            [
                ("jfk", "attic", "humidity"),
                ("jfk", "attic", "temperature"),
                ("ewr", "cellar", "temperature"),
                ("ewr", "cellar", "temperature"),
            ]
        ):
            row = {
                "device_id": name,
                "stream_id": "a" * 13,
                "seq": seq + 1,
                "event_day": date(2013, 1, 1),
                "offset_ms": 0,
                "received_at": NEW_YEAR,
                "sensor_id": sensor,
                "quantity": quantity,
                "quality": "good",
            }
            connection.execute(FACTS[Kind.READING].insert(), row)
    assert known_devices(warehouse) == (
        device("ewr", frozenset({Signal.parse("cellar/temperature")})),
        device("jfk"),
    )


@pytest.mark.services
def test_the_champions_of_an_instant_are_rolled_out(warehouse, states, tmp_path):
    registry = Registry(warehouse, tmp_path / "registry")
    for counter in (1, 2):
        row = model("frost", counter)
        registry.put(f"frost {counter}".encode())
        registry.record(row)
        registry.set_alias(
            AliasRow(
                condition_id="frost",
                alias=Alias.CHAMPION,
                from_at=NEW_YEAR + counter * DAY_MS,
                model=row.model,
                version=row.version,
            )
        )
    for day, versions in ((0, []), (1, ["v1"]), (1, []), (5, ["v2"])):
        changed = roll_out(
            registry, states, [device("ewr")], (FROST, DEW), SIGN, NEW_YEAR + day * DAY_MS
        )
        assert [b.version for d in changed for b in d.bundles] == versions


@pytest.fixture
def rollout_account():
    return BrokerAccount.generate("rollout", "rollout")


@pytest.fixture
def observer():
    return BrokerAccount.generate("observer", "observer")


@pytest.fixture
def broker(stack_base, rollout_account, observer):
    server = Mosquitto.start(stack_base, [rollout_account, observer])
    yield server
    server.stop()


def settings_for(account, port):
    return BrokerSettings(
        host="127.0.0.1",
        port=port,
        client_id=f"test-{account.name}",
        username=account.name,
        password=account.password,
    )


@contextmanager
def listening(account, port):
    """Payloads by topic, as somebody sees them who subscribes now."""
    got = {}

    def keep(message):
        got[message.topic] = message.payload
        message.answer()

    connection = Connection(settings_for(account, port), keep, "dewline/v1/+/down/desired")
    connection.open()
    try:
        yield got
    finally:
        connection.close()


@contextmanager
def running(states, settings):
    stop = threading.Event()
    rollout = Rollout(states, settings, 0.05, Backoff(first_s=0.02, longest_s=0.1))
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(rollout.run, stop)
        try:
            yield done
        finally:
            stop.set()
    done.result()


def kept_as_told(states, got):
    wanted = {f"dewline/v1/{r.device_id}/down/desired": r.payload for r in states.rows()}
    return bool(wanted) and got == wanted


@pytest.mark.services
@pytest.mark.broker
def test_the_broker_keeps_what_the_table_says_also_after_it_lost_all(
    states, broker, rollout_account, observer, wait_until
):
    states.write(planned(model("frost")), SIGN, NEW_YEAR)
    with running(states, settings_for(rollout_account, broker.port)) as done:
        with listening(observer, broker.port) as got:
            wait_until(lambda: kept_as_told(states, got), LIMIT_S)
            states.write(planned(model("frost", 2)), SIGN, NEW_YEAR)
            states.write(planned(model("frost"), name="jfk"), SIGN, NEW_YEAR)
            wait_until(lambda: kept_as_told(states, got), LIMIT_S)
            assert len(got) == 2
        broker.restart(erase=True)
        with listening(observer, broker.port) as got:
            wait_until(lambda: kept_as_told(states, got), LIMIT_S)
        assert not done.done()


@pytest.mark.services
@pytest.mark.broker
def test_an_absent_warehouse_or_broker_is_waited_for(
    warehouse, states, broker, rollout_account, observer, wait_until
):
    states.write(planned(model("frost")), SIGN, NEW_YEAR)
    broker.kill()
    with running(states, settings_for(rollout_account, broker.port)) as done:
        broker.restart()
        with listening(observer, broker.port) as got:
            wait_until(lambda: kept_as_told(states, got), LIMIT_S)
            with warehouse.connect() as connection:
                mine = connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar()
                others = connection.exec_driver_sql(
                    "SELECT id FROM information_schema.processlist"
                    " WHERE user = SUBSTRING_INDEX(USER(), '@', 1)"
                ).scalars()
                for number in [n for n in others if n != mine]:
                    connection.exec_driver_sql(f"KILL {number}")
            states.write(planned(model("frost", 2)), SIGN, NEW_YEAR)
            wait_until(lambda: kept_as_told(states, got), LIMIT_S)
        assert not done.done()


@pytest.mark.services
@pytest.mark.broker
def test_what_an_operator_must_mend_ends_it(empty, broker, rollout_account):
    states = DesiredStates(empty)
    wrong = replace(settings_for(rollout_account, broker.port), password="wrong")
    with pytest.raises(BrokerRefused, match="refuses rollout"), running(states, wrong) as done:
        done.exception(LIMIT_S)
    mine = settings_for(rollout_account, broker.port)
    with pytest.raises(SchemaOutdated), running(states, mine) as done:
        done.exception(LIMIT_S)


@pytest.mark.services
@pytest.mark.broker
def test_an_account_that_may_not_write_there_ends_it(states, broker, observer):
    states.write(planned(model("frost")), SIGN, NEW_YEAR)
    mine = settings_for(observer, broker.port)
    with pytest.raises(BrokerRefused, match="ewr/down/desired"), running(states, mine) as done:
        done.exception(LIMIT_S)
