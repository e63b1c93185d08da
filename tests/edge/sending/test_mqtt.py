"""One connection, against a real Mosquitto; and what each of MQTT's reasons means."""

import contextlib
import queue
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from contract.topics import (
    Lane,
    ack_topic,
    desired_topic,
    lane_filter,
    presence_topic,
    up_topic,
)
from deploy.local.certificates import Certificates
from deploy.local.mosquitto import Mosquitto
from edge.configuration.config import UplinkConfig
from edge.errors import UplinkRefused, UplinkUnavailable
from edge.sending.mqtt import (
    DesiredHeard,
    Heard,
    Lost,
    MqttConnection,
    NobodyListens,
    _require_granted,
    _subscribe_to_desired,
    connect,
)

DEVICE = "gw-1"


@pytest.fixture
def uplink(mosquitto, accounts, tmp_path):
    """`uplink(...)`: the configuration of gw-1, with other keys if a test likes."""

    def make(**keys):
        password = tmp_path / "password"
        password.write_text(accounts[DEVICE].password + "\n")
        known = {"username": DEVICE, "password_file": str(password), "port": mosquitto.port}
        return UplinkConfig(host="127.0.0.1", **{**known, **keys})

    return make


@pytest.fixture
def news():
    return queue.SimpleQueue()


@pytest.fixture
def line(uplink, news):
    connection = connect(DEVICE, uplink(), news)
    yield connection
    connection.close()


class Listener:
    """A client of the cloud's side that keeps what it gets."""

    def __init__(self, mosquitto, account, topic):
        self.got = queue.SimpleQueue()
        subscribed = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self.client.username_pw_set(account.name, account.password)
        self.client.on_message = lambda _c, _u, m: self.got.put((m.topic, m.payload, m.retain))
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.connect("127.0.0.1", mosquitto.port)
        self.client.loop_start()
        self.client.subscribe(topic, options=SubscribeOptions(qos=1))
        assert subscribed.wait(10)

    def next(self):
        return self.got.get(timeout=10)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def listener(mosquitto, accounts):
    made = []

    def listen(name, topic):
        made.append(Listener(mosquitto, accounts[name], topic))
        return made[-1]

    yield listen
    for one in made:
        one.close()


# --- connecting ----------------------------------------------------------------------------------


@pytest.mark.broker
def test_a_wrong_password_is_refused(uplink, news, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("guess")
    with pytest.raises(UplinkRefused, match=r"127\.0\.0\.1:\d+: connect: .*check this device"):
        connect(DEVICE, uplink(password_file=str(wrong)), news)


@pytest.mark.broker
def test_no_name_at_all_is_refused(uplink, news):
    with pytest.raises(UplinkRefused):
        connect(DEVICE, uplink(username=None, password_file=None), news)


def test_a_missing_password_file_names_it(news):
    config = UplinkConfig(host="127.0.0.1", username=DEVICE, password_file="/nowhere/password")
    with pytest.raises(
        UplinkRefused, match=r"password_file: /nowhere/password cannot be read: .*No such file"
    ):
        connect(DEVICE, config, news)


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid", "with space"])
def test_no_broker_there(news, host):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        config = UplinkConfig(host=host, port=unused.getsockname()[1])
        with pytest.raises(UplinkUnavailable, match=f"{host}:"):
            connect(DEVICE, config, news)


def test_something_that_hangs_up_is_no_broker(news):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up():
            server.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        config = UplinkConfig(host="127.0.0.1", port=server.getsockname()[1])
        began_s = time.monotonic()
        with pytest.raises(UplinkUnavailable, match="connect"):
            connect(DEVICE, config, news)
        assert time.monotonic() - began_s < 9  # it does not wait for the time-out


# --- TLS -----------------------------------------------------------------------------------------


@pytest.fixture
def tls_uplink(tls_broker, certificates):
    """`tls_uplink(...)`: gw-1 with its certificate, with other keys if a test likes."""

    def make(device=DEVICE, **keys):
        files = certificates.device(device)
        known = {
            "port": tls_broker.devices_port,
            "ca_file": str(files.ca),
            "certificate_file": str(files.certificate),
            "key_file": str(files.key),
        }
        return UplinkConfig(**{"host": "127.0.0.1", **known, **keys})

    return make


@pytest.fixture
def tls_listener(tls_broker, certificates):
    """Payloads on the live lane, as ingest gets them by its own listener."""
    files, got, subscribed = certificates.service("ingest"), queue.SimpleQueue(), threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.tls_set(str(files.ca), str(files.certificate), str(files.key))
    client.on_message = lambda _c, _u, m: got.put((m.topic, m.payload))
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", tls_broker.services_port)
    client.loop_start()
    client.subscribe(lane_filter(Lane.LIVE, "ingest"), qos=1)
    assert subscribed.wait(10)
    yield got
    client.disconnect()
    client.loop_stop()


@pytest.mark.broker
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_is_name_and_password(tls_uplink, tls_listener, news, host):
    line = connect(DEVICE, tls_uplink(host=host), news, desired=True)
    line.publish(up_topic(DEVICE, Lane.LIVE), b"over TLS")
    assert tls_listener.get(timeout=10) == (up_topic(DEVICE, Lane.LIVE), b"over TLS")
    line.close()


@pytest.mark.broker
def test_another_devices_certificate_may_not_speak_for_this_one(tls_uplink, news):
    with pytest.raises(UplinkRefused, match=r"gw-1/presence: Not authorized"):
        connect(DEVICE, tls_uplink("gw-2"), news)


@pytest.mark.broker
def test_no_certificate_is_refused_in_words(tls_uplink, news):
    config = tls_uplink(certificate_file=None, key_file=None)
    with pytest.raises(UplinkRefused, match="requires a certificate; set certificate_file"):
        connect(DEVICE, config, news)


@pytest.mark.broker
def test_a_service_does_not_pass_for_a_device(tls_uplink, certificates, news):
    files = certificates.service("ingest")
    config = tls_uplink(certificate_file=str(files.certificate), key_file=str(files.key))
    with pytest.raises(
        UplinkRefused, match="does not trust the authority that issued this client's"
    ):
        connect(DEVICE, config, news)


@pytest.mark.broker
def test_a_revoked_certificate_is_refused_in_words(stack_base, tmp_path, news):
    own = Certificates(tmp_path)
    files, broker = own.device(DEVICE), Mosquitto.start(stack_base, [], certificates=own)
    config = UplinkConfig(
        host="127.0.0.1",
        port=broker.devices_port,
        ca_file=str(files.ca),
        certificate_file=str(files.certificate),
        key_file=str(files.key),
    )
    try:
        connect(DEVICE, config, news).close()
        own.authority.revoke(DEVICE, datetime.now(UTC))
        broker.install(own)
        broker.restart()
        with pytest.raises(UplinkRefused, match="has been revoked; issue a new one"):
            connect(DEVICE, config, news)
    finally:
        broker.stop()


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("expired", UplinkRefused, "has expired by this machine's clock"),
        (
            "for another name",
            UplinkRefused,
            "for another name; set host to a name in the certificate",
        ),
        (
            "not yet valid",
            UplinkUnavailable,
            "not yet valid by this machine's clock; check the clock",
        ),
    ],
)
def test_a_broker_with_a_wrong_certificate_is_told_in_words(tls_door, news, kind, error, words):
    port, ca_file = tls_door(kind)
    config = UplinkConfig(host="127.0.0.1", port=port, ca_file=ca_file)
    with pytest.raises(error, match=f"127.0.0.1:{port}: the server's .*{words}") as told:
        connect(DEVICE, config, news)
    assert type(told.value) is error
    assert "_ssl.c" not in str(told.value)


@pytest.mark.broker
def test_a_broker_of_another_authority_is_not_told_anything(tls_uplink, tls_door, news):
    _, foreign = tls_door("good")
    with pytest.raises(UplinkRefused, match="no authority in ca_file issued"):
        connect(DEVICE, tls_uplink(ca_file=foreign), news)


@pytest.mark.broker
def test_a_port_without_tls_and_tls_without_tls_break_off(
    uplink, tls_uplink, tls_broker, mosquitto, news
):
    """Mosquitto says nothing and hangs up; whoever answers is told of in tests of the contract."""
    with pytest.raises(
        UplinkUnavailable, match="during the handshake; check that the port uses TLS"
    ):
        connect(DEVICE, tls_uplink(port=mosquitto.port), news)
    with pytest.raises(UplinkUnavailable, match="connect: disconnected: "):
        connect(DEVICE, uplink(port=tls_broker.devices_port), news)


@pytest.mark.parametrize("key", ["ca_file", "certificate_file", "key_file"])
def test_a_missing_file_of_tls_names_it(certificates, news, key):
    files = certificates.device(DEVICE)
    keys = {
        "ca_file": str(files.ca),
        "certificate_file": str(files.certificate),
        "key_file": str(files.key),
    }
    config = UplinkConfig(host="127.0.0.1", **{**keys, key: "/nowhere/x.pem"})
    with pytest.raises(UplinkRefused, match=rf"\[uplink\] {key}: /nowhere/x.pem cannot be read"):
        connect(DEVICE, config, news)


@pytest.mark.broker
def test_a_renewed_certificate_counts_from_the_next_connection_on(tls_uplink, certificates, news):
    config = tls_uplink()
    other = certificates.device("gw-3")
    mine = Path(config.certificate_file).read_bytes(), Path(config.key_file).read_bytes()
    Path(config.certificate_file).write_bytes(other.certificate.read_bytes())
    Path(config.key_file).write_bytes(other.key.read_bytes())
    with pytest.raises(UplinkRefused):
        connect(DEVICE, config, news)
    Path(config.certificate_file).write_bytes(mine[0])
    Path(config.key_file).write_bytes(mine[1])
    connect(DEVICE, config, news).close()


# --- sending and hearing -------------------------------------------------------------------------


@pytest.mark.broker
def test_a_block_arrives_byte_for_byte(line, listener, news):
    cloud = listener("ingest", lane_filter(Lane.LIVE, "ingest"))
    payload = bytes(range(256)) * 700
    line.publish(up_topic(DEVICE, Lane.LIVE), payload)
    assert cloud.next()[:2] == (up_topic(DEVICE, Lane.LIVE), payload)
    assert news.empty()  # nor was the presence, to which nobody listens, taken for a block


@pytest.mark.broker
def test_a_broker_without_a_cloud_says_so(line, news):
    line.publish(up_topic(DEVICE, Lane.BACKFILL), b"x")
    assert news.get(timeout=10) == NobodyListens()


@pytest.mark.broker
def test_acks_are_heard(line, listener, news):
    cloud = listener("ingest", "dewline/v1/+/up/alert")
    cloud.client.publish(ack_topic(DEVICE), b'{"spans":[]}', qos=0)
    assert news.get(timeout=10) == Heard(b'{"spans":[]}')
    cloud.client.publish(ack_topic("gw-2"), b"for another", qos=0)
    cloud.client.publish(ack_topic(DEVICE), b"mine", qos=0)
    assert news.get(timeout=10) == Heard(b"mine")
    del line


@pytest.fixture
def desire(listener):
    """Retains a desired state of the device, and takes it away again in the end."""
    cloud = listener("ingest", lane_filter(Lane.LIVE, "ingest"))

    def publish(payload, device=DEVICE):
        topic = desired_topic(device)
        cloud.client.publish(topic, payload, qos=1, retain=True).wait_for_publish(10)

    yield publish
    publish(b"")


@pytest.mark.broker
def test_the_desired_state_is_heard_at_each_connect_and_when_it_changes(
    uplink, listener, news, desire
):
    desire(b"not mine", "gw-2")
    desire(b"first")
    line = connect(DEVICE, uplink(), news, desired=True)
    assert news.get(timeout=10) == DesiredHeard(b"first")
    desire(b"second")
    assert news.get(timeout=10) == DesiredHeard(b"second")
    listener("ingest", lane_filter(Lane.ALERT, "ingest")).client.publish(
        ack_topic(DEVICE), b"an ack", qos=0
    )
    assert news.get(timeout=10) == Heard(b"an ack")
    line.close()
    later = queue.SimpleQueue()
    line = connect(DEVICE, uplink(), later, desired=True)
    assert later.get(timeout=10) == DesiredHeard(b"second")
    assert news.empty() or isinstance(news.get(), Lost)
    line.close()
    desire(b"", "gw-2")


@pytest.mark.broker
def test_a_gateway_without_models_does_not_ask_for_it(line, news, desire, listener):
    desire(b"a long text over a thin line")
    listener("ingest", lane_filter(Lane.ALERT, "ingest")).client.publish(
        ack_topic(DEVICE), b"an ack", qos=0
    )
    assert news.get(timeout=10) == Heard(b"an ack")
    del line


@pytest.mark.broker
def test_another_devices_name_is_refused(uplink, news):
    """gw-1's credentials under the name gw-2."""
    with pytest.raises(UplinkRefused, match=r"publish to dewline/v1/gw-2/presence: Not authorized"):
        connect("gw-2", uplink(), news)


@pytest.mark.broker
def test_a_foreign_topic_is_refused_by_the_broker(line, news):
    line.publish(up_topic("gw-2", Lane.LIVE), b"x")
    lost = news.get(timeout=10)
    assert isinstance(lost, Lost)
    assert lost.refused


@pytest.mark.broker
def test_a_second_connection_under_the_name_ends_the_first(line, uplink, news):
    second = connect(DEVICE, uplink(), queue.SimpleQueue())
    lost = news.get(timeout=10)
    assert isinstance(lost, Lost)
    assert not lost.refused
    assert lost.taken_over or lost.abrupt
    with pytest.raises(UplinkUnavailable):
        line.publish(up_topic(DEVICE, Lane.LIVE), b"x")
    second.close()


@pytest.mark.broker
def test_the_brokers_largest_packet_is_known(line):
    assert line.max_packet_bytes == 262_144


@pytest.mark.broker
def test_a_broker_with_a_small_largest_packet_is_obeyed(stack_base, accounts, uplink, news):
    """Without a look at it, the broker would end the connection at each attempt."""
    broker = Mosquitto.start(stack_base, list(accounts.values()))
    try:
        conf = broker.base / "mosquitto.conf"
        text = conf.read_text()
        conf.write_text(text.replace("max_packet_size 262144", "max_packet_size 1000"))
        broker.restart()
        line = connect(DEVICE, uplink(port=broker.port), news)
        assert line.max_packet_bytes == 1000
        with contextlib.suppress(UplinkUnavailable):  # the broker may end it at the first bytes
            line.publish(up_topic(DEVICE, Lane.LIVE), bytes(1001))
        lost = news.get(timeout=10)
        assert isinstance(lost, Lost)
        line.close()
    finally:
        broker.stop()


# --- presence ------------------------------------------------------------------------------------


@pytest.mark.broker
def test_presence_is_retained_and_a_goodbye_is_said(uplink, listener):
    line = connect(DEVICE, uplink(), queue.SimpleQueue())
    watcher = listener("observer", presence_topic(DEVICE))
    assert watcher.next() == (presence_topic(DEVICE), b'{"online": true}', True)
    line.close(presence_topic(DEVICE))
    assert watcher.next()[1] == b'{"online": false}'
    line.close()
    later = listener("observer", presence_topic(DEVICE))
    assert later.next() == (presence_topic(DEVICE), b'{"online": false}', True)


@pytest.mark.broker
def test_a_connection_that_breaks_off_leaves_its_last_will(uplink, listener):
    line = connect(DEVICE, uplink(), queue.SimpleQueue())
    watcher = listener("observer", presence_topic(DEVICE))
    assert watcher.next()[1] == b'{"online": true}'
    line._client.socket().shutdown(socket.SHUT_RDWR)  # as a cut cable does
    assert watcher.next()[1] == b'{"online": false}'
    line.close()


# --- every reason --------------------------------------------------------------------------------

OPERATOR = {
    "Unsupported protocol version",
    "Client identifier not valid",
    "Bad user name or password",
    "Not authorized",
    "Banned",
    "Bad authentication method",
    "Topic filter invalid",
    "Topic name invalid",
    "Packet too large",
    "Retain not supported",
    "QoS not supported",
    "Server moved",
}


def reasons():
    for packet in (PacketTypes.CONNACK, PacketTypes.SUBACK, PacketTypes.DISCONNECT):
        for names in ReasonCode(PacketTypes.CONNACK).names.values():
            for name, packets in names.items():
                if packet in packets:
                    yield packet, name


@pytest.mark.parametrize(("packet", "name"), list(reasons()))
def test_every_reason_is_all_well_try_again_or_a_matter_for_an_operator(packet, name):
    reason = ReasonCode(packet, name)
    if name in OPERATOR:
        with pytest.raises(UplinkRefused, match=name):
            _require_granted(reason, "broker: connect")
    elif reason.is_failure or packet == PacketTypes.DISCONNECT:
        with pytest.raises(UplinkUnavailable, match=name):
            _require_granted(reason, "broker: connect")
    else:
        _require_granted(reason, "broker: connect")


@pytest.mark.parametrize("connected", [True, False])
def test_a_broker_that_keeps_the_desired_state_back_still_gets_readings(connected, caplog):
    """Mosquitto grants every subscription and checks at delivery; an object that refuses one."""

    class Strict:
        def subscribe(self, topic, *, options):
            assert (topic, options.QoS) == ("t", 1)
            greeting.put(ReasonCode(PacketTypes.SUBACK, "Not authorized"))

        def is_connected(self):
            return connected

    greeting = queue.SimpleQueue()
    if connected:
        _subscribe_to_desired(Strict(), greeting, "t")
        assert "receives no new models: subscribe to t: Not authorized" in caplog.text
    else:
        with pytest.raises(UplinkRefused):
            _subscribe_to_desired(Strict(), greeting, "t")


@pytest.mark.parametrize("code", [c for c in paho.MQTTErrorCode if c != paho.MQTT_ERR_SUCCESS])
def test_every_error_of_publishing_is_an_uplink_error(code):
    """paho cannot be brought into each of these states at will; an object that says so can."""

    class Broken:
        def publish(self, _topic, _payload, *, qos):
            info = paho.MQTTMessageInfo(1)
            info.rc = code
            assert qos == 1
            return info

    with pytest.raises(UplinkUnavailable, match="publish: "):
        MqttConnection(Broken()).publish("t", b"x")
