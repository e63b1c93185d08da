"""Defines a forecast of the cloud; its row, document and Spark frame have these columns.

A step is a piece of time, such as 10 minutes, in which a condition is judged once.
"""

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
        seq: Number of that reading.
        condition_id: Condition that is forecast.
        model: Name of the model.
        version: Version of the model.
        issued_at: When the step completed, ms since 1970 UTC.
        horizon_s: Time that the forecast covers, seconds from `issued_at`.
        probability: Probability that the condition becomes true within the horizon.
        late: Whether one of its readings was received on the backfill lane.
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
