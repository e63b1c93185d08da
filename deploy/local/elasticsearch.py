"""Starts Elasticsearch as a private child process: one node, no security, no automatic indices.

Each node has its own files. The distribution is shared and read-only; the set-up provides it.
"""

import http.client
import os
import shutil
from pathlib import Path
from typing import Self

from deploy.local.artifacts import elasticsearch_home
from deploy.local.processes import (
    Launch,
    PrivateServer,
    free_ports,
    hand_over,
    private_folder,
    program,
)

__all__ = ["Elasticsearch"]

_HEAP_MB = 512  # 0.7 GiB resident; with 256 the start is no faster
# For nodes that run for minutes: without the optimising compiler the start takes 8 s of processor
# time instead of 15. The code cache must be set, because its default would then be only 48 MB.
_JVM = (
    *(f"-Xms{_HEAP_MB}m", f"-Xmx{_HEAP_MB}m"),
    *("-XX:TieredStopAtLevel=1", "-XX:ReservedCodeCacheSize=240m"),
)

_CONFIGURATION = """\
cluster.name: dewline-local
path.data: {base}/data
path.logs: {base}/logs
network.host: 127.0.0.1
http.port: {port}
transport.port: {transport_port}
discovery.type: single-node
xpack.security.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
action.auto_create_index: false
"""


class Elasticsearch(PrivateServer):
    """Runs a private node on 127.0.0.1; see `start`."""

    @property
    def url(self) -> str:
        """Address for clients."""
        return f"http://127.0.0.1:{self.port}"

    @classmethod
    def launch(cls, base: Path) -> Self:
        """Starts a node in a new folder below `base` without waiting; call `wait_ready` next.

        Raises:
            ConfigError: The distribution is not on this machine.
        """
        home = elasticsearch_home()
        folder = private_folder(base, "elasticsearch")
        port, transport_port = free_ports(2)
        _write_files(folder, home, port, transport_port)
        server = cls(
            Launch(
                name="elasticsearch",
                command=(program("bash"), str(home / "bin" / "elasticsearch")),
                folder=folder,
                logs=(folder / "logs" / "dewline-local.log",),
                answers=lambda: _answers(port),
                environment=_environment(folder),
                ready_limit_s=120,
            ),
            port,
        )
        server.spawn()
        return server

    @classmethod
    def start(cls, base: Path) -> Self:
        """Starts a node without any index, and waits until it answers.

        Raises:
            ServerError: The node did not start.
        """
        server = cls.launch(base)
        server.wait_ready()
        return server


def _write_files(folder: Path, home: Path, port: int, transport_port: int) -> None:
    shutil.copytree(home / "config", folder / "config")
    (folder / "tmp").mkdir()
    (folder / "logs").mkdir()
    text = _CONFIGURATION.format(base=folder, port=port, transport_port=transport_port)
    (folder / "config" / "elasticsearch.yml").write_text(text, encoding="utf-8")
    options = folder / "config" / "jvm.options.d"
    options.mkdir(exist_ok=True)
    (options / "local.options").write_text(
        "".join(f"{option}\n" for option in _JVM), encoding="ascii"
    )
    hand_over(folder)


def _environment(folder: Path) -> dict[str, str]:
    java = Path(program("java")).resolve()
    return {
        "ES_JAVA_HOME": os.environ.get("JAVA_HOME", str(java.parent.parent)),
        "ES_PATH_CONF": str(folder / "config"),
        "ES_TMPDIR": str(folder / "tmp"),
        "HOME": str(folder),
    }


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/_cluster/health?wait_for_status=yellow&timeout=2s")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
