from collections.abc import Iterable

import numpy as np
import pytest

from cloud.training.history import History
from cloud.warehouse.model_tables import CLOUD_PREDICTIONS, OUTCOMES, TRUTH
from cloud.warehouse.tables import FACTS
from contract.keys import UNSYNCED_DAY, event_day
from contract.records import Kind
from models.conditions import load_conditions
from models.features import FEATURE_NAMES, LAGS

WRITTEN = (OUTCOMES, TRUTH, CLOUD_PREDICTIONS, FACTS[Kind.PREDICTION], FACTS[Kind.ALERT])


class Desk:
    """Puts forecasts and alerts into the warehouse, and makes history of plain rows."""

    NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z
    HOUR = 3_600_000
    condition = load_conditions(
        [
            {
                "id": "damp",
                "signal": "air/humidity",
                "comparison": "above",
                "limit": 70.0,
                "step_s": 3600,
                "max_age_s": 7200,
                "horizon_s": 6 * 3600,
            }
        ],
        "here",
    )[0]

    def __init__(self, engine):
        self.engine = engine
        self._seq = 0

    def at(self, hour):
        return self.NEW_YEAR + round(hour * self.HOUR)

    def clear(self):
        with self.engine.begin() as connection:
            for table in WRITTEN:
                connection.execute(table.delete())

    def _row(self, device_id, issued_at, changed):
        self._seq += 1
        row = {
            "device_id": device_id,
            "stream_id": "a" * 13,
            "seq": self._seq,
            "condition_id": "damp",
            "model": "damp",
            "version": "v1",
            "horizon_s": self.condition.horizon_s,
        }
        return row | changed, issued_at

    def edge(self, device_id, issued_at, probability, **changed):
        row, at = self._row(device_id, issued_at, changed)
        return {
            "event_day": UNSYNCED_DAY if at is None else event_day(at),
            "observed_at": at,
            "offset_ms": 0,
            "received_at": at or self.NEW_YEAR,
            "probability": probability,
            "origin": "edge",
            "mode": "active",
        } | row

    def cloud(self, device_id, issued_at, probability, **changed):
        row, at = self._row(device_id, issued_at, changed)
        return {"issued_at": at, "probability": probability, "late": False} | row

    def alert(self, device_id, at, **changed):
        row, _ = self._row(device_id, at, {})
        return {
            "event_day": event_day(at),
            "observed_at": at,
            "offset_ms": 0,
            "received_at": at,
            "alert_id": f"{row['seq']:016x}",
            "basis": "forecast",
            "state": "raised",
            **{name: row[name] for name in ("device_id", "stream_id", "seq", "condition_id")},
        } | changed

    def put(self, table, rows: Iterable):
        with self.engine.begin() as connection:
            if rows := list(rows):
                connection.execute(table.insert(), rows)

    def edge_forecasts(self, *rows):
        self.put(FACTS[Kind.PREDICTION], rows)

    def cloud_forecasts(self, *rows):
        self.put(CLOUD_PREDICTIONS, rows)

    def alerts(self, *rows):
        self.put(FACTS[Kind.ALERT], rows)

    def rows(self, table):
        with self.engine.connect() as connection:
            found = connection.execute(table.select().order_by(*table.primary_key))
            return [row._asdict() for row in found]

    @staticmethod
    def history(rows):
        """From (device, at, label, holds, full, usable, first feature); the rest is dull."""
        rows = sorted(rows)
        devices, at, labels, holds, full, usable, first = (
            zip(*rows, strict=True) if rows else [()] * 7
        )
        features = np.zeros((len(rows), len(FEATURE_NAMES)))
        features[:, 0] = first
        at_ms, flags = np.array(at, np.int64), np.zeros(len(rows), np.bool_)
        return History(
            devices=np.array(devices, np.object_),
            begins_ms=at_ms - at_ms % Desk.HOUR,
            at_ms=at_ms,
            values=np.full(len(rows), 60.0),
            holds=np.array(holds, np.bool_),
            changed=flags,
            full=np.array(full, np.bool_),
            usable=np.array(usable, np.bool_),
            labels=np.array(labels, np.float64),
            masked=flags,
            fit=~flags,
            features=features,
            grids=np.full((len(rows), 3 * LAGS), np.nan),
        )


@pytest.fixture
def desk(warehouse):
    return Desk(warehouse)
