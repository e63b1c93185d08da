"""The node answers for real: health, no automatic index, restart, a broken setting."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from deploy.local.elasticsearch import Elasticsearch
from deploy.local.errors import ServerError

pytestmark = pytest.mark.services


def call(server: Elasticsearch, method: str, path: str, body: str = "") -> dict[str, object]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(
        server.url + path, data=body.encode() or None, method=method, headers=headers
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return dict(json.load(response))


@pytest.fixture(scope="module")
def own(stack_base: Path) -> Generator[Elasticsearch]:
    """A node that the tests of this file may stop."""
    server = Elasticsearch.start(stack_base)
    yield server
    server.stop()


def test_it_is_healthy_and_creates_no_index_by_itself(own: Elasticsearch) -> None:
    assert call(own, "GET", "/_cluster/health")["status"] in {"green", "yellow"}
    with pytest.raises(urllib.error.HTTPError, match="404"):
        call(own, "PUT", "/not-made/_doc/1", "{}")


def test_kill_and_restart_keep_port_and_documents(
    own: Elasticsearch, processes_in: Callable[[Path], list[int]]
) -> None:
    call(own, "PUT", "/kept")
    call(own, "PUT", "/kept/_doc/1?refresh=true", '{"n": 7}')
    url, pid = own.url, own.pid
    own.kill()
    assert processes_in(own.base) == []  # the launcher's child, the node itself, is gone too
    own.restart()
    assert call(own, "GET", "/kept/_doc/1")["_source"] == {"n": 7}
    assert (own.url, own.pid != pid) == (url, True)


def test_a_broken_setting_is_told_with_the_nodes_own_words(
    own: Elasticsearch, processes_in: Callable[[Path], list[int]]
) -> None:
    own.stop()
    assert processes_in(own.base) == []
    settings = own.base / "config" / "elasticsearch.yml"
    settings.write_text(settings.read_text() + "no.such.setting: 1\n")
    with pytest.raises(
        ServerError, match=r"(?s)elasticsearch.*unknown setting \[no\.such\.setting\]"
    ):
        own.restart()
    assert processes_in(own.base) == []
