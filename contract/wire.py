"""Encodes blocks as bytes, and decodes them; outbox, MQTT and lake contain the same bytes.

A payload is one byte with the number of the preset dictionary, then the JSON document of
`contract.document` as raw deflate (RFC 1951). The dictionary makes small blocks small. A new
dictionary gets a new number, and the old ones are kept so that old payloads stay readable.
"""

import json
import zlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import NoReturn, TypeVar

from contract.blocks import Block
from contract.document import Header, document_of, parse_document, parse_header
from contract.errors import ContractError
from contract.limits import NEW, Limits, check_structure

__all__ = [
    "DICTIONARY_VERSION",
    "MAX_PAYLOAD_BYTES",
    "decode",
    "decode_header",
    "encode",
    "inflate",
]

T = TypeVar("T")

DICTIONARY_VERSION = 1
MAX_PAYLOAD_BYTES = 200_000  # dewline's brokers accept 262,144 with topic and properties
_DICTIONARIES = (1,)
_SMALL_DOCUMENT_BYTES = 4_096  # memory level 6 buffers so many symbols; the window has 8 kB


@cache
def dictionary(version: int) -> bytes:
    """Returns the preset dictionary with this number."""
    return (files("contract") / "dictionaries" / f"{version}.txt").read_bytes()


def encode(block: Block) -> bytes:
    """Returns the block's payload.

    Raises:
        ContractError: `bad_size` if the payload is larger than `MAX_PAYLOAD_BYTES`; the caller
            must commit smaller blocks.
    """
    document = json.dumps(document_of(block), separators=(",", ":"), allow_nan=False).encode()
    # Allocating zlib's usual 268 kB of state takes longer than compressing a small document. With
    # 64 kB the result is the same, as long as the document fits into window and symbol buffer.
    small = len(document) < _SMALL_DOCUMENT_BYTES
    window, memory = (13, 6) if small else (zlib.MAX_WBITS, 8)
    deflate = zlib.compressobj(
        9, zlib.DEFLATED, -window, memory, zdict=dictionary(DICTIONARY_VERSION)
    )
    payload = bytes((DICTIONARY_VERSION,)) + deflate.compress(document) + deflate.flush()
    if len(payload) > MAX_PAYLOAD_BYTES or len(document) > NEW.document_bytes_of(len(payload)):
        raise ContractError(
            "bad_size", f"the block is too large to send: its payload has {len(payload)} bytes"
        )
    return payload


def inflate(payload: bytes, limits: Limits = NEW) -> bytes:
    """Returns the JSON document inside a payload, as bytes.

    Raises:
        ContractError: `empty`, `bad_size`, `bad_dictionary` or `bad_deflate`.
    """
    _check_payload(payload)
    most = limits.document_bytes_of(len(payload))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS, zdict=dictionary(payload[0]))
    try:
        document = inflater.decompress(payload[1:], most + 1)
    except zlib.error as error:
        raise ContractError("bad_deflate", str(error)) from error
    if len(document) > most:
        raise ContractError("bad_size", f"payload inflates to more than {most} bytes")
    if not inflater.eof:
        raise ContractError("bad_deflate", "payload is cut off")
    if inflater.unused_data:
        raise ContractError(
            "bad_deflate", f"payload has {len(inflater.unused_data)} extra bytes after its end"
        )
    return document


def _check_payload(payload: bytes) -> None:
    if not payload:
        raise ContractError("empty", "the payload has no bytes")
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ContractError(
            "bad_size", f"payload has {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES}"
        )
    if payload[0] not in _DICTIONARIES:
        raise ContractError(
            "bad_dictionary", f"unknown dictionary {payload[0]}; known: {_DICTIONARIES}"
        )


def decode(payload: bytes, limits: Limits = NEW) -> Block:
    """Returns the block in a payload.

    Args:
        payload: The bytes of the message.
        limits: `NEW`, or `STORED` for a block that the lake has accepted.

    Raises:
        ContractError: The code names the broken rule; the cloud quarantines the payload.
    """
    return _read(payload, limits, parse_document)


def decode_header(payload: bytes) -> Header:
    """Returns the header of a block, in a fraction of the time that `decode` takes.

    A payload with a header may still break a rule that only `decode` checks.

    Raises:
        ContractError: The payload has no readable header, or exceeds the limits of new blocks.
    """
    return _read(payload, NEW, parse_header)


def _read(payload: bytes, limits: Limits, parse: Callable[[object, Limits], T]) -> T:
    document = inflate(payload, limits)
    try:
        parsed = _parsed(document)
        check_structure(document, limits)
        return parse(parsed, limits)
    except RecursionError as error:  # raised by the parser, or by repr() for an error message
        raise ContractError("bad_json", "document is nested too deeply") from error


def _parsed(document: bytes) -> object:
    try:  # decoded here: given bytes, json would guess UTF-16 and UTF-32 too
        return _JSON.decode(document.decode("utf-8"))
    except ValueError as error:
        raise ContractError("bad_json", str(error)[:200]) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ContractError("bad_json", f"{name} is not a JSON number")


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)  # json.loads would make one each time
