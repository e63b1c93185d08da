"""The rendered broker over TLS: who gets in with which certificate, and what gets through.

What is refused is shown by what an observer hears: a forged message, then a marker of somebody who
may; the observer has the marker and not the forged one before it.
"""

import contextlib
import os
import secrets
import signal
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cloud.ca.authority import Authority
from deploy.local.certificates import CertificateFiles, Certificates
from deploy.local.mosquitto import BrokerAccount, Mosquitto

pytestmark = pytest.mark.broker

ALL = "dewline/v1/#"
FORGED = (
    "dewline/v1/gw-1/up/live",
    "dewline/v1/gw-1/presence",
    "dewline/v1/gw-1/down/ack",
    "dewline/v1/gw-1/down/desired",
    "dewline/v1/gw-2/down/ack",
    "dewline/v1/gw-2/down/desired",
    "dewline/v1/gw-2/other",
    "dewline/v1/presence",
    "$SYS/broker/uptime",
)


class Peer:
    """One client; it connects once and never again by itself."""

    def __init__(
        self,
        port: int,
        files: CertificateFiles | None,
        ca: Path | None,
        client_id: str | None = None,
        account: BrokerAccount | None = None,
    ) -> None:
        self.client_id = client_id or f"test-{secrets.token_hex(4)}"
        self.heard: list[tuple[str, str]] = []
        self.granted = threading.Event()
        self.ended = threading.Event()
        self._subscribed = threading.Event()
        self._port = port
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        if ca is not None:
            context = ssl.create_default_context(cafile=ca)
            if files is not None:
                context.load_cert_chain(files.certificate, files.key)
            self._client.tls_set_context(context)
        if account is not None:
            self._client.username_pw_set(account.name, account.password)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = lambda *_: self.ended.set()
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _c, _u, message: self.heard.append(
            (message.topic, message.payload.decode())
        )

    def _on_connect(self, _c: object, _u: object, _f: object, reason: object, _p: object) -> None:
        if reason == "Success":
            self.granted.set()
        else:
            self.ended.set()

    def connect(self, *, kept_s: int = 0) -> bool:
        """Whether the broker let it in; `kept_s` asks for its session to be kept."""
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = kept_s
        try:
            self._client.connect(
                "127.0.0.1", self._port, clean_start=not kept_s, properties=properties
            )
        except OSError:
            return False
        self._client.loop_start()
        for _ in range(1000):
            if self.granted.wait(0.01) or self.ended.is_set():
                break
        else:
            pytest.fail("neither let in nor refused within 10 s")
        return self.granted.is_set() and not self.ended.is_set()

    def subscribe(self, *filters: str) -> None:
        for topic in filters:
            self._subscribed.clear()
            self._client.subscribe(topic, qos=1)
            assert self._subscribed.wait(10)

    def publish(self, topic: str, text: str) -> None:
        """Sends, and waits for what the broker says to it."""
        sent = self._client.publish(topic, text, qos=1)
        with contextlib.suppress(RuntimeError):  # not connected, or put out for it
            for _ in range(1000):
                sent.wait_for_publish(0.01)
                if sent.is_published() or self.ended.is_set():
                    return
            pytest.fail("no answer to a publish within 10 s")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@dataclass
class Site:
    """A broker, its authority, and somebody who hears everything."""

    broker: Mosquitto
    certificates: Certificates
    wait_until: Callable[..., None]
    peers: list[Peer] = field(default_factory=list)

    @property
    def ca(self) -> Path:
        return self.certificates.ca

    def peer(
        self,
        port: int,
        files: CertificateFiles | None,
        client_id: str | None = None,
        ca: Path | None = None,
    ) -> Peer:
        made = Peer(port, files, ca or self.ca, client_id)
        self.peers.append(made)
        return made

    def device(self, name: str, client_id: str | None = None, *, kept_s: int = 0) -> Peer:
        """A gateway that was let in with a certificate of its own."""
        files = self.certificates.device(name)
        peer = self.peer(self.broker.devices_port, files, client_id or name)
        assert peer.connect(kept_s=kept_s)
        return peer

    def service(self, name: str, client_id: str | None = None) -> Peer:
        """A process of the cloud that was let in."""
        peer = self.peer(self.broker.services_port, self.certificates.service(name), client_id)
        assert peer.connect()
        return peer

    def observer(self) -> Peer:
        peer = self.service("observer")
        peer.subscribe(ALL)
        return peer

    def heard_before(self, observer: Peer, device: str = "gw-9") -> list[tuple[str, str]]:
        """What the observer heard until a marker that `device` sends now."""
        mark = secrets.token_hex(4)
        sender = self.device(device)
        sender.publish(f"dewline/v1/{device}/up/live", mark)
        end = (f"dewline/v1/{device}/up/live", mark)
        self.wait_until(lambda: end in observer.heard)
        return [one for one in observer.heard if not one[0].startswith(f"dewline/v1/{device}/")]


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def site(
    stack_base: Path, certificates: Certificates, wait_until: Callable[..., None]
) -> Iterator[Site]:
    """A broker with the two listeners that Ansible installs, and no passwords."""
    broker = Mosquitto.start(stack_base, [], certificates=certificates)
    made = Site(broker, certificates, wait_until)
    yield made
    for peer in made.peers:
        peer.close()
    broker.stop()


def test_what_each_may_do_gets_through(site: Site) -> None:
    observer, ingest, gateway = site.observer(), site.service("ingest"), site.device("gw-1")
    gateway.subscribe("dewline/v1/gw-1/down/#")
    ingest.subscribe("dewline/v1/+/up/#")
    gateway.publish("dewline/v1/gw-1/up/live", "block")
    gateway.publish("dewline/v1/gw-1/presence", "online")
    ingest.publish("dewline/v1/gw-1/down/ack", "ack")
    site.service("rollout").publish("dewline/v1/gw-1/down/desired", "desired")
    site.wait_until(lambda: len(gateway.heard) == 2 and len(observer.heard) == 4)
    assert [text for _, text in observer.heard] == ["block", "online", "ack", "desired"]
    assert [text for _, text in gateway.heard] == ["ack", "desired"]
    assert [text for _, text in ingest.heard] == ["block"]


def test_several_connections_of_one_service_do_not_put_each_other_out(site: Site) -> None:
    one, two = (site.service("ingest", f"ingest-1-{lane}") for lane in ("live", "backfill"))
    gateway = site.device("gw-1")
    one.subscribe("dewline/v1/+/up/live")
    two.subscribe("dewline/v1/+/up/backfill")
    gateway.publish("dewline/v1/gw-1/up/live", "new")
    gateway.publish("dewline/v1/gw-1/up/backfill", "old")
    site.wait_until(lambda: one.heard and two.heard)
    assert not one.ended.is_set()


def test_a_client_id_does_not_take_over_a_session(site: Site) -> None:
    """The other's queued command stays, and what is published is published as oneself."""
    observer, ingest = site.observer(), site.service("ingest")
    victim = site.device("gw-1", kept_s=600)
    victim.subscribe("dewline/v1/gw-1/down/#")
    victim.close()
    ingest.publish("dewline/v1/gw-1/down/ack", "queued")
    thief = site.device("gw-2", client_id="gw-1")
    thief.subscribe("dewline/v1/+/down/#")
    thief.publish("dewline/v1/gw-1/up/live", "forged")
    assert site.heard_before(observer) == [("dewline/v1/gw-1/down/ack", "queued")]
    again = site.device("gw-1", kept_s=600)
    site.wait_until(lambda: again.heard)
    assert again.heard == [("dewline/v1/gw-1/down/ack", "queued")]
    assert thief.heard == []


def test_a_client_id_does_not_put_out_who_is_there(site: Site) -> None:
    ingest = site.service("ingest", "ingest-1-live")
    victim = site.device("gw-1")
    victim.subscribe("dewline/v1/gw-1/down/#")
    site.device("gw-2", client_id="gw-1")
    site.device("gw-3", client_id="ingest-1-live")
    ingest.publish("dewline/v1/gw-1/down/ack", "still here")
    site.wait_until(lambda: victim.heard)
    assert not victim.ended.is_set()
    assert not ingest.ended.is_set()


def test_a_gateway_writes_only_its_own_readings_and_presence(site: Site) -> None:
    """Nor its own acks and desired state. For a denied message the broker ends the connection."""
    observer, victim = site.observer(), site.device("gw-1")
    victim.subscribe("dewline/v1/+/down/#")
    for topic in FORGED:
        forger = site.device("gw-2")
        forger.subscribe("dewline/v1/gw-2/down/#")
        forger.publish(topic, "forged")
    receiver = site.device("gw-2")
    receiver.subscribe("dewline/v1/gw-2/down/#")
    for name in ("gw-1", "gw-2"):
        site.service("ingest").publish(f"dewline/v1/{name}/down/ack", "real")
    site.wait_until(lambda: victim.heard and receiver.heard)
    acks = [(f"dewline/v1/{name}/down/ack", "real") for name in ("gw-1", "gw-2")]
    assert victim.heard == acks[:1]
    assert [one for peer in site.peers for one in peer.heard if one[1] == "forged"] == []
    assert receiver.heard == acks[1:]
    assert site.heard_before(observer) == acks


def test_a_gateway_reads_only_what_is_sent_to_it(site: Site) -> None:
    """The broker grants any subscription; what it delivers is what the rules say."""
    spy, ingest, victim = site.device("gw-2"), site.service("ingest"), site.device("gw-1")
    spy.subscribe("dewline/v1/gw-1/down/#", "dewline/v1/+/down/#", ALL, "$share/x/#", "$SYS/#", "#")
    victim.publish("dewline/v1/gw-1/up/live", "secret")
    ingest.publish("dewline/v1/gw-1/down/ack", "secret")
    ingest.publish("dewline/v1/gw-2/down/ack", "own")
    site.wait_until(lambda: spy.heard)
    assert set(spy.heard) == {("dewline/v1/gw-2/down/ack", "own")}


def test_rollout_writes_no_acks_and_an_observer_nothing(site: Site) -> None:
    observer = site.observer()
    site.service("rollout").publish("dewline/v1/gw-1/down/ack", "forged")
    site.service("rollout").publish("dewline/v1/gw-1/up/live", "forged")
    site.service("observer").publish("dewline/v1/gw-1/down/ack", "forged")
    assert site.heard_before(observer) == []


@dataclass(frozen=True)
class Stranger:
    """Somebody who must not get in: with what certificate, and at which door."""

    files: Callable[[Site, Path], CertificateFiles | None]
    doors: tuple[str, ...] = ("devices_port", "services_port")


def foreign(folder: Path, *, service: bool) -> CertificateFiles:
    (folder / "foreign").mkdir()
    made = Certificates(folder / "foreign")
    return made.service("ingest") if service else made.device("gw-1")


def expired(site: Site, *, service: bool) -> CertificateFiles:
    authority, then = site.certificates.authority, datetime.now(UTC) - timedelta(days=0.9)
    authority = Authority.open(authority._folder)
    issue = authority.issue_service if service else authority.issue_device
    issued = issue("ingest" if service else "gw-1", then - timedelta(days=1), 1)
    return site.certificates.keep("expired", issued)


def revoked(site: Site, *, service: bool) -> CertificateFiles:
    name = "ingest" if service else "gw-1"
    files = site.certificates.service(name) if service else site.certificates.device(name)
    site.certificates.authority.revoke(name, datetime.now(UTC))
    site.broker.install(site.certificates)
    site.broker.restart()
    return files


DEVICES, SERVICES = ("devices_port",), ("services_port",)
STRANGERS = {
    "without a certificate": Stranger(lambda _site, _folder: None),
    "a foreign authority's device": Stranger(lambda _, f: foreign(f, service=False)),
    "a foreign authority's service": Stranger(lambda _, f: foreign(f, service=True)),
    "a device at the other door": Stranger(lambda s, _: s.certificates.device("gw-1"), SERVICES),
    "a service at the other door": Stranger(lambda s, _: s.certificates.service("ingest"), DEVICES),
    "an expired device": Stranger(lambda s, _: expired(s, service=False), DEVICES),
    "an expired service": Stranger(lambda s, _: expired(s, service=True), SERVICES),
    "a revoked device": Stranger(lambda s, _: revoked(s, service=False), DEVICES),
    "a revoked service": Stranger(lambda s, _: revoked(s, service=True), SERVICES),
}


@pytest.mark.parametrize("who", STRANGERS)
def test_strangers_are_refused(site: Site, tmp_path: Path, who: str) -> None:
    files = STRANGERS[who].files(site, tmp_path)
    observer, gateway = site.observer(), site.device("gw-2")
    gateway.subscribe("dewline/v1/gw-2/down/#")
    for door in STRANGERS[who].doors:
        for client_id in ("gw-2", observer.client_id, "ingest-1-live"):
            stranger = site.peer(getattr(site.broker, door), files, client_id)
            assert not stranger.connect()
            stranger.publish("dewline/v1/gw-1/up/live", "forged")
            stranger.publish("dewline/v1/gw-2/down/ack", "forged")
    assert site.heard_before(observer) == []
    assert not observer.ended.is_set()
    assert not gateway.ended.is_set()
    assert gateway.heard == []


def test_without_tls_there_is_no_door(site: Site) -> None:
    observer = site.observer()
    for port in (site.broker.devices_port, site.broker.services_port):
        account = BrokerAccount.generate("gw-1", "device")
        peer = Peer(port, None, None, "gw-1", account)
        site.peers.append(peer)
        assert not peer.connect()
        peer.publish("dewline/v1/gw-1/up/live", "forged")
    assert site.heard_before(observer) == []


def test_a_password_does_not_make_another_of_a_certificate(site: Site) -> None:
    observer = site.observer()
    forger = Peer(
        site.broker.devices_port,
        site.certificates.device("gw-2"),
        site.ca,
        "gw-1",
        BrokerAccount(name="ingest", password="x", role="ingest"),
    )
    site.peers.append(forger)
    if forger.connect():
        forger.publish("dewline/v1/gw-1/down/ack", "forged")
        forger.publish("dewline/v1/gw-1/up/live", "forged")
    assert site.heard_before(observer) == []


def test_a_revoked_gateway_is_put_out_by_the_restart_and_comes_back_with_a_new_one(
    site: Site,
) -> None:
    files = site.certificates.device("gw-1")
    site.certificates.authority.revoke("gw-1", datetime.now(UTC))
    still = site.peer(site.broker.devices_port, files, "gw-1")
    assert still.connect()
    site.broker.install(site.certificates)
    os.kill(site.broker.pid, signal.SIGHUP)
    while (other := site.peer(site.broker.devices_port, files, "gw-1")).connect():
        still = other  # the signal has not come yet
    assert not still.ended.wait(0.2)
    site.broker.restart()
    site.wait_until(still.ended.is_set)
    observer = site.observer()
    assert not site.peer(site.broker.devices_port, files, "gw-1").connect()
    renewed = site.device("gw-1")
    renewed.publish("dewline/v1/gw-1/up/live", "renewed")
    assert site.heard_before(observer) == [("dewline/v1/gw-1/up/live", "renewed")]


def test_a_list_that_has_ended_shuts_everybody_out(site: Site) -> None:
    """Why `crl_days` is long: Mosquitto takes nobody then."""
    home = Authority.open(site.certificates.authority._folder, crl_days=1)
    home.renew_crls(datetime.now(UTC) - timedelta(days=2))
    site.broker.install(site.certificates)
    site.broker.restart()
    gateway = site.peer(site.broker.devices_port, site.certificates.device("gw-1"), "gw-1")
    assert not gateway.connect()
    home = Authority.open(home._folder)
    home.renew_crls(datetime.now(UTC))
    site.broker.install(site.certificates)
    site.broker.restart()
    assert site.device("gw-1").granted.is_set()


def test_passwords_have_a_port_of_their_own_beside_certificates(
    stack_base: Path, certificates: Certificates, wait_until: Callable[..., None]
) -> None:
    account = BrokerAccount.generate("gw-1", "device")
    broker = Mosquitto.start(stack_base, [account], certificates=certificates)
    site = Site(broker, certificates, wait_until)
    try:
        observer = site.observer()
        peer = Peer(broker.port, None, None, "gw-1", account)
        site.peers.append(peer)
        assert peer.connect()
        peer.publish("dewline/v1/gw-1/up/live", "by password")
        assert site.heard_before(observer) == [("dewline/v1/gw-1/up/live", "by password")]
    finally:
        for peer in site.peers:
            peer.close()
        broker.stop()
