"""`dewline-cloud api`: hands bundles to gateways over HTTP."""

import argparse

from cloud.commands.arguments import Verbs, add_noun, add_verb, stop_on_signal
from cloud.config import ApiConfig, CloudConfig, need

__all__ = ["register"]


def register(nouns: Verbs) -> None:
    """Adds the noun and its verbs."""
    verbs = add_noun(nouns, "api", "Bundles for gateways, over HTTP.")
    about = "Hand out the registry's bundles; prints its port, serves until SIGTERM."
    add_verb(verbs, "serve", about, "api serve", _serve)


def _serve(_args: argparse.Namespace, config: CloudConfig) -> int:
    # here and not above: the help does without a web server
    from cloud.api.app import make_app  # noqa: PLC0415 - see above
    from cloud.api.server import run_server  # noqa: PLC0415 - see above

    registry = need(config.registry, "registry", config)
    section = config.api or ApiConfig()
    stop_on_signal()  # the server passes signals on once it has ended: nothing more shall happen
    run_server(make_app(registry.path), section.host, section.port, _tell)
    return 0


def _tell(port: int) -> None:
    print(f"port {port}", flush=True)
