"""Loads a batch into the warehouse, two kinds in parallel."""

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from pyspark.sql import DataFrame

from cloud.errors import WarehouseError
from cloud.transforms.batch import Batch
from cloud.transforms.kinds import of_kind
from contract.records import Kind

__all__ = ["Loader", "load"]

_AT_ONCE = 2  # a small kind mostly waits, for Spark's planning and for the database's disk


class Loader(Protocol):
    """A store of rows; rows that are loaded twice are stored once."""

    def load(self, kind: Kind, rows: DataFrame, batch_id: str) -> int:
        """Store rows with the columns of a kind; return the number of rows that arrived."""
        ...


def load(batch: Batch, loader: Loader) -> None:
    """Load all kinds of the batch that have rows.

    Raises:
        WarehouseError: Other kinds may be loaded; call again with the same batch.
    """

    def one(kind: Kind) -> None:
        found = loader.load(kind, of_kind(batch.rows, kind), batch.batch_id)
        if found < (wanted := batch.rows_total((kind,))):
            raise WarehouseError(
                f"stg_{kind} had {found} of {wanted} rows: another transform has emptied it. "
                "End one of the two; the next run loads the batch again"
            )

    kinds = [kind for kind in Kind if batch.rows_total((kind,))]
    with ThreadPoolExecutor(_AT_ONCE) as beside:
        list(beside.map(one, kinds))  # raises the first kind's error
