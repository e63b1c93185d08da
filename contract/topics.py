"""Builds and parses every MQTT topic; no other module does.

    dewline/v1/{device}/up/{alert|live|backfill}   blocks, device to cloud
    dewline/v1/{device}/presence                   connected or not; retained, last will
    dewline/v1/{device}/down/ack                   acks, cloud to device
    dewline/v1/{device}/down/desired               desired state, cloud to device; retained

The broker identifies a device by its credentials. It lets the device write only its own `up` topics
and `presence` and read only its own `down/#`. So the topic alone identifies the device of a block.
"""

import re
from enum import StrEnum

from contract.errors import ContractError

__all__ = [
    "Lane",
    "ack_topic",
    "desired_topic",
    "device_of",
    "lane_filter",
    "parse_up_topic",
    "presence_topic",
    "up_topic",
]

_ROOT = "dewline/v1"
_UP = re.compile(rf"{_ROOT}/([a-z0-9][a-z0-9-]{{0,62}})/up/(alert|live|backfill)")


class Lane(StrEnum):
    """Names the lanes of blocks, highest priority first."""

    ALERT = "alert"
    LIVE = "live"
    BACKFILL = "backfill"


def up_topic(device_id: str, lane: Lane) -> str:
    """Returns the topic to which a device publishes the blocks of a lane."""
    return f"{_ROOT}/{device_id}/up/{lane}"


def lane_filter(lane: Lane, group: str) -> str:
    """Returns the filter of a shared subscription to one lane of every device."""
    return f"$share/{group}/{_ROOT}/+/up/{lane}"


def ack_topic(device_id: str) -> str:
    """Returns the topic to which the cloud publishes a device's acks."""
    return f"{_ROOT}/{device_id}/down/ack"


def desired_topic(device_id: str) -> str:
    """Returns the topic on which the cloud retains a device's desired state."""
    return f"{_ROOT}/{device_id}/down/desired"


def presence_topic(device_id: str) -> str:
    """Returns the topic of a device's presence message: retained, and its last will."""
    return f"{_ROOT}/{device_id}/presence"


def device_of(topic: str) -> str:
    """Returns the device of an `up` topic; "" for any other topic."""
    match = _UP.fullmatch(topic)
    return "" if match is None else match[1]


def parse_up_topic(topic: str) -> tuple[str, Lane]:
    """Returns the device and the lane of an `up` topic.

    Raises:
        ContractError: `bad_topic`; the message cannot be assigned to a device.
    """
    match = _UP.fullmatch(topic)
    if match is None:
        raise ContractError(
            "bad_topic", f"{topic[:120]!r} is not {_ROOT}/<device>/up/<alert|live|backfill>"
        )
    return match[1], Lane(match[2])
