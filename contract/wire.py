"""Encodes blocks as bytes, and decodes them; outbox, MQTT and lake contain the same bytes.

A payload is one byte with the number of the preset dictionary, then the JSON document of
`contract.document` as raw deflate (RFC 1951). The dictionary makes small blocks small. A new
dictionary gets a new number, and the old ones are kept so that old payloads stay readable.
"""

import json
import zlib
from functools import cache
from importlib.resources import files
from typing import NoReturn

from contract.blocks import Block
from contract.document import document_of, parse_document
from contract.errors import ContractError

__all__ = [
    "DICTIONARY_VERSION",
    "MAX_DOCUMENT_BYTES",
    "MAX_PAYLOAD_BYTES",
    "decode",
    "encode",
    "inflate",
]

DICTIONARY_VERSION = 1
MAX_PAYLOAD_BYTES = 200_000  # dewline's brokers accept 262,144 with topic and properties
MAX_DOCUMENT_BYTES = 4_194_304  # limits the inflated document, against zip bombs
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
    if len(payload) > MAX_PAYLOAD_BYTES or len(document) > MAX_DOCUMENT_BYTES:
        raise ContractError(
            "bad_size", f"the block is too large to send: its payload has {len(payload)} bytes"
        )
    return payload


def inflate(payload: bytes) -> bytes:
    """Returns the JSON document inside a payload, as bytes.

    Raises:
        ContractError: `empty`, `bad_size`, `bad_dictionary` or `bad_deflate`.
    """
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
    inflater = zlib.decompressobj(-zlib.MAX_WBITS, zdict=dictionary(payload[0]))
    try:
        document = inflater.decompress(payload[1:], MAX_DOCUMENT_BYTES + 1)
    except zlib.error as error:
        raise ContractError("bad_deflate", str(error)) from error
    if len(document) > MAX_DOCUMENT_BYTES:
        raise ContractError("bad_size", f"payload inflates to more than {MAX_DOCUMENT_BYTES} bytes")
    if not inflater.eof:
        raise ContractError("bad_deflate", "payload is cut off")
    if inflater.unused_data:
        raise ContractError(
            "bad_deflate", f"payload has {len(inflater.unused_data)} extra bytes after its end"
        )
    return document


def decode(payload: bytes) -> Block:
    """Returns the block in a payload.

    Raises:
        ContractError: The code names the broken rule; the cloud quarantines the payload.
    """
    document = inflate(payload)
    try:
        return parse_document(_parsed(document))
    except RecursionError as error:  # raised by the parser, or by repr() for an error message
        raise ContractError("bad_json", "document is nested too deeply") from error


def _parsed(document: bytes) -> object:
    try:  # decoded here: given bytes, json would guess UTF-16 and UTF-32 too
        return json.loads(document.decode("utf-8"), parse_constant=_refuse_constant)
    except ValueError as error:
        raise ContractError("bad_json", str(error)[:200]) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ContractError("bad_json", f"{name} is not a JSON number")
