"""Reads product and version of each server from the running servers."""

import json
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from urllib.request import urlopen

from sqlalchemy import text

from cloud.warehouse.engine import connect, converted
from deploy.local.database_server import DatabaseServer
from deploy.local.elasticsearch import Elasticsearch
from deploy.local.errors import ServerError
from deploy.local.processes import program
from deploy.local.servers import Stack

__all__ = ["versions_of"]

_NUMBER = re.compile(r"\d+(?:\.\d+)+[\w.+~-]*")


def versions_of(stack: Stack) -> Mapping[str, str]:
    """Returns the product and version of each server by its purpose, such as `database`.

    Raises:
        ServerError: A server did not report its version.
        WarehouseError: The database server did not answer.
    """
    return {
        "broker": f"Mosquitto {_printed('mosquitto', '-h')}",
        "database": _database(stack.database),
        "search": f"Elasticsearch {_elasticsearch(stack.elasticsearch)}",
        "spark": f"Spark {version('pyspark')}",
    }


def _database(server: DatabaseServer) -> str:
    engine = connect(server.url)
    with converted(), engine.connect() as connection:
        told = str(connection.scalar(text("SELECT VERSION()")))
    engine.dispose()
    # The local MariaDB reports a changed version to clients, so its program is asked.
    told = _printed(server.daemon, "--version") if "MariaDB" in told else told
    return f"{server.product} {told}"


def _elasticsearch(server: Elasticsearch) -> str:
    address = f"{server.url}/_nodes?filter_path=nodes.*.version"
    with urlopen(address, timeout=10) as answer:  # noqa: S310 - an address of this program
        nodes = json.load(answer)["nodes"]
    return ", ".join(sorted({str(node["version"]) for node in nodes.values()}))


def _printed(name: str, option: str) -> str:
    done = subprocess.run(
        [program(name), option], capture_output=True, text=True, check=False, timeout=10
    )
    found = _NUMBER.search(done.stdout + done.stderr)
    if found is None:
        raise ServerError(f"{name} {option} printed no version; its output: {done.stdout[:200]}")
    return found[0]
