"""A connection of the cloud to a real broker: what it keeps, refuses, and how it ends."""

import random
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cloud.errors import BrokerError, BrokerRefused
from cloud.mqtt import BrokerSettings, Connection
from deploy.local.certificates import Certificates
from deploy.local.mosquitto import BrokerAccount, Mosquitto
from transport.tls import TlsFiles

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


def test_messages_of_any_size_arrive_whole_and_in_order(connect, rollout, observer, wait_until):
    """From far below to far above of what the connection takes from the socket at once."""
    sizes = random.Random(1).choices((0, 1, 200, 65_500, 65_536, 131_072, 190_000), k=150)
    sent = [n.to_bytes(2, "big") + bytes(size) for n, size in enumerate([*sizes, *[9] * 3_000])]
    got = []

    def keep(message):
        got.append(message.payload)
        message.answer()

    connect(observer, keep, topic(1))
    sender = connect(rollout)
    for begin in range(0, len(sent), 15):  # the broker queues no more than it can hold
        for payload in sent[begin : begin + 15]:
            assert sender.publish(topic(1), payload)
        wait_until(lambda begin=begin: len(got) >= min(begin + 15, len(sent)))
    assert got == sent


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
    with pytest.raises(BrokerError, match="cannot be reached") as caught:
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
    assert time.monotonic() - begun < 15


# --- TLS -----------------------------------------------------------------------------------------


def tls_of(files):
    return TlsFiles(
        ca_file=str(files.ca), certificate_file=str(files.certificate), key_file=str(files.key)
    )


@pytest.fixture
def secret(tls_broker, certificates):
    """`secret("rollout")`: settings of a service with its certificate."""

    def settings(name, port=tls_broker.services_port, tls=None):
        tls = tls or tls_of(certificates.service(name))
        return BrokerSettings(host="127.0.0.1", port=port, client_id=f"test-{name}", tls=tls)

    return settings


@pytest.fixture
def opened():
    """Connections that are closed in the end."""
    made = []

    def open_one(settings, *arguments):
        made.append(Connection(settings, *arguments))
        made[-1].open()
        return made[-1]

    yield open_one
    for connection in made:
        connection.close()


def test_a_certificate_is_account_and_password(opened, secret, wait_until):
    wanted, got = {topic(n): b"x" for n in range(20)}, {}
    opened(secret("rollout")).retain(wanted)

    def keep(message):
        got[message.topic] = message.payload
        message.answer()

    settings = replace(secret("observer"), host="localhost")
    opened(settings, keep, "dewline/v1/+/down/desired")
    wait_until(lambda: len(got) == len(wanted))
    assert got == wanted
    # four of one account live side by side, as ingest's lanes do
    four = [opened(replace(secret("ingest"), client_id=f"lane-{n}")) for n in range(4)]
    assert all(one.ready for one in four)
    opened(secret("rollout")).retain(dict.fromkeys(wanted, b""))


def test_a_certificate_gives_no_rights_of_another(opened, secret):
    with pytest.raises(BrokerRefused, match="gw-1/down/ack"):
        opened(secret("rollout")).retain({"dewline/v1/gw-1/down/ack": b"x"})


def test_who_has_no_certificate_or_a_devices_is_refused_in_words(opened, secret, certificates):
    device = tls_of(certificates.device("gw-1"))
    with pytest.raises(
        BrokerRefused, match="does not trust the authority that issued this client's"
    ):
        opened(secret("ingest", tls=device))
    nobody = TlsFiles(ca_file=device.ca_file)
    with pytest.raises(BrokerRefused, match="requires a certificate; set certificate_file"):
        opened(secret("ingest", tls=nobody))


def test_a_revoked_certificate_is_refused_in_words(stack_base, tmp_path, opened, secret):
    own = Certificates(tmp_path)
    broker = Mosquitto.start(stack_base, [], certificates=own)
    settings = secret("ingest", broker.services_port, tls_of(own.service("ingest")))
    try:
        opened(settings)
        own.authority.revoke("ingest", datetime.now(UTC))
        broker.install(own)
        broker.restart()
        with pytest.raises(BrokerRefused, match="has been revoked; issue a new one"):
            opened(settings)
        opened(replace(settings, tls=tls_of(own.service("ingest"))))  # a new one under the name
    finally:
        broker.stop()


@pytest.mark.parametrize(
    ("kind", "words", "retryable"),
    [
        ("expired", "has expired by this machine's clock", False),
        ("for another name", "for another name; set host to a name in the certificate", False),
        ("not yet valid", "not yet valid by this machine's clock; check the clock", True),
    ],
)
def test_a_wrong_broker_is_told_in_words(tls_door, opened, secret, kind, words, retryable):
    port, ca_file = tls_door(kind)
    with pytest.raises(BrokerError, match=rf"^broker 127.0.0.1:{port}: the .*{words}") as told:
        opened(secret("ingest", port, TlsFiles(ca_file=ca_file)))
    assert told.value.retryable is retryable


def test_a_broker_of_another_authority_is_refused(tls_door, opened, secret):
    _, foreign = tls_door("good")
    with pytest.raises(BrokerRefused, match="no authority in ca_file issued"):
        opened(secret("ingest", tls=TlsFiles(ca_file=foreign)))


def test_a_file_that_is_not_there_is_named(opened, secret):
    files = TlsFiles(ca_file="/nowhere/ca.pem")
    with pytest.raises(BrokerRefused, match=r"ca_file: /nowhere/ca\.pem cannot be read"):
        opened(secret("ingest", tls=files))


def test_a_port_without_tls_may_pass(opened, secret, broker):
    """Mosquitto hangs up; so does a broker that is just being stopped."""
    with pytest.raises(
        BrokerError, match="during the handshake; check that the port uses TLS"
    ) as told:
        opened(secret("ingest", broker.port))
    assert told.value.retryable
