"""Exports payloads from the lake as files, as received, for programs that do not read Parquet.

<out>/<device>/<stream>-<first>-<last>-<digest>.bin
<out>/undecodable/<device>-<digest>.bin
<out>/index.ndjson          one line per landed block, in the order of the lake
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cloud.errors import LakeError
from cloud.lake.positions import Cursor, Lake, LandedBlock
from contract.errors import ContractError
from contract.keys import event_day, payload_digest
from contract.typed import plain
from contract.wire import decode

__all__ = ["ExportFilter", "export"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFilter:
    """Filter of the exported blocks; None for no filter.

    Attributes:
        device_id: Only this device's blocks.
        day: Only blocks whose own time is on this UTC day; undecodable blocks have no time.
    """

    device_id: str | None = None
    day: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    received_at: int
    topic: str
    device: str
    stream: str | None
    first: int | None
    last: int | None
    digest: str
    file: str


def export(lake: Lake, out: Path, wanted: ExportFilter) -> int:
    """Writes the wanted blocks below `out`, a new or empty folder.

    Returns:
        Number of exported blocks; a block that landed twice counts twice and is one file.

    Raises:
        LakeError: The lake cannot be read, or `out` cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise LakeError(f"{out} is not empty: choose a new or empty folder")
        with (out / "index.ndjson").open("w", encoding="utf-8") as index:
            total = 0
            for block in _wanted(lake, wanted):
                line = _line(block)
                target = out / line.file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(block.payload)
                index.write(json.dumps(plain(line), separators=(",", ":")) + "\n")
                total += 1
    except OSError as error:
        raise LakeError(f"{out} cannot be written: {error}") from error
    return total


def _wanted(lake: Lake, wanted: ExportFilter) -> Iterator[LandedBlock]:
    for file in lake.after(Cursor()):
        for block in file.blocks:
            if wanted.device_id not in (None, block.device_id):
                continue
            if wanted.day is None or _day(block) == wanted.day:
                yield block


def _day(block: LandedBlock) -> date | None:
    try:
        return event_day(decode(block.payload, block.limits).utc_at)
    except ContractError:
        return None


def _line(block: LandedBlock) -> _Line:
    digest = payload_digest(block.payload)
    if block.stream_id is None:
        file = f"undecodable/{block.device_id}-{digest}.bin"
    else:
        name = f"{block.stream_id}-{block.first}-{block.last}-{digest}.bin"
        file = f"{block.device_id}/{name}"
    return _Line(
        received_at=block.received_at,
        topic=block.topic,
        device=block.device_id,
        stream=block.stream_id,
        first=block.first,
        last=block.last,
        digest=digest,
        file=file,
    )
