"""A batch into the warehouse, kind by kind."""

from typing import Protocol

from pyspark.sql import DataFrame

from cloud.jobs.derive import Batch
from cloud.transforms.kinds import of_kind
from contract.records import Kind

__all__ = ["Loader", "load"]


class Loader(Protocol):
    """What takes rows for good: called twice with the same rows, it has them once."""

    def load(self, kind: Kind, rows: DataFrame, batch_id: str) -> int:
        """Puts rows in the columns of a kind where they belong; how many there were."""
        ...


def load(batch: Batch, loader: Loader) -> None:
    """Every kind of the batch that has rows.

    Raises:
        WarehouseError: Kinds before the failing one are loaded; call again with the same batch.
    """
    for kind in Kind:
        if batch.rows_total((kind,)):
            loader.load(kind, of_kind(batch.rows, kind), batch.batch_id)
