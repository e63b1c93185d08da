"""Makes the names of indices and aliases: one index per kind and period, one alias per kind.

The period is that of the event day. So a record goes to the same index whenever it arrives, and
its `_id` there prevents a second copy.
"""

from dataclasses import dataclass
from datetime import date

from cloud.config import Period
from contract.keys import UNSYNCED_DAY
from contract.records import Kind

__all__ = ["UNSYNCED", "IndexNames"]

UNSYNCED = "unsynced"  # index of records that were measured without a valid clock


@dataclass(frozen=True, slots=True)
class IndexNames:
    """The naming scheme of one installation.

    Attributes:
        prefix: First part of every name, such as `dewline`.
        period: Time span of one index.
    """

    prefix: str
    period: Period

    def alias(self, kind: Kind) -> str:
        """Returns the alias over all indices of a kind."""
        return f"{self.prefix}-{kind.value.replace('_', '-')}"

    def index(self, kind: Kind, day: date) -> str:
        """Returns the index of a record whose event day is `day`."""
        if day == UNSYNCED_DAY:
            return self.unsynced(kind)
        return self._of_period(self.alias(kind), day)

    def unsynced(self, kind: Kind) -> str:
        """Returns the index where records of a kind wait for a ClockFix."""
        return f"{self.alias(kind)}-{UNSYNCED}"

    @property
    def forecasts(self) -> str:
        """The alias over all indices of the cloud's own forecasts, which are not records."""
        return f"{self.prefix}-cloud-prediction"

    def forecast(self, day: date) -> str:
        """Returns the index of a cloud forecast that was issued for an instant of `day`."""
        return self._of_period(self.forecasts, day)

    def _of_period(self, alias: str, day: date) -> str:
        text = day.isoformat().replace("-", ".")
        return f"{alias}-{text if self.period is Period.DAY else text[:7]}"
