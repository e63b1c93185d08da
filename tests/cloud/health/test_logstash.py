"""The doctor's look at Logstash: its pipelines by its API, and what arrives behind it."""

import secrets
import socket

import pytest

from cloud.config import Period
from cloud.errors import ProjectionError
from cloud.health.finding import State
from cloud.health.logstash import PIPELINES, look_at_delivery, look_at_pipelines
from cloud.lake.landing import LandingWriter
from cloud.lake.store import FolderStore
from cloud.logstash.node_api import NodeApi
from cloud.search.client import SearchClient
from cloud.search.documents import BlockContext, documents
from cloud.search.names import IndexNames
from cloud.search.templates import install
from contract.blocks import Block
from contract.errors import ConfigError
from contract.topics import Lane
from deploy.local.logstash_input import Intake
from tests.builders import JULY, air, landed

MINUTE_MS = 60_000
LIMIT_S = 900.0


@pytest.fixture
def logstash():
    """The API; all three pipelines run."""
    intake = Intake(lambda _event: None)
    intake.pipelines = dict.fromkeys(PIPELINES, "RUNNING")
    yield intake
    intake.close()


def look(logstash):
    (found,) = look_at_pipelines(NodeApi(logstash.url))
    return found


def test_pipelines_that_run(logstash):
    found = look(logstash)
    assert (found.check, found.state, found.remedy) == ("logstash", State.OK, "")
    assert found.found == "3 pipelines run"


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_that_did_not_start_is_named(logstash, name):
    del logstash.pipelines[name]
    found = look(logstash)
    assert (found.state, found.found) == (State.FAILED, f"{name} did not start")
    assert "a variable is not set or a file is missing" in found.remedy


@pytest.mark.parametrize("state", ["TERMINATED", "FINISHED", "UNKNOWN"])
def test_a_pipeline_that_has_ended_is_named_with_its_state(logstash, state):
    logstash.pipelines["dewline-elasticsearch"] = state
    found = look(logstash)
    assert found.state is State.FAILED
    assert found.found == f"dewline-elasticsearch is {state}, red: it is unhealthy"


def test_a_pipeline_that_still_loads_is_a_warning(logstash):
    logstash.pipelines["dewline-dead-letter"] = "LOADING"
    found = look(logstash)
    assert found.state is State.WARNING
    assert "dewline-dead-letter is LOADING" in found.found


def test_a_server_that_is_no_api_and_one_that_is_not_there(logstash):
    assert look(logstash).state is State.OK
    logstash.pipelines = None  # as an older Logstash, without the report
    with pytest.raises(ConfigError, match=r"logstash_api_url: .*answers 404 without a health rep"):
        look(logstash)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ProjectionError, match=r"no answer: .*is Logstash running"):
        NodeApi(f"http://127.0.0.1:{port}").pipelines()
    with pytest.raises(ConfigError, match="logstash_api_url"):
        NodeApi("logstash:9600")


class Lake:
    """A landing, and the documents of its blocks in a real Elasticsearch."""

    def __init__(self, folder, elasticsearch):
        folder.mkdir()
        self.store = FolderStore(folder)
        self.landing = LandingWriter(self.store, "node-1", "1372895999000-0123abcd")
        self.names = IndexNames(f"t{secrets.token_hex(4)}", Period.MONTH)
        self.client = SearchClient(elasticsearch.url)
        install(self.client, self.names)
        self.first = 1

    def land(self, minute, *, utc_at=JULY, arrives=True):
        """A block that is received in a minute of the test."""
        block = Block(
            stream_id="a" * 13, first=self.first, offset_ms=0, utc_at=utc_at, sensors=(air(3),)
        )
        self.first += block.records_total
        received_at = JULY + minute * MINUTE_MS
        self.landing.commit(Lane.LIVE, [landed(block, received_at=received_at)])
        if arrives:
            self.write(block, received_at)
        return block

    def write(self, block, received_at):
        origin = BlockContext(device_id="gw-1", received_at=received_at)
        made = list(documents(origin, block, self.names))
        self.client.ensure_index(made[0].index_name)
        self.client.bulk_create(made)
        self.client.refresh([made[0].index_name])

    def look(self, minute):
        now_ms = JULY + minute * MINUTE_MS
        (found,) = look_at_delivery(self.store, self.client, self.names, now_ms, LIMIT_S)
        return found


@pytest.fixture
def lake(tmp_path, elasticsearch):
    made = Lake(tmp_path / "lake", elasticsearch)
    yield made
    made.client.close()


@pytest.mark.services
def test_readings_that_arrive_and_a_lake_that_is_quiet(lake):
    assert lake.look(0).found == "no reading with a time in the newest landed files"
    lake.land(1)
    found = lake.look(5000)
    assert (found.check, found.state) == ("delivery", State.OK)
    assert found.found == "the newest landed reading is there"


@pytest.mark.services
def test_nothing_arrives_any_more(lake):
    """A quiet lake, and one that still gets blocks: both are seen when the limit is over."""
    lake.land(1)
    lake.land(2, arrives=False)
    assert lake.look(10).state is State.OK
    assert "are missing" in lake.look(10).found
    assert lake.look(18).state is State.FAILED
    for minute in range(3, 17):
        lake.land(minute, arrives=False)
        assert lake.look(minute).state is State.OK
    lake.land(17, arrives=False)
    found = lake.look(17)
    assert (found.state, found.found) == (
        State.FAILED,
        "readings of the last 16 min are missing",
    )
    assert "logstash check" in found.remedy
    assert "search repair" in found.remedy


@pytest.mark.services
def test_a_block_that_came_twice_or_without_a_time_or_unreadable_is_no_alarm(lake):
    block = lake.land(1)
    lake.landing.commit(Lane.LIVE, [landed(block, received_at=JULY + 30 * MINUTE_MS)])
    lake.land(31, utc_at=None, arrives=False)
    lake.landing.commit(Lane.LIVE, [landed(b"?", received_at=JULY + 32 * MINUTE_MS)])
    assert lake.look(5000).found == "the newest landed reading is there"
