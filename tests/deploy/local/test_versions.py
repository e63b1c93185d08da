"""The servers say which they are."""

import pytest

from deploy.local.servers import Stack
from deploy.local.versions import versions_of

pytestmark = [pytest.mark.broker, pytest.mark.services]


def test_each_server_says_its_version(mosquitto, database, elasticsearch):
    found = versions_of(Stack(mosquitto=mosquitto, database=database, elasticsearch=elasticsearch))
    assert list(found) == ["broker", "database", "search", "spark"]
    for name, product in (
        ("broker", "Mosquitto"),
        ("database", database.product),
        ("search", "Elasticsearch"),
        ("spark", "Spark"),
    ):
        words = found[name].split()
        assert words[0] == product
        assert words[1][0].isdigit()
        assert "." in words[1]
