"""`dewline-cloud api`: serves bundles and the health of gateways over HTTP."""

import argparse
import logging
from typing import TYPE_CHECKING

from cloud.clock import SystemClock
from cloud.commands.arguments import Verbs, add_noun, add_verb, stop_on_signal
from cloud.composition.servers import open_warehouse
from cloud.config import ApiConfig, CloudConfig, HealthConfig, need
from contract.errors import ConfigError

if TYPE_CHECKING:
    from cloud.api.access import Access
    from cloud.api.certificates import ServerTls
    from cloud.api.gateways import GatewayHealthEndpoint

__all__ = ["register"]

_log = logging.getLogger(__name__)


def register(nouns: Verbs) -> None:
    """Adds the noun and its verbs."""
    verbs = add_noun(nouns, "api", "Serve bundles and the health of gateways over HTTP.")
    about = "Serve the registry's bundles until SIGTERM; print the port and address first."
    add_verb(verbs, "serve", about, "api serve", _serve)


def _serve(_args: argparse.Namespace, config: CloudConfig) -> int:
    # Imported here, so that --help needs no web server.
    from cloud.api.admission import Limits  # noqa: PLC0415 - see above
    from cloud.api.app import make_app  # noqa: PLC0415 - see above
    from cloud.api.guard import Guard  # noqa: PLC0415 - see above
    from cloud.api.server import Listen, run_server  # noqa: PLC0415 - see above

    registry = need(config.registry, "registry", config)
    section = config.api or ApiConfig()
    names = ("connections", "connections_per_address", "request_s", "transfer_s")
    limits = Limits(**{name: getattr(section, name) for name in names})
    access, tls = _access(section, config.source), _tls(section)
    stop_on_signal()  # ignores the signal that uvicorn raises again at its end
    where = Listen(host=section.host, port=section.port, limits=limits, tls=tls)

    def tell(port: int) -> None:
        print(f"port {port}\naddress {where.scheme}://{where.host}:{port}", flush=True)

    app = make_app(registry.path, _gateways(config))
    run_server(Guard(app, access, section.requests_per_client), where, tell)
    return 0


def _access(section: ApiConfig, source: str) -> "Access":
    from cloud.api.access import Access, read_tokens  # noqa: PLC0415 - see above

    certificates = section.devices is not None or section.services is not None
    tokens = read_tokens(section.token_file, "token_file")
    bundles_tokens = read_tokens(section.bundles_token_file, "bundles_token_file")
    if not (certificates or tokens or bundles_tokens or section.anonymous_bundles):
        raise ConfigError(
            f"{source}: [api]: nobody could read bundles. Set devices_ca_file and "
            "devices_crl_file (ca.pem and crl.pem of the authority), or token_file; see "
            "docs/cloud.md, HTTP API"
        )
    if section.anonymous_bundles:
        _log.warning(
            "api: everybody may read bundles ([api] anonymous_bundles). Remove the key when all "
            "gateways are updated"
        )
    return Access(tokens, bundles_tokens, anonymous_bundles=section.anonymous_bundles)


def _tls(section: ApiConfig) -> "ServerTls | None":
    from cloud.api.certificates import ServerTls, TlsPaths  # noqa: PLC0415 - see above

    if section.certificate is None:
        return None
    certificate, key = section.certificate
    devices, services = section.devices, section.services
    return ServerTls(TlsPaths(certificate=certificate, key=key, devices=devices, services=services))


def _gateways(config: CloudConfig) -> "GatewayHealthEndpoint":
    from cloud.api.gateways import GatewayHealthEndpoint  # noqa: PLC0415 - see above
    from cloud.health.gateways import GatewayReader  # noqa: PLC0415 - see above

    limits, reader = config.health or HealthConfig(), None
    if config.warehouse is not None:
        # Not connected yet, so that bundles are served while MySQL is down.
        engine = open_warehouse(config, current=False, answer_s=limits.answer_s)
        reader = GatewayReader(engine)
    return GatewayHealthEndpoint(reader, SystemClock(), limits)
