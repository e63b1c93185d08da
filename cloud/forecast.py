"""A forecast of the cloud: the one shape of its row, its document and its frame in Spark."""

from dataclasses import dataclass

from cloud.columns import columns_of
from contract.typed import UtcMs

__all__ = ["FORECAST_COLUMNS", "Forecast"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """One row of table `cloud_prediction`.

    Attributes:
        device_id: The device.
        stream_id: Stream of the reading that completed the step.
        seq: Its number.
        condition_id: What is forecast.
        model: Name of the model.
        version: Its version.
        issued_at: When the step completed, ms since 1970 UTC.
        horizon_s: How far ahead, seconds.
        probability: That the condition begins within the horizon.
        late: Whether a reading that it rests on came by the backfill lane.
    """

    device_id: str
    stream_id: str
    seq: int
    condition_id: str
    model: str
    version: str
    issued_at: UtcMs
    horizon_s: int
    probability: float
    late: bool


FORECAST_COLUMNS = columns_of(Forecast)
