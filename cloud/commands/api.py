"""`dewline-cloud api`: serves bundles and the health of gateways over HTTP."""

import argparse
from typing import TYPE_CHECKING

from cloud.clock import SystemClock
from cloud.commands.arguments import Verbs, add_noun, add_verb, stop_on_signal
from cloud.composition.servers import open_warehouse
from cloud.config import ApiConfig, CloudConfig, HealthConfig, need

if TYPE_CHECKING:
    from cloud.api.gateways import GatewayHealthEndpoint

__all__ = ["register"]


def register(nouns: Verbs) -> None:
    """Adds the noun and its verbs."""
    verbs = add_noun(nouns, "api", "Serve bundles and the health of gateways over HTTP.")
    about = "Serve the registry's bundles until SIGTERM; print the port and address first."
    add_verb(verbs, "serve", about, "api serve", _serve)


def _serve(_args: argparse.Namespace, config: CloudConfig) -> int:
    # Imported here, so that --help needs no web server.
    from cloud.api.app import make_app  # noqa: PLC0415 - see above
    from cloud.api.server import Listen, run_server  # noqa: PLC0415 - see above

    registry = need(config.registry, "registry", config)
    section = config.api or ApiConfig()
    stop_on_signal()  # ignores the signal that uvicorn raises again at its end
    where = Listen(host=section.host, port=section.port, certificate=section.certificate)

    def tell(port: int) -> None:
        print(f"port {port}\naddress {where.scheme}://{where.host}:{port}", flush=True)

    run_server(make_app(registry.path, _gateways(config)), where, tell)
    return 0


def _gateways(config: CloudConfig) -> "GatewayHealthEndpoint":
    from cloud.api.gateways import GatewayHealthEndpoint  # noqa: PLC0415 - see above
    from cloud.health.gateways import GatewayReader  # noqa: PLC0415 - see above

    limits, reader = config.health or HealthConfig(), None
    if config.warehouse is not None:
        # Not connected yet, so that bundles are served while MySQL is down.
        engine = open_warehouse(config, current=False, answer_s=limits.answer_s)
        reader = GatewayReader(engine)
    return GatewayHealthEndpoint(reader, SystemClock(), limits)
