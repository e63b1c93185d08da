"""A connection of the cloud to a real broker: what it keeps, refuses, and how it ends."""

import threading
import time

import pytest

from cloud.errors import BrokerError, BrokerRefused
from cloud.mqtt import BrokerSettings, Connection
from deploy.local.mosquitto import BrokerAccount, Mosquitto

pytestmark = pytest.mark.broker


@pytest.fixture
def rollout():
    return BrokerAccount.generate("rollout", "rollout")


@pytest.fixture
def observer():
    return BrokerAccount.generate("observer", "observer")


@pytest.fixture
def broker(stack_base, rollout, observer):
    server = Mosquitto.start(stack_base, [rollout, observer])
    yield server
    server.stop()


@pytest.fixture
def connect(broker):
    made = []

    def open_one(account, on_message=None, topic_filter=None):
        settings = BrokerSettings(
            host="127.0.0.1",
            port=broker.port,
            client_id=f"test-{len(made)}",
            username=account.name,
            password=account.password,
        )
        connection = Connection(settings, on_message, topic_filter)
        made.append(connection)
        connection.open()
        return connection

    yield open_one
    for connection in made:
        connection.close()


def topic(n):
    return f"dewline/v1/gw-{n}/down/desired"


def test_what_is_retained_is_there_for_whoever_comes_later(connect, rollout, observer, wait_until):
    wanted = {topic(n): bytes([n % 256]) * (1 + 50 * n) for n in range(300)}
    connect(rollout).retain(wanted)
    got = {}

    def keep(message):
        got[message.topic] = message.payload
        message.answer()

    connect(observer, keep, "dewline/v1/+/down/desired")
    wait_until(lambda: len(got) == len(wanted))
    assert got == wanted


def test_nothing_to_retain_is_nothing(connect, rollout):
    connect(rollout).retain({})


def test_a_topic_that_is_not_ours_is_refused_by_name(connect, rollout):
    connection = connect(rollout)
    with pytest.raises(BrokerRefused, match="gw-1/presence"):
        connection.retain({topic(1): b"x", "dewline/v1/gw-1/presence": b"x"})


def test_a_wrong_password_is_refused_and_an_absent_broker_is_not(connect, broker):
    with pytest.raises(BrokerRefused, match="the broker refuses rollout"):
        connect(BrokerAccount(name="rollout", password="wrong", role="rollout"))
    broker.kill()
    with pytest.raises(BrokerError, match="is away") as caught:
        connect(BrokerAccount(name="rollout", password="wrong", role="rollout"))
    assert caught.value.retryable


def test_a_broker_that_dies_ends_the_connection(connect, broker, rollout):
    connection = connect(rollout)
    assert connection.ready
    connection.wait_for_end(threading.Event(), 0.3)
    broker.kill()
    with pytest.raises(BrokerError) as caught:
        connection.wait_for_end(threading.Event(), 20)
    assert caught.value.retryable
    assert not connection.ready
    with pytest.raises(BrokerError):
        connection.retain({topic(1): b"x"})


def test_waiting_ends_soon_after_stop_is_set(connect, rollout):
    connection, stop = connect(rollout), threading.Event()
    threading.Timer(0.1, stop.set).start()
    begun = time.monotonic()
    connection.wait_for_end(stop, 30)
    assert time.monotonic() - begun < 5
