"""The closing table: what the gateways made, counted again in every store.

Nothing is carried along: the lake's keys come from its files, the documents from Elasticsearch's
own counts, the rows from SQL. `produced` is what an observer beside each gateway counted.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from cloud.lake.landed import Cursor, Lake
from contract.blocks import entries, kind_of
from contract.errors import ContractError
from contract.records import Kind
from contract.wire import decode

__all__ = ["Counts", "LakeCount", "Line", "count_lake", "lines", "totals"]

Counts = dict[tuple[str, Kind], int]  # (device, kind) to records


@dataclass(frozen=True, slots=True)
class LakeCount:
    """What the lake's files hold.

    Attributes:
        keys: Distinct keys per device and kind.
        deliveries: Blocks in the files, repeated ones included.
        repeated: Blocks that came more than once.
        payload_bytes: Payload bytes of the distinct blocks.
        unreadable: Blocks that no decoder of today reads.
    """

    keys: Counts
    deliveries: int
    repeated: int
    payload_bytes: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: one kind of record of one gateway.

    Attributes:
        device: The gateway.
        kind: The kind.
        produced: Committed, as counted by the observer.
        sent: Committed and no longer in the outbox.
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
        """Whether nobody made or holds any."""
        return not any((self.produced, self.lake, self.search, self.warehouse))

    @property
    def lost(self) -> int:
        """How many of the produced are missing in the store that lacks most."""
        return max(0, self.produced - min(self.lake, self.search, self.warehouse))

    @property
    def doubled(self) -> int:
        """How many more than produced stand in the store that has most."""
        return max(0, max(self.lake, self.search, self.warehouse) - self.produced)


def count_lake(lake: Lake) -> LakeCount:
    """Counts distinct keys by decoding every payload of the lake, landing and `raw`."""
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
    """Returns the table; every pair of device and kind that any store knows has a line."""
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
    """Returns records per kind over all devices; every kind is named, also one without any."""
    return {k.value: sum(n for (_, kind), n in counts.items() if kind is k) for k in kinds}
