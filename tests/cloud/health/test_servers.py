"""The doctor's look at real servers, and at what is in their place."""

import secrets

import pytest

from cloud.config import Period
from cloud.errors import BrokerError, BrokerRefused
from cloud.health.finding import State
from cloud.health.servers import look_at_broker, look_at_search
from cloud.mqtt import BrokerSettings
from cloud.search.client import SearchClient
from cloud.search.names import IndexNames
from cloud.search.templates import install, outdated, template_of
from contract.records import Kind


def settings(broker, account, password=None):
    return BrokerSettings(
        host="127.0.0.1",
        port=broker.port,
        client_id="doctor-test",
        username=account.name,
        password=password or account.password,
    )


@pytest.mark.broker
def test_the_broker_lets_ingest_in(mosquitto, accounts):
    (found,) = look_at_broker(settings(mosquitto, accounts["ingest"]))
    assert found.state is State.OK
    assert found.found == f"127.0.0.1:{mosquitto.port} accepts ingest"


@pytest.mark.broker
def test_a_wrong_password_and_a_dead_port_are_told_apart(mosquitto, accounts):
    with pytest.raises(BrokerRefused):
        list(look_at_broker(settings(mosquitto, accounts["ingest"], "wrong")))
    nobody = BrokerSettings(host="127.0.0.1", port=1, client_id="doctor-test")
    with pytest.raises(BrokerError, match="cannot be reached"):
        list(look_at_broker(nobody))


class Cluster:
    """A search server that says what it is told to."""

    def __init__(self, colour, shards=(10, 1000)):
        self._colour, self._shards = colour, shards

    def health(self):
        return self._colour

    def index_template(self, _name):
        return None

    def shards(self):
        return self._shards


@pytest.mark.parametrize(
    ("colour", "state"),
    [("green", State.OK), ("yellow", State.WARNING), ("red", State.FAILED), ("", State.FAILED)],
)
def test_the_colour_decides(colour, state):
    cluster, *_ = look_at_search(Cluster(colour), IndexNames("dewline", Period.DAY))
    assert cluster.state is state
    assert bool(cluster.remedy) == (state is not State.OK)


@pytest.mark.parametrize(
    ("shards", "state"),
    [
        ((699, 1000), State.OK),
        ((700, 1000), State.WARNING),
        ((949, 1000), State.WARNING),
        ((950, 1000), State.FAILED),
        ((2700, 3000), State.WARNING),
        ((0, 0), State.FAILED),
    ],
)
def test_shards_are_looked_at_well_before_their_limit(shards, state):
    _, found, _ = look_at_search(Cluster("green", shards), IndexNames("dewline", Period.DAY))
    assert (found.check, found.state) == ("shards", state)
    assert found.found == f"{shards[0]} of at most {shards[1]} shards are open"
    assert bool(found.remedy) == (state is not State.OK)


@pytest.mark.services
def test_templates_of_this_version_are_known_and_others_named(elasticsearch):
    client = SearchClient(elasticsearch.url)
    names = IndexNames(f"doctor-{secrets.token_hex(4)}", Period.DAY)
    *_, missing = look_at_search(client, names)
    assert missing.state is State.FAILED
    assert names.alias(Kind.READING) in missing.found
    assert missing.remedy == "run `dewline-cloud search setup`"
    install(client, names, replicas=1)  # a person's choice, and no other version
    cluster, shards, all_there = look_at_search(client, names)
    assert shards.state is State.OK
    assert (cluster.check, cluster.state) == ("search", State.OK)
    assert (all_there.state, all_there.found) == (State.OK, "all have this version")
    old = template_of(Kind.ALERT, names)
    del old["template"]["mappings"]["properties"]["alert_id"]
    client.ensure_template(names.alias(Kind.ALERT), old)
    assert outdated(client, names) == (names.alias(Kind.ALERT),)
    client.close()
