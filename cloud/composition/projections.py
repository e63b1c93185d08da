"""Builds the projections of the lake, and their runner."""

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
    """Builds the runner that applies the lake of section `[lake]` to a projection.

    Raises:
        ConfigError: The section is missing.
    """
    cursors = CursorStore(open_store(config), projection.name)
    return ProjectionRunner(open_lake(config), cursors, projection)


def open_ledger(config: CloudConfig) -> LedgerProjection:
    """Builds the ledger projection of section `[warehouse]`.

    Raises:
        ConfigError: The section is missing.
        SchemaOutdated: The warehouse has another schema version.
        WarehouseError: MySQL did not answer.
    """
    return LedgerProjection(open_warehouse(config))


def open_quarantine(config: CloudConfig, *, current: bool = True) -> Quarantine:
    """Opens the quarantine of section `[warehouse]`; `current` as in `open_warehouse`.

    Raises:
        ConfigError: The section is missing.
        SchemaOutdated: `current` is set, and the warehouse has another schema version.
        WarehouseError: `current` is set, and MySQL did not answer.
    """
    return Quarantine(open_warehouse(config, current=current), SystemClock())


def open_quarantine_projection(config: CloudConfig) -> QuarantineProjection:
    """Builds the projection that fills the quarantine; same errors as `open_quarantine`."""
    return QuarantineProjection(open_quarantine(config))
