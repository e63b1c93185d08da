"""Writes and reads landing files: one Parquet file for each commit of ingest.

    landing/<hour>/<node>/<start-id>/<lane>/<n>.parquet

The hour is the UTC hour in which the first block was received; it only keeps folders small. This
module defines the file's format and the numbering of a sequence.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from cloud.errors import LakeError, LakeExists
from cloud.lake.positions import FileSequence, LandedBlock, LandedFile, Position
from cloud.lake.store import Store
from contract.topics import Lane

__all__ = [
    "HOUR_MS",
    "PREFIX",
    "LandingWriter",
    "hour_at",
    "parse_path",
    "path_of",
    "read_file",
    "start_id",
]

PREFIX = "landing/"
HOUR_MS = 3_600_000

_PATH = re.compile(
    r"landing/(\d{8}t\d\d)/([a-z0-9][a-z0-9-]{0,62})/(\d{13}-[0-9a-f]{8})"
    r"/(alert|live|backfill)/(\d{9,})\.parquet"
)
_SCHEMA = pa.schema(
    [
        pa.field("received_at", pa.timestamp("ms", "UTC"), nullable=False),
        pa.field("topic", pa.string(), nullable=False),
        pa.field("device_id", pa.string(), nullable=False),
        pa.field("stream_id", pa.string()),
        pa.field("first_seq", pa.int64()),
        pa.field("last_seq", pa.int64()),
        pa.field("payload", pa.binary(), nullable=False),
    ]
)


def start_id(now_ms: int) -> str:
    """Makes the id of a start of an ingest process: `<ms since 1970>-<8 random hex digits>`."""
    return f"{now_ms:013d}-{secrets.token_hex(4)}"


def path_of(position: Position, received_at: int) -> str:
    """Returns the path of a file; `received_at` is that of its first block, ms since 1970 UTC."""
    hour = datetime.fromtimestamp(received_at // 1000, tz=UTC).strftime("%Y%m%dt%H")
    sequence = position.sequence
    return (
        f"{PREFIX}{hour}/{sequence.node}/{sequence.start_id}/{sequence.lane}"
        f"/{position.n:09d}.parquet"
    )


def parse_path(path: str) -> Position | None:
    """Returns the position in a landing path; None if it is not the path of a landing file."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    return Position(FileSequence(match[2], match[3], Lane(match[4])), int(match[5]))


def hour_at(path: str) -> int:
    """Returns the begin of the hour in a landing file's path, ms since 1970 UTC."""
    hour = datetime.strptime(path.split("/")[1], "%Y%m%dt%H").replace(tzinfo=UTC)
    return int(hour.timestamp()) * 1000


def landed_paths(store: Store) -> dict[FileSequence, dict[int, str]]:
    """Returns the paths of all landing files, by sequence and number."""
    paths: dict[FileSequence, dict[int, str]] = {}
    for path in store.list(PREFIX):
        position = parse_path(path)
        if position is not None:
            paths.setdefault(position.sequence, {})[position.n] = path
    return paths


def read_file(store: Store, path: str) -> LandedFile:
    """Reads the landing file at `path`.

    Raises:
        LakeMissing: The file does not exist; the fold may have moved it to `raw`.
        LakeError: The store failed, or the file is damaged.
    """
    position = parse_path(path)
    if position is None:
        raise LakeError(f"{path} is not the path of a landing file")
    return LandedFile(position, _parse(store.read(path), path))


@dataclass(frozen=True, slots=True)
class _Attempt:
    blocks: tuple[LandedBlock, ...]
    position: Position
    path: str
    data: bytes


class LandingWriter:
    """Commits blocks of one start of an ingest process, with one sequence per lane.

    A lane has one commit at a time; different threads may use different lanes. Number n+1 is
    written only after n is known to exist.

    Args:
        store: The lake's store.
        node: Name of the node.
        start: Id of the start.
        committed: Number of files that the sequences of an earlier process have already, by lane.
    """

    def __init__(
        self, store: Store, node: str, start: str, committed: Mapping[Lane, int] | None = None
    ) -> None:
        self._store = store
        self._sequences = {lane: FileSequence(node, start, lane) for lane in Lane}
        self._committed = dict.fromkeys(Lane, 0) | dict(committed or {})
        self._unsure: dict[Lane, _Attempt] = {}

    def commit(self, lane: Lane, blocks: Sequence[LandedBlock]) -> Position:
        """Writes one file; on return the file is durable, and its blocks may be acked.

        After a LakeError the file may exist or not: call again with the same blocks.

        Raises:
            LakeError: The store failed.
            LakeExists: Another process writes with the same node and start id.
        """
        attempt = self._unsure.get(lane) or self._attempt(lane, tuple(blocks))
        if attempt.blocks != tuple(blocks):
            raise ValueError(f"{attempt.path} may exist or not: commit its blocks again first")
        self._unsure[lane] = attempt
        try:
            self._store.create(attempt.path, attempt.data)
        except LakeExists:
            if self._store.read(attempt.path) != attempt.data:
                raise
        del self._unsure[lane]
        self._committed[lane] = attempt.position.n
        return attempt.position

    def _attempt(self, lane: Lane, blocks: tuple[LandedBlock, ...]) -> _Attempt:
        if not blocks:
            raise ValueError("a landing file holds at least one block")
        position = Position(self._sequences[lane], self._committed[lane] + 1)
        path = path_of(position, blocks[0].received_at)
        return _Attempt(blocks, position, path, _serialise(blocks))


def _serialise(blocks: Sequence[LandedBlock]) -> bytes:
    columns = [
        pa.array([b.received_at for b in blocks], pa.timestamp("ms", "UTC")),
        [b.topic for b in blocks],
        [b.device_id for b in blocks],
        [b.stream_id for b in blocks],
        [b.first for b in blocks],
        [b.last for b in blocks],
        [b.payload for b in blocks],
    ]
    sink = pa.BufferOutputStream()
    # zstd helps although payloads are deflated, because blocks of one gateway are similar (500
    # blocks of 8 readings: 59 kB without, 18 kB with zstd, 2 us per block). Files are always read
    # whole, so statistics are not needed.
    pq.write_table(
        pa.table(columns, schema=_SCHEMA),
        sink,
        compression="zstd",
        use_dictionary=["topic", "device_id", "stream_id"],
        write_statistics=False,
        write_page_checksum=True,
    )
    return bytes(sink.getvalue())


def _parse(data: bytes, path: str) -> tuple[LandedBlock, ...]:
    try:
        table = pq.read_table(
            pa.BufferReader(data),
            schema=_SCHEMA,
            page_checksum_verification=True,
            use_threads=False,
        )
    except (pa.ArrowException, OSError) as error:
        raise LakeError(f"{path} is damaged: {error}") from error
    columns = [table.column(0).cast(pa.int64()), *table.columns[1:]]
    return tuple(
        LandedBlock(
            received_at=received_at,
            topic=topic,
            device_id=device_id,
            stream_id=stream_id,
            first=first,
            last=last,
            payload=payload,
        )
        for received_at, topic, device_id, stream_id, first, last, payload in zip(
            *(column.to_pylist() for column in columns), strict=True
        )
    )
