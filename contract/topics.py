"""Every MQTT topic, built and parsed here and nowhere else.

    dewline/v1/{device}/up/{alert|live|backfill}   blocks, device to cloud
    dewline/v1/{device}/presence                   retained, last will
    dewline/v1/{device}/down/ack                   what the lake holds, cloud to device
    dewline/v1/{device}/down/desired               desired state, retained

The broker ties a device to its credentials: it writes only its own `up/#` and `presence` and reads
only its own `down/#`. So the device of a block is known from its topic alone.
"""

import re
from enum import StrEnum

from contract.errors import ContractError

__all__ = [
    "Lane",
    "ack_topic",
    "desired_topic",
    "lane_filter",
    "parse_up_topic",
    "presence_topic",
    "up_topic",
]

_ROOT = "dewline/v1"
_UP = re.compile(rf"{_ROOT}/([a-z0-9][a-z0-9-]{{0,62}})/up/(alert|live|backfill)")


class Lane(StrEnum):
    """What goes first when the line is thin, in this order."""

    ALERT = "alert"
    LIVE = "live"
    BACKFILL = "backfill"


def up_topic(device_id: str, lane: Lane) -> str:
    """Where a device publishes a block."""
    return f"{_ROOT}/{device_id}/up/{lane}"


def lane_filter(lane: Lane, group: str = "ingest") -> str:
    """Shared subscription to one lane of every device."""
    return f"$share/{group}/{_ROOT}/+/up/{lane}"


def ack_topic(device_id: str) -> str:
    """Where the cloud tells a device what the lake holds."""
    return f"{_ROOT}/{device_id}/down/ack"


def desired_topic(device_id: str) -> str:
    """Where the cloud keeps what a device should run, retained."""
    return f"{_ROOT}/{device_id}/down/desired"


def presence_topic(device_id: str) -> str:
    """Where a device says that it is connected, retained and last will."""
    return f"{_ROOT}/{device_id}/presence"


def parse_up_topic(topic: str) -> tuple[str, Lane]:
    """Device and lane of an `up` topic.

    Raises:
        ContractError: `bad_topic`; no device can be named, so the message belongs to nobody.
    """
    match = _UP.fullmatch(topic)
    if match is None:
        raise ContractError(
            "bad_topic", f"{topic[:120]!r} is not {_ROOT}/<device>/up/<alert|live|backfill>"
        )
    return match[1], Lane(match[2])
