"""The send loop against a cloud in this process, which acks, drops, breaks off and refuses."""

import logging
import queue
import random
import sqlite3
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from contract.acks import Ack, encode_ack
from contract.keys import payload_digest
from contract.records import Span
from contract.topics import Lane, ack_topic, parse_up_topic
from contract.wire import decode
from deploy.local.certificates import Certificates
from deploy.local.mosquitto import Mosquitto
from deploy.local.processes import hand_over
from edge.configuration.config import UplinkConfig
from edge.errors import OutboxCorrupt, UplinkRefused, UplinkUnavailable
from edge.sending.mqtt import DesiredHeard, Heard, Lost, NobodyListens, connect
from edge.sending.send_loop import SendLoop
from edge.storage.journal import Journal, Tail
from edge.storage.outbox import Outbox

STREAM = "abcdefghij234"
FAST = {"ack_timeout_s": 0.2, "retry_max_s": 0.4, "stable_s": 5.0, "window": 8}


class Cloud:
    """What stands behind the wire: keeps what it gets and behaves as a test says."""

    def __init__(self):
        self.got = []
        self.lanes = []
        self.unacked = 0
        self.most_unacked = 0
        self.connections = 0
        self.goodbyes = []
        self.refuses = None  # an error for whoever connects
        self.listens = True
        self.acks = True
        self.drops_every = 0
        self.breaks_one_in = 0
        self._chance = random.Random(20130101)

    def connect(self, news):
        if self.refuses is not None:
            raise self.refuses
        self.connections += 1
        self.unacked = 0
        return Line(self, news)

    def take(self, topic, payload, news):
        device_id, lane = parse_up_topic(topic)
        assert device_id == "gw-1"
        if not self.listens:
            news.put(NobodyListens())
            return
        self.got.append(payload)
        self.lanes.append(lane)
        if self.breaks_one_in and self._chance.randrange(self.breaks_one_in) == 0:
            news.put(Lost("cut off"))
            return
        if self.drops_every and len(self.got) % self.drops_every == 0:
            return
        self.unacked += 1
        self.most_unacked = max(self.most_unacked, self.unacked)
        if self.acks:
            self.ack(payload, news)

    def ack(self, payload, news):
        block = decode(payload)
        span = Span(stream_id=block.stream_id, first=block.first, last=block.last)
        self.unacked -= 1
        news.put(Heard(encode_ack(Ack(spans=(span,)))))


class Line:
    max_packet_bytes = None

    def __init__(self, cloud, news):
        self._cloud, self._news, self._open = cloud, news, True

    def publish(self, topic, payload):
        assert self._open
        self._cloud.take(topic, payload, self._news)

    def close(self, presence=None):
        self._open = False
        self._cloud.goodbyes.append(presence)


@pytest.fixture
def cloud():
    return Cloud()


@pytest.fixture
def journal(outbox):
    return Journal(outbox, STREAM, lambda _: None)


@pytest.fixture
def write(journal, measured):
    """Commits that many blocks of two readings."""

    def commit(count):
        for _ in range(count):
            journal.add_reading(measured(journal.last), None)
            journal.commit(Tail(0, None, 0))

    return commit


@pytest.fixture
def send(outbox_path, cloud):
    """Starts a send loop in a thread; it is stopped at the end in any case."""
    running = []

    def start(connect=None, on_desired=None, **keys):
        config = UplinkConfig(host="nowhere", **{**FAST, **keys})
        loop = SendLoop(
            "gw-1",
            config,
            lambda: Outbox(outbox_path, durable=False),
            connect or cloud.connect,
            on_desired,
        )
        thread = threading.Thread(target=loop.run, daemon=True)
        thread.start()
        running.append((loop, thread))
        return loop, thread

    yield start
    for loop, thread in running:
        loop.stop(0.0)
        thread.join(10)
        assert not thread.is_alive()


def test_all_is_sent_acked_and_gone(send, cloud, write, outbox, wait_until):
    write(30)
    loop, _ = send()
    wait_until(outbox.empty)
    write(5)
    loop.wake()
    wait_until(outbox.empty)
    assert [decode(p).first for p in cloud.got] == list(range(1, 71, 2))
    assert cloud.lanes == [Lane.BACKFILL] * 30 + [Lane.LIVE] * 5
    assert loop.acked_total == 35
    assert cloud.connections == 1


def test_no_more_than_the_window_is_unacked(send, cloud, write, outbox, wait_until):
    cloud.acks = False
    write(50)
    send(ack_timeout_s=60.0)
    wait_until(lambda: cloud.most_unacked >= 6)
    time.sleep(0.3)
    assert len(cloud.got) == 6  # three quarters of 8
    assert outbox.state().blocks == 50


def test_nothing_is_deleted_without_an_ack(send, cloud, write, outbox, wait_until):
    """A broker's word that it has a block means nothing."""
    cloud.acks = False
    write(3)
    _, _ = send()
    wait_until(lambda: len(cloud.got) > 9)  # again and again
    assert {decode(p).first for p in cloud.got} == {1, 3, 5}
    assert [(s.first, s.last) for s in outbox.spans(9)] == [(1, 6)]


@pytest.mark.parametrize("fault", [{"drops_every": 3}, {"breaks_one_in": 4}])
def test_dropped_blocks_and_broken_lines_cost_repeats_only(
    send, cloud, write, outbox, wait_until, fault
):
    for name, value in fault.items():
        setattr(cloud, name, value)
    write(20)
    send()
    wait_until(outbox.empty, 30.0)
    assert {decode(p).first for p in cloud.got} == set(range(1, 41, 2))


def test_a_cloud_that_nobody_listens_in_is_asked_with_one_block_at_a_time(
    send, cloud, write, outbox, wait_until, caplog
):
    caplog.set_level(logging.INFO)
    cloud.listens, asked = False, []
    take = cloud.take
    cloud.take = lambda topic, payload, news: (asked.append(1), take(topic, payload, news))
    write(40)
    send(ack_timeout_s=60.0)
    wait_until(lambda: len(asked) > 8)
    assert len(asked) < 6 + 8  # a first window, then single ones
    cloud.listens = True
    began_s = time.monotonic()
    wait_until(outbox.empty)
    assert time.monotonic() - began_s < 15  # not the 60 s of an ack that never comes
    said = [r.getMessage() for r in caplog.records]
    assert len([s for s in said if "no ingest process subscribes" in s]) == 1
    assert len([s for s in said if "the cloud acks blocks again" in s]) == 1


def test_acks_that_cannot_be_read_are_counted_and_change_nothing(
    send, cloud, write, outbox, wait_until
):
    cloud.ack = lambda _payload, news: news.put(Heard(b"{not an ack"))
    write(2)
    loop, _ = send()
    wait_until(lambda: loop.refused_acks_total >= 2)
    assert outbox.state().blocks == 2


def test_an_ack_by_digest(send, cloud, write, outbox, wait_until):
    cloud.ack = lambda payload, news: news.put(
        Heard(encode_ack(Ack(digests=(payload_digest(payload),))))
    )
    write(2)
    send()
    wait_until(outbox.empty)


def test_refusals_and_absences_are_told_once(send, cloud, write, outbox, wait_until, caplog):
    caplog.set_level(logging.INFO)
    met = []

    def meeting(news):
        met.append(cloud.refuses)
        return cloud.connect(news)

    cloud.refuses = UplinkUnavailable("nowhere:1883: no route")
    write(1)
    send(connect=meeting, retry_max_s=0.02)
    wait_until(lambda: met.count(cloud.refuses) >= 5)
    cloud.refuses = UplinkRefused("nowhere:1883: connect: Not authorized")
    wait_until(lambda: met.count(cloud.refuses) >= 5)
    cloud.refuses = None
    wait_until(outbox.empty)
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == [
        "uplink: nowhere:1883: no route",
        "uplink: nowhere:1883: connect: Not authorized",
    ]


TAKEN_OVER = (Lost("disconnected: taken over", taken_over=True), 1, "")
ABRUPT = (Lost("disconnected: no reason", abrupt=True), 3, "probably ")


@pytest.mark.parametrize("case", [TAKEN_OVER, ABRUPT], ids=["taken over", "abrupt"])
def test_two_clients_with_one_name_are_named_and_connect_rarely(
    send, cloud, write, wait_until, caplog, case
):
    """Two ends without a reason may be the broker's; after three, another client is suspected."""

    lost, ends, doubt = case

    def meeting(news):
        line = cloud.connect(news)
        news.put(lost)
        return line

    write(1)
    send(connect=meeting, retry_max_s=3600.0)
    wait_until(lambda: f"{doubt}two gateways use the device id gw-1" in caplog.text)
    assert cloud.connections == ends
    assert "Find the copied SD card" in caplog.text
    time.sleep(3.0)  # enough for several connections with the ordinary wait
    assert cloud.connections == ends


def test_a_long_connection_that_breaks_off_raises_no_suspicion(
    send, cloud, write, outbox, wait_until, caplog
):
    def meeting(news):
        line = cloud.connect(news)
        if cloud.connections < 6:
            threading.Timer(0.05, news.put, [Lost("disconnected: no reason", abrupt=True)]).start()
        return line

    cloud.acks = False
    write(1)
    send(connect=meeting, stable_s=0.01, retry_max_s=0.01)
    wait_until(lambda: cloud.connections == 6)
    cloud.acks = True
    wait_until(outbox.empty)
    assert "two gateways" not in caplog.text


@pytest.fixture
def small_and_large(journal, measured):
    """Commits five blocks; the second and the fourth are large."""
    chance = random.Random(20130101)
    for count in (1, 200, 1, 300, 1):
        for _ in range(count):
            journal.add_reading(measured(journal.last, chance.uniform(0, 30)), None)
        journal.commit(Tail(0, None, 0))


@pytest.mark.usefixtures("small_and_large")
def test_a_block_that_the_broker_cannot_take_stays_and_the_others_go(
    send, cloud, outbox, wait_until, caplog
):
    class Narrow(Line):
        max_packet_bytes = 300

        def publish(self, topic, payload):
            assert len(topic) + len(payload) + 7 <= 300
            super().publish(topic, payload)

    def narrow(news):
        cloud.connect(news)
        return Narrow(cloud, news)

    send(connect=narrow)
    wait_until(lambda: outbox.state().blocks == 2)
    time.sleep(0.5)
    assert len(cloud.got) == 3
    assert cloud.connections == 1  # no loop of disconnects
    told = [r.getMessage() for r in caplog.records if "accepts packets of at most 300" in r.message]
    assert 1 <= len(told) <= 2  # each larger block, not each attempt
    assert "max_packet_size" in told[0]


def test_an_unexpected_error_does_not_end_the_sending(
    send, cloud, write, outbox, wait_until, caplog
):
    connect, failures = cloud.connect, iter([ZeroDivisionError("a mistake of ours")])

    def clumsy(news):
        for failure in failures:
            raise failure
        return connect(news)

    write(2)
    send(connect=clumsy)
    wait_until(outbox.empty)
    assert "a mistake of ours" in caplog.text


def test_an_outbox_that_cannot_be_opened_yet_is_tried_again(cloud, outbox_path, put, wait_until):
    folder = outbox_path.parent / "later"
    config = UplinkConfig(host="nowhere", **FAST)
    loop = SendLoop("gw-1", config, lambda: Outbox(folder / "o.db", durable=False), cloud.connect)
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    time.sleep(0.1)
    folder.mkdir()
    wait_until(lambda: cloud.connections == 1)
    loop.stop(0.0)
    thread.join(10)
    assert not thread.is_alive()
    del put


# --- stopping ------------------------------------------------------------------------------------


def test_a_stop_drains_and_says_goodbye(send, cloud, write, outbox):
    cloud.drops_every = 4
    write(30)
    loop, thread = send()
    loop.stop(20.0)
    thread.join(20)
    assert outbox.empty()
    assert cloud.goodbyes == ["dewline/v1/gw-1/presence"]


def test_a_stop_before_ever_connecting_ends_in_time(send, cloud, write, outbox):
    cloud.refuses = UplinkUnavailable("no route")
    write(3)
    loop, thread = send(retry_max_s=60.0)
    time.sleep(0.2)
    began_s = time.monotonic()
    loop.stop(0.5)
    thread.join(10)
    assert 0.3 <= time.monotonic() - began_s < 5.0
    assert outbox.state().blocks == 3


def test_a_stop_with_nothing_to_send_ends_at_once(send, cloud, outbox):
    cloud.refuses = UplinkUnavailable("no route")
    loop, thread = send(retry_max_s=60.0)
    began_s = time.monotonic()
    loop.stop(30.0)
    thread.join(10)
    assert time.monotonic() - began_s < 5.0
    assert outbox.empty()


def test_a_stop_while_acks_stay_away_ends_at_the_limit(send, cloud, write):
    cloud.acks = False
    write(3)
    loop, thread = send()
    began_s = time.monotonic()
    loop.stop(0.5)
    thread.join(10)
    assert 0.4 <= time.monotonic() - began_s < 5.0


# --- what the sense loop is told -----------------------------------------------------------------


def test_a_backlog_worked_off_is_told_once(send, cloud, write, outbox, wait_until):
    cloud.acks = False
    write(5)
    loop, _ = send()
    wait_until(lambda: len(cloud.got) >= 5)
    assert not loop.backlog_drained()
    cloud.acks = True
    wait_until(loop.backlog_drained)
    assert not loop.backlog_drained()
    write(1)
    loop.wake()
    wait_until(outbox.empty)
    assert not loop.backlog_drained()  # what was live never was a backlog


def test_damaged_blocks_are_told_once_and_never_sent(
    send, cloud, write, outbox, damage, wait_until
):
    write(3)
    damage(outbox.path, 2)
    loop, _ = send()
    found = []
    wait_until(lambda: found.extend(loop.take_damaged()) or found)
    wait_until(lambda: outbox.state().blocks == 1)
    assert [(b.row_id, b.first, b.last) for b in found] == [(2, 3, 4)]
    assert loop.take_damaged() == []
    assert {decode(p).first for p in cloud.got} == {1, 5}


def test_a_block_without_known_numbers_is_for_the_sense_loop_to_replace(
    send, write, outbox, wait_until
):
    write(3)
    with sqlite3.connect(outbox.path) as db:
        db.execute("UPDATE block SET first = first + 64 WHERE row_id = 2")
    db.close()
    loop, _ = send()

    def raised():
        try:
            loop.take_damaged()
        except OutboxCorrupt as error:
            return "its numbers are unknown" in str(error)
        return False

    wait_until(raised)
    assert raised()  # until this loop is replaced


def test_desired_states_are_handed_on_unread_and_in_their_order(
    send, cloud, write, outbox, wait_until
):
    got, connect = [], cloud.connect

    def telling(news):
        for number in range(3):
            news.put(DesiredHeard(b"\xff%d" % number))
        return connect(news)

    write(3)
    loop, _ = send(connect=telling, on_desired=got.append)
    wait_until(outbox.empty)
    assert got == [b"\xff0", b"\xff1", b"\xff2"]
    assert loop.refused_acks_total == 0  # none of them was taken for an ack


def test_without_anybody_who_cares_a_desired_state_is_nothing(
    send, cloud, write, outbox, wait_until
):
    connect = cloud.connect

    def telling(news):
        news.put(DesiredHeard(b"{}"))
        return connect(news)

    write(3)
    loop, _ = send(connect=telling)
    wait_until(outbox.empty)
    assert (loop.refused_acks_total, cloud.connections) == (0, 1)


def test_news_of_an_old_connection_do_not_reach_the_next(send, cloud, write, outbox, wait_until):
    """Each connection has a queue of its own."""
    queues = []
    connect = cloud.connect

    def noting(news):
        assert isinstance(news, queue.SimpleQueue)
        queues.append(news)
        return connect(news)

    cloud.breaks_one_in = 1
    write(4)
    send(connect=noting)
    wait_until(lambda: len(queues) > 1)
    cloud.breaks_one_in = 0
    queues[0].put(Lost("an echo"))
    wait_until(outbox.empty)
    assert len(set(map(id, queues))) == len(queues)


# --- a broker with TLS ---------------------------------------------------------------------------


@pytest.fixture
def own_broker(stack_base, tmp_path):
    """A broker with an authority of its own."""
    own = Certificates(tmp_path)
    broker = Mosquitto.start(stack_base, [], certificates=own)
    yield broker, own
    broker.stop()


def begin_in_4_s(broker, own):
    """Gives it a certificate that begins then: to a clock that lags, every one does so."""
    begins = datetime.now(UTC) + timedelta(days=1, seconds=4)  # it is issued for a day before
    issued = own.authority.issue_server(["127.0.0.1"], begins, 5)
    (broker.base / "certificates" / "server.pem").write_bytes(issued.certificate_pem)
    (broker.base / "certificates" / "server.key").write_bytes(issued.key_pem)
    hand_over(broker.base / "certificates")
    broker.restart()


@pytest.fixture
def acking(own_broker):
    """What ingest does, in small: acks every block that comes."""
    broker, own = own_broker
    files, subscribed = own.service("ingest"), threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # its clock is another one
    context.load_cert_chain(files.certificate, files.key)
    client.tls_set_context(context)

    def ack(_client, _data, message):
        block = decode(message.payload)
        span = Span(stream_id=block.stream_id, first=block.first, last=block.last)
        client.publish(ack_topic("gw-1"), encode_ack(Ack(spans=(span,))), qos=0)

    client.on_message = ack
    client.on_connect = lambda *_: client.subscribe("dewline/v1/+/up/#", qos=1)
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", broker.services_port)
    client.loop_start()
    assert subscribed.wait(10)
    yield own_broker
    client.disconnect()
    client.loop_stop()


@pytest.fixture
def secret(acking):
    """Broker, authority, how gw-1 connects, and the list of its attempts."""
    broker, own = acking
    files, attempts = own.device("gw-1"), []
    config = UplinkConfig(
        host="127.0.0.1",
        port=broker.devices_port,
        ca_file=str(files.ca),
        certificate_file=str(files.certificate),
        key_file=str(files.key),
    )

    def counted(news):
        attempts.append(1)
        return connect("gw-1", config, news)

    return SimpleNamespace(broker=broker, own=own, connect=counted, attempts=attempts)


@pytest.fixture
def listener_to_all(mosquitto, accounts):
    """A device that subscribes to every topic, which Mosquitto grants."""
    granted, account = threading.Event(), accounts["gw-3"]
    client = paho.Client(CallbackAPIVersion.VERSION2, account.name, protocol=paho.MQTTv5)
    client.username_pw_set(account.name, account.password)
    client.on_connect = lambda c, *_: c.subscribe("#", qos=1)
    client.on_subscribe = lambda *_: granted.set()
    client.connect("127.0.0.1", mosquitto.port)
    client.loop_start()
    assert granted.wait(10)
    yield
    client.disconnect()
    client.loop_stop()


@pytest.mark.broker
@pytest.mark.usefixtures("listener_to_all")
def test_a_listener_to_all_topics_does_not_delay_a_cloud_that_comes_back(
    mosquitto, accounts, tmp_path, outbox, write, send
):
    """The broker's answer is then the same with and without ingest."""
    secret, gw = tmp_path / "password", accounts["gw-1"]
    secret.write_text(gw.password)
    config = UplinkConfig(
        host="127.0.0.1", port=mosquitto.port, username=gw.name, password_file=str(secret)
    )
    write(30)
    send(connect=lambda news: connect("gw-1", config, news), ack_timeout_s=1.0, retry_max_s=60.0)
    time.sleep(8.0)  # with doubled waits alone, the next attempt would be 4 to 10 s later
    assert outbox.state().blocks == 30
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.username_pw_set("ingest", accounts["ingest"].password)

    def ack(_client, _data, message):
        block = decode(message.payload)
        span = Span(stream_id=block.stream_id, first=block.first, last=block.last)
        client.publish(ack_topic("gw-1"), encode_ack(Ack(spans=(span,))), qos=0)

    client.on_message = ack
    client.on_connect = lambda *_: client.subscribe("dewline/v1/+/up/#", qos=1)
    client.connect("127.0.0.1", mosquitto.port)
    client.loop_start()
    began_s = time.monotonic()
    while not outbox.empty() and time.monotonic() < began_s + 30.0:
        time.sleep(0.02)
    took_s = time.monotonic() - began_s
    client.disconnect()
    client.loop_stop()
    print(f"all blocks acked {took_s:.1f} s after the cloud came back")
    assert took_s < 3.0


@pytest.mark.broker
def test_two_gateways_with_one_name_do_not_evict_each_other_for_ever(
    mosquitto, accounts, tmp_path, send, caplog, wait_until
):
    """Mosquitto 2.0.11 gives no reason for it, only ends the connection."""
    caplog.set_level(logging.INFO)
    secret, gw, connections = tmp_path / "password", accounts["gw-2"], []
    secret.write_text(gw.password)
    config = UplinkConfig(
        host="127.0.0.1", port=mosquitto.port, username=gw.name, password_file=str(secret)
    )

    def counted(news):
        connections.append(1)
        return connect("gw-2", config, news)

    for _ in range(2):
        send(connect=counted, stable_s=30.0, retry_max_s=3600.0)
    wait_until(lambda: "two gateways use the device id" in caplog.text)
    time.sleep(5.0)
    assert len(connections) <= 7  # the two first ones, and until one of them waits long


def times_said(caplog, words):
    return sum(words in record.getMessage() for record in caplog.records)


@pytest.mark.broker
def test_a_gateway_whose_clock_is_not_set_yet_tries_again_until_it_is(
    secret, outbox, write, send, wait_until, caplog
):
    """Without a battery a board wakes in the past, and refuses the broker's certificate."""
    caplog.set_level(logging.INFO)
    begin_in_4_s(secret.broker, secret.own)
    write(5)
    send(connect=secret.connect)
    wait_until(lambda: len(secret.attempts) > 2)
    assert outbox.state().blocks == 5
    wait_until(outbox.empty, 20)
    assert times_said(caplog, "not yet valid by this machine's clock; check the clock") == 1
    assert times_said(caplog, "uplink: connected") == 1


@pytest.mark.broker
def test_a_revoked_gateway_keeps_all_until_it_has_a_new_certificate(
    secret, outbox, write, send, wait_until, caplog
):
    """The new one is put under the old name while the gateway runs."""
    caplog.set_level(logging.INFO)
    write(3)
    loop, _ = send(connect=secret.connect)
    wait_until(outbox.empty)
    secret.own.authority.revoke("gw-1", datetime.now(UTC))
    secret.broker.install(secret.own)
    secret.broker.restart()
    write(5)
    loop.wake()
    wait_until(lambda: times_said(caplog, "this client's certificate has been revoked"))
    before = len(secret.attempts)
    wait_until(lambda: len(secret.attempts) > before + 2)
    assert outbox.state().blocks == 5
    secret.own.device("gw-1")
    wait_until(outbox.empty, 20)
    assert loop.acked_total == 8
    assert times_said(caplog, "this client's certificate has been revoked") == 1
