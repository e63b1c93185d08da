"""Writes the spans of unfit readings to the warehouse."""

from sqlalchemy import Engine

from cloud.monitoring.row_differences import every_row, make_exact, read_rows
from cloud.quality.verdicts import Verdicts
from cloud.warehouse.engine import converted
from cloud.warehouse.model_tables import QUALITY_SPANS

__all__ = ["write_spans"]


def write_spans(engine: Engine, verdicts: Verdicts) -> int:
    """Replace all spans in one transaction; write only the differences.

    Late readings may move, end or remove a span.

    Returns:
        Number of spans written or deleted; 0 if nothing differed.

    Raises:
        SchemaOutdated: The table is missing.
        WarehouseError: Nothing was changed.
    """
    wanted = {
        (
            one.device_id,
            one.span.signal.sensor_id,
            one.span.signal.quantity.value,
            one.span.fault.value,
            one.span.begin_ms,
        ): (one.span.end_ms, one.span.known_ms, one.span.figure)
        for one in verdicts.spans
    }
    query = every_row(QUALITY_SPANS)
    with converted(), engine.begin() as connection:
        return make_exact(
            connection, QUALITY_SPANS, read_rows(connection, QUALITY_SPANS, query), wanted
        )
