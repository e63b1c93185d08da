"""Blocks as bytes: what the outbox stores, MQTT carries and the lake keeps, encoded once.

One byte that names the preset dictionary, then raw deflate (RFC 1951) of the JSON document that
`contract.document` describes. The dictionary makes small blocks small; a new one gets a new number
and the old ones stay readable for ever.
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
MAX_PAYLOAD_BYTES = 200_000  # the brokers of dewline take 262,144 with topic and properties
MAX_DOCUMENT_BYTES = 4_194_304  # of the inflated document: refuses zip bombs
_DICTIONARIES = (1,)
_SMALL_DOCUMENT_BYTES = 4_096  # symbols that memory level 6 buffers; 8 kB of window hold it too


@cache
def dictionary(version: int) -> bytes:
    """The preset dictionary of that number."""
    return (files("contract") / "dictionaries" / f"{version}.txt").read_bytes()


def encode(block: Block) -> bytes:
    """The block's payload.

    Raises:
        ContractError: `bad_size` if it would be larger than `MAX_PAYLOAD_BYTES`; the caller
            commits smaller blocks.
    """
    document = json.dumps(document_of(block), separators=(",", ":"), allow_nan=False).encode()
    # zlib's usual 268 kB of state cost more to allocate than a small document to compress. With
    # 64 kB the bytes are the same as long as window and symbol buffer are not outgrown.
    small = len(document) < _SMALL_DOCUMENT_BYTES
    window, memory = (13, 6) if small else (zlib.MAX_WBITS, 8)
    deflate = zlib.compressobj(
        9, zlib.DEFLATED, -window, memory, zdict=dictionary(DICTIONARY_VERSION)
    )
    payload = bytes((DICTIONARY_VERSION,)) + deflate.compress(document) + deflate.flush()
    if len(payload) > MAX_PAYLOAD_BYTES or len(document) > MAX_DOCUMENT_BYTES:
        raise ContractError("bad_size", f"a block of {len(payload)} bytes is too large to send")
    return payload


def inflate(payload: bytes) -> bytes:
    """The JSON document inside a payload, as bytes.

    Raises:
        ContractError: `empty`, `bad_size`, `bad_dictionary` or `bad_deflate`.
    """
    if not payload:
        raise ContractError("empty", "the payload has no bytes")
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ContractError("bad_size", f"{len(payload)} bytes, at most {MAX_PAYLOAD_BYTES}")
    if payload[0] not in _DICTIONARIES:
        raise ContractError(
            "bad_dictionary", f"dictionary {payload[0]}; this program knows {_DICTIONARIES}"
        )
    inflater = zlib.decompressobj(-zlib.MAX_WBITS, zdict=dictionary(payload[0]))
    try:
        document = inflater.decompress(payload[1:], MAX_DOCUMENT_BYTES + 1)
    except zlib.error as error:
        raise ContractError("bad_deflate", str(error)) from error
    if len(document) > MAX_DOCUMENT_BYTES:
        raise ContractError("bad_size", f"inflates to more than {MAX_DOCUMENT_BYTES} bytes")
    if not inflater.eof:
        raise ContractError("bad_deflate", "the payload is cut off")
    if inflater.unused_data:
        raise ContractError("bad_deflate", f"{len(inflater.unused_data)} bytes after the end")
    return document


def decode(payload: bytes) -> Block:
    """The block in a payload.

    Raises:
        ContractError: With the code of the broken rule; the cloud quarantines the payload.
    """
    document = inflate(payload)
    try:
        return parse_document(_parsed(document))
    except RecursionError as error:  # of the parser, or of showing what it found in a message
        raise ContractError("bad_json", "nested too deeply") from error


def _parsed(document: bytes) -> object:
    try:  # of bytes, json would guess UTF-16 and UTF-32 too
        return json.loads(document.decode("utf-8"), parse_constant=_refuse_constant)
    except ValueError as error:
        raise ContractError("bad_json", str(error)[:200]) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ContractError("bad_json", f"{name} is no number of JSON")
