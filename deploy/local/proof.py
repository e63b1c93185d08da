"""Counts the gateways' records in every store, for the demo's result table.

Each store is counted separately: the lake by reading its files, Elasticsearch by its count API, the
warehouse by SQL. An observer of each gateway has counted the produced records.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from cloud.lake.positions import Cursor, Lake
from contract.blocks import entries, kind_of
from contract.errors import ContractError
from contract.records import Kind
from contract.wire import decode

__all__ = ["Counts", "LakeCount", "Line", "count_lake", "lines", "totals"]

Counts = dict[tuple[str, Kind], int]  # (device, kind) to records


@dataclass(frozen=True, slots=True)
class LakeCount:
    """Holds the counts of the lake's files.

    Attributes:
        keys: Distinct keys per device and kind.
        deliveries: Blocks in the files, including repeated ones.
        repeated: Repeated blocks.
        payload_bytes: Payload bytes of the distinct blocks.
        unreadable: Blocks that cannot be decoded.
    """

    keys: Counts
    deliveries: int
    repeated: int
    payload_bytes: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class Line:
    """Holds one line of the table: one kind of record of one gateway.

    Attributes:
        device: The gateway.
        kind: The kind.
        produced: Committed records, counted by the observer.
        sent: Committed records that are no longer in the outbox.
        lake: Distinct keys in the lake.
        search: Documents in Elasticsearch.
        warehouse: Rows in MySQL.
    """

    device: str
    kind: Kind
    produced: int
    sent: int
    lake: int
    search: int
    warehouse: int

    @property
    def empty(self) -> bool:
        """True if no such record was produced or stored."""
        return not any((self.produced, self.lake, self.search, self.warehouse))

    @property
    def lost(self) -> int:
        """Number of produced records that are missing in the store with the fewest."""
        return max(0, self.produced - min(self.lake, self.search, self.warehouse))

    @property
    def doubled(self) -> int:
        """Number of records beyond the produced ones in the store with the most."""
        return max(0, max(self.lake, self.search, self.warehouse) - self.produced)


def count_lake(lake: Lake) -> LakeCount:
    """Counts distinct keys by decoding every payload in the lake's landing files and `raw`."""
    numbers: dict[tuple[str, str, Kind], set[int]] = {}
    seen: set[tuple[str, str, int, int]] = set()
    deliveries = repeated = payload_bytes = unreadable = 0
    for file in lake.after(Cursor()):
        for landed in file.blocks:
            deliveries += 1
            try:
                block = decode(landed.payload)
            except ContractError:
                unreadable += 1
                continue
            name = (landed.device_id, block.stream_id, block.first, block.last)
            if name in seen:
                repeated += 1
                continue
            seen.add(name)
            payload_bytes += len(landed.payload)
            for entry in entries(block):
                key = (landed.device_id, block.stream_id, kind_of(entry.record))
                numbers.setdefault(key, set()).add(entry.seq)
    keys: Counter[tuple[str, Kind]] = Counter()
    for (device, _, kind), found in numbers.items():
        keys[(device, kind)] += len(found)
    return LakeCount(dict(keys), deliveries, repeated, payload_bytes, unreadable)


def lines(
    produced: Counts, queued: Counts, lake: Counts, search: Counts, warehouse: Counts
) -> list[Line]:
    """Returns the table, with a line for every pair of device and kind in any store."""
    names = sorted({*produced, *lake, *search, *warehouse})
    return [
        Line(
            device,
            kind,
            produced.get((device, kind), 0),
            produced.get((device, kind), 0) - queued.get((device, kind), 0),
            lake.get((device, kind), 0),
            search.get((device, kind), 0),
            warehouse.get((device, kind), 0),
        )
        for device, kind in names
    ]


def totals(counts: Counts, kinds: Iterable[Kind] = Kind) -> dict[str, int]:
    """Returns the records of all devices by kind, including kinds without records."""
    return {k.value: sum(n for (_, kind), n in counts.items() if kind is k) for k in kinds}
