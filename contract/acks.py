"""The ack: the cloud says which blocks stand in one committed file of the lake.

Idempotent and without state: a lost ack costs one repeated block, never a reading. A block that the
cloud could not read has no numbers to name; it is acked by the digest of its payload.
"""

import json
from dataclasses import dataclass
from typing import Annotated

from contract.errors import ContractError
from contract.records import Span
from contract.typed import Pattern, build, plain

__all__ = ["MAX_ACK_BYTES", "Ack", "decode_ack", "encode_ack"]

MAX_ACK_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """What one committed file holds of one device.

    Attributes:
        spans: Numbers, merged where blocks follow each other.
        digests: `payload_digest` of blocks without readable numbers.
    """

    spans: tuple[Span, ...] = ()
    digests: tuple[Annotated[str, Pattern(r"[0-9a-f]{16}", "16 hexadecimal digits")], ...] = ()


def encode_ack(ack: Ack) -> bytes:
    """The ack as it travels: JSON, UTF-8."""
    return json.dumps(plain(ack), separators=(",", ":"), allow_nan=False).encode()


def decode_ack(payload: bytes) -> Ack:
    """The ack in a message.

    Raises:
        ContractError: `bad_ack`, or `bad_field` with the place; the gateway counts it and waits for
            the next one.
    """
    if len(payload) > MAX_ACK_BYTES:
        raise ContractError("bad_ack", f"{len(payload)} bytes, at most {MAX_ACK_BYTES}")
    try:
        return build(Ack, _parsed(payload), "ack", ignore_unknown=True)
    except RecursionError as error:  # of the parser, or of showing what it found in a message
        raise ContractError("bad_ack", "nested too deeply") from error


def _parsed(payload: bytes) -> object:
    try:
        return json.loads(payload.decode("utf-8"))
    except ValueError as error:
        raise ContractError("bad_ack", f"not JSON: {str(error)[:200]}") from error
