"""Encodes and decodes the ack, by which the cloud names the blocks in one committed lake file.

Acks are idempotent and have no state: a lost ack costs one repeated block, never a reading. A block
whose numbers the cloud cannot read is named by the digest of its payload.
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
    """Acknowledges the blocks of one device in one committed file.

    Attributes:
        spans: Record numbers; spans of consecutive blocks are merged.
        digests: `payload_digest` of each block whose numbers could not be read.
    """

    spans: tuple[Span, ...] = ()
    digests: tuple[Annotated[str, Pattern(r"[0-9a-f]{16}", "16 hexadecimal digits")], ...] = ()


def encode_ack(ack: Ack) -> bytes:
    """Returns the ack as a message: JSON in UTF-8."""
    return json.dumps(plain(ack), separators=(",", ":"), allow_nan=False).encode()


def decode_ack(payload: bytes) -> Ack:
    """Returns the ack in a message.

    Raises:
        ContractError: `bad_ack`, or `bad_field` with the field's path; the gateway counts the error
            and waits for the next ack.
    """
    if len(payload) > MAX_ACK_BYTES:
        raise ContractError("bad_ack", f"ack has {len(payload)} bytes, at most {MAX_ACK_BYTES}")
    try:
        return build(Ack, _parsed(payload), "ack", ignore_unknown=True)
    except RecursionError as error:  # raised by the parser, or by repr() for an error message
        raise ContractError("bad_ack", "ack is nested too deeply") from error


def _parsed(payload: bytes) -> object:
    try:
        return json.loads(payload.decode("utf-8"))
    except ValueError as error:
        raise ContractError("bad_ack", f"ack is not JSON: {str(error)[:200]}") from error
