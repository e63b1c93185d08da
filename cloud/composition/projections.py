"""Opens the projections of the lake, and what runs them."""

from cloud.clock import SystemClock
from cloud.composition.lake import open_lake, open_store
from cloud.composition.servers import open_warehouse
from cloud.config import CloudConfig
from cloud.lake.cursors import CursorStore
from cloud.projections.ledger import LedgerProjection
from cloud.projections.quarantine import Quarantine, QuarantineProjection
from cloud.projections.runner import Projection, ProjectionRunner

__all__ = [
    "open_ledger",
    "open_quarantine",
    "open_quarantine_projection",
    "open_runner",
]


def open_runner(config: CloudConfig, projection: Projection) -> ProjectionRunner:
    """What applies the lake of section `[lake]` to a projection, from its cursor on.

    Raises:
        ConfigError: The section is missing.
    """
    cursors = CursorStore(open_store(config), projection.name)
    return ProjectionRunner(open_lake(config), cursors, projection)


def open_ledger(config: CloudConfig) -> LedgerProjection:
    """The ledger of section `[warehouse]`.

    Raises:
        ConfigError: The section is missing.
        SchemaOutdated: The warehouse has another schema.
        WarehouseError: MySQL did not answer.
    """
    return LedgerProjection(open_warehouse(config))


def open_quarantine(config: CloudConfig, *, current: bool = True) -> Quarantine:
    """The quarantine of section `[warehouse]`; `current` as in `open_warehouse`.

    Raises:
        ConfigError: The section is missing.
        SchemaOutdated: `current`, and the warehouse has another schema.
        WarehouseError: `current`, and MySQL did not answer.
    """
    return Quarantine(open_warehouse(config, current=current), SystemClock())


def open_quarantine_projection(config: CloudConfig) -> QuarantineProjection:
    """What fills the quarantine from the lake; errors as `open_quarantine` has them."""
    return QuarantineProjection(open_quarantine(config))
