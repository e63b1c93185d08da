"""Lists the reason codes of MQTT 5 (section 2.4) that gateways and cloud react to.

A broker answers CONNECT, SUBSCRIBE and PUBLISH with one byte. Values from 0x80 on are failures.
"""

from enum import IntEnum

__all__ = ["Reason", "is_lasting"]


class Reason(IntEnum):
    """Names the codes as the standard does."""

    NO_MATCHING_SUBSCRIBERS = 0x10
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    BANNED = 0x8A
    BAD_AUTHENTICATION_METHOD = 0x8C
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_TOO_LARGE = 0x95
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    SERVER_MOVED = 0x9D


def is_lasting(code: int) -> bool:
    """Returns whether a refusal lasts until the operator changes something."""
    return code in _LASTING


_LASTING = frozenset(Reason) - {Reason.NO_MATCHING_SUBSCRIBERS, Reason.SESSION_TAKEN_OVER}
