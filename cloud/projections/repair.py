"""Writes the documents of some streams again, without the projection's cursor.

Documents can be missing although the cursor has passed them: Logstash ended uncleanly with
documents in its queues, or an index was deleted. The lake still has their records.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cloud.lake.positions import LandedBlock, LandedFile
from cloud.projections.runner import BATCH_BLOCKS, Projection
from cloud.search.verify import StreamComparison

__all__ = ["Stream", "repair", "with_missing"]


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """One stream of a device."""

    device_id: str
    stream_id: str


def with_missing(found: Iterable[StreamComparison]) -> frozenset[Stream]:
    """Returns the streams of which documents are missing.

    A stream with as many documents as records, but other ones, is among them.
    """
    return frozenset(
        Stream(c.of.device_id, c.of.stream_id)
        for c in found
        if not c.equal and c.lake.records >= c.search.records
    )


def repair(projection: Projection, files: Iterable[LandedFile], streams: frozenset[Stream]) -> None:
    """Applies the blocks of these streams again; existing documents do not change.

    Args:
        projection: The search projection.
        files: The whole lake.
        streams: The streams to write.

    Raises:
        DewlineError: The lake or the server failed; you can repeat the call safely.
    """
    for batch in _batches(files, streams):
        projection.apply(batch)


def _batches(
    files: Iterable[LandedFile], streams: frozenset[Stream]
) -> Iterator[Sequence[LandedFile]]:
    batch: list[LandedFile] = []
    held = 0
    for file in files:
        blocks = tuple(block for block in file.blocks if _stream_of(block) in streams)
        if not blocks:
            continue
        batch.append(LandedFile(file.position, blocks))
        held += len(blocks)
        if held >= BATCH_BLOCKS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _stream_of(block: LandedBlock) -> Stream | None:
    return None if block.stream_id is None else Stream(block.device_id, block.stream_id)
