"""Broker (its data erased), Elasticsearch and MariaDB stopped for a while: everything arrives."""

import time

import pytest

from deploy.local.elasticsearch import Elasticsearch

pytestmark = [pytest.mark.broker, pytest.mark.services]

AWAY_S = 2.0


@pytest.fixture
def elasticsearch(stack_base):
    """One of the test's own: it is stopped."""
    server = Elasticsearch.start(stack_base)
    yield server
    server.stop()


def test_servers_stop_and_come_back_while_data_flows(small_site, wait_until):
    cloud = small_site.cloud
    cloud.start("ingest", "run")
    cloud.start("search", "follow")
    cloud.start("ledger", "follow")
    gateway = small_site.gateway("gw-1")
    gateway.start()
    wait_until(small_site.lake_keys, 30, "first blocks in the lake")
    stack = small_site.stack
    for stop, start in (
        (stack.mosquitto.kill, lambda: stack.mosquitto.restart(erase=True)),
        (stack.elasticsearch.kill, stack.elasticsearch.restart),
        (stack.database.kill, stack.database.restart),
    ):
        stop()
        before = gateway.committed.records
        time.sleep(AWAY_S)  # the outage, at least
        wait_until(
            lambda b=before: gateway.committed.records > b, 20, "a commit while a server is away"
        )
        start()
    cloud.check_alive()
    gateway.stop()

    expected = gateway.committed.records
    wait_until(lambda: _stored(small_site) >= expected, 60, "every committed record in the lake")
    cloud.wait_projected(("search", "ledger"), 90)
    assert _stored(small_site) == expected
    assert small_site.search_equals_lake()
    totals = small_site.ledger()["totals"]
    assert (totals["unexplained"], totals["doubled"], totals["lost"]) == (0, 0, 0)


def _stored(site) -> int:
    return sum(len(numbers) for numbers in site.lake_keys().values())
