"""Takes PUBLISH packets out of the bytes of an MQTT 5 connection. Pure.

paho needs about twenty calls for each message, which is most of what a small message costs. A cloud
process receives millions of them, and a device that floods the broker makes it read messages only
to refuse them. So these packets are read here, and paho gets all others (MQTT 5.0, section 3.3).
"""

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Publish", "PublishReader", "puback"]

_PUBLISH = 0x30
_PUBACK = b"\x40\x02"  # without reason code: success (section 3.4.2.1)
_QOS_2 = 2
_MORE = 0x80  # of a byte of a variable byte integer: another one follows
_LENGTH_BYTES = 4  # of a packet's remaining length, at most (section 1.5.5)


class Publish(NamedTuple):
    """A received message; a tuple, because it is made millions of times.

    Attributes:
        topic: Topic as received.
        payload: The bytes.
        packet_id: Id that its PUBACK repeats; 0 for QoS 0, which has no PUBACK.
    """

    topic: str
    payload: bytes
    packet_id: int


class PublishReader:
    """Separates the messages of one connection from all other packets."""

    def __init__(self) -> None:
        self._begun = b""  # the begin of a packet whose end has not arrived

    def take(self, received: bytes) -> tuple[list[Publish], bytes]:
        """Returns the messages that are complete now, and all other packets, each in order.

        A packet that cannot be a message of QoS 0 or 1 is among the other ones, because paho ends
        the connection properly. So the bytes after a wrong length are never read as a message.

        Args:
            received: The connection's next bytes, of any length.
        """
        data = self._begun + received if self._begun else received
        found: list[Publish] = []
        others: list[bytes] = []
        at = 0
        while True:
            body, end = _bounds(data, at)
            if end > len(data):
                break
            message = _publish(data, at, body, end)
            if message is None:
                others.append(data[at:end])
            else:
                found.append(message)
            at = end
        self._begun = data[at:]
        return found, b"".join(others)


def puback(packet_ids: Iterable[int]) -> bytes:
    """Returns the PUBACKs of these messages; those of QoS 0 (id 0) have none."""
    return b"".join([_PUBACK + n.to_bytes(2, "big") for n in packet_ids if n])


def _bounds(data: bytes, at: int) -> tuple[int, int]:
    """Returns where a packet's body begins and ends; an end beyond the data if it is not known."""
    length = _variable(data, at + 1, len(data))
    if length is not None:
        return length[1], length[0] + length[1]
    if len(data) > at + _LENGTH_BYTES:  # not a length: paho ends the connection for it
        return at, len(data)
    return at, len(data) + 1


def _variable(data: bytes, at: int, end: int) -> tuple[int, int] | None:
    """Returns a variable byte integer and where it ends; None if it does not end before `end`."""
    if at < end and data[at] < _MORE:  # nearly always
        return data[at], at + 1
    value = 0
    for n, byte in enumerate(data[at : min(at + _LENGTH_BYTES, end)]):
        value += (byte & 0x7F) << 7 * n
        if byte < _MORE:
            return value, at + n + 1
    return None


def _publish(data: bytes, at: int, body: int, end: int) -> Publish | None:
    """Returns the message of a whole packet; None for another packet, or a malformed one."""
    qos = data[at] >> 1 & 0x03
    if data[at] & 0xF0 != _PUBLISH or qos >= _QOS_2:
        return None
    topic_at = body + 2
    id_at = topic_at + int.from_bytes(data[body:topic_at], "big")
    properties_at = id_at + 2 * qos
    properties = _variable(data, properties_at, end)
    if properties is None or properties[0] + properties[1] > end:
        return None
    try:
        topic = data[topic_at:id_at].decode()
    except UnicodeDecodeError:
        return None
    packet_id = int.from_bytes(data[id_at:properties_at], "big")
    payload = data[properties[0] + properties[1] : end]
    return Publish(topic, payload, packet_id) if qos == 0 or packet_id else None
