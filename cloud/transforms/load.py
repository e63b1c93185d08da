"""A batch into the warehouse, its kinds side by side."""

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from pyspark.sql import DataFrame

from cloud.transforms.batch import Batch
from cloud.transforms.kinds import of_kind
from contract.records import Kind

__all__ = ["Loader", "load"]

_AT_ONCE = 2  # most of a small kind's time Spark plans and the database waits for its disk


class Loader(Protocol):
    """What takes rows for good: called twice with the same rows, it has them once."""

    def load(self, kind: Kind, rows: DataFrame, batch_id: str) -> int:
        """Puts rows in the columns of a kind where they belong; how many there were."""
        ...


def load(batch: Batch, loader: Loader) -> None:
    """Every kind of the batch that has rows.

    Raises:
        WarehouseError: Other kinds may be loaded; call again with the same batch.
    """

    def one(kind: Kind) -> int:
        return loader.load(kind, of_kind(batch.rows, kind), batch.batch_id)

    kinds = [kind for kind in Kind if batch.rows_total((kind,))]
    with ThreadPoolExecutor(_AT_ONCE) as beside:
        list(beside.map(one, kinds))  # raises what the first one raised
