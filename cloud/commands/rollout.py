"""`dewline-cloud rollout`: publishes what each device should run (its desired state)."""

import argparse
import json
from dataclasses import asdict
from typing import Any

from cloud.commands.arguments import Verbs, add_json, add_noun, add_verb, stop_on_signal
from cloud.commands.printing import print_table
from cloud.composition.servers import broker_settings, open_warehouse
from cloud.config import CloudConfig, need
from cloud.instants import shown_instant
from contract.desired import Desired, decode_desired

__all__ = ["register"]

_HEADINGS = ("device", "counter", "issued", "condition", "model", "version", "bytes", "sha256")


def register(nouns: Verbs) -> None:
    """Adds the noun and its verbs."""
    verbs = add_noun(
        nouns, "rollout", "Publish or show what each device should run (its desired state)."
    )
    about = "Publish the warehouse's desired states as retained messages, until SIGTERM."
    add_verb(verbs, "run", about, "rollout run", _run)
    about = "Show the desired state of each device."
    add_json(add_verb(verbs, "show", about, "rollout show --json", _show))


def _run(_args: argparse.Namespace, config: CloudConfig) -> int:
    # Imported here, so that --help needs no MQTT client.
    from cloud.rollout import DesiredStates, Rollout  # noqa: PLC0415 - see above

    section = need(config.rollout, "rollout", config)
    settings = broker_settings(section, "rollout")
    stop = stop_on_signal()
    Rollout(DesiredStates(open_warehouse(config)), settings, section.poll_s).run(stop)
    return 0


def _show(args: argparse.Namespace, config: CloudConfig) -> int:
    from cloud.rollout import DesiredStates  # noqa: PLC0415 - see above

    rows = DesiredStates(open_warehouse(config)).rows()
    states = [decode_desired(row.payload, _believe) for row in rows]
    if args.json:
        print(json.dumps({"devices": [_table(state) for state in states]}, indent=2))
    else:
        print_table(_HEADINGS, [cells for state in states for cells in _cells(state)])
    return 0


def _believe(_key_id: str, _data: bytes, _signature: bytes) -> None:
    """Accepts any signature: this command only shows the table, and gateways verify it."""


def _table(state: Desired) -> dict[str, Any]:
    return asdict(state) | {"issued_at": shown_instant(state.issued_at)}


def _cells(state: Desired) -> list[list[str | int]]:
    head: list[str | int] = [state.device_id, state.counter, shown_instant(state.issued_at)]
    if not state.bundles:
        return [[*head, "-", "-", "-", 0, "-"]]
    return [
        [*head, b.condition_id, b.model, b.version, b.size_bytes, b.sha256[:12]]
        for b in state.bundles
    ]
