"""Names of indices and aliases: one index per kind and period, one alias per kind.

Built here and nowhere else. The period is that of the event day, so the same record finds the same
index whenever it arrives, and its `_id` can refuse it there.
"""

from dataclasses import dataclass
from datetime import date

from cloud.config import Period
from contract.keys import UNSYNCED_DAY
from contract.records import Kind

__all__ = ["UNSYNCED", "IndexNames"]

UNSYNCED = "unsynced"  # where records wait whose clock was not believable


@dataclass(frozen=True, slots=True)
class IndexNames:
    """The naming scheme of one installation.

    Attributes:
        prefix: First part of every name, such as `dewline`.
        period: Time that one index holds.
    """

    prefix: str
    period: Period

    def alias(self, kind: Kind) -> str:
        """The alias over all indices of a kind."""
        return f"{self.prefix}-{kind.value.replace('_', '-')}"

    def index(self, kind: Kind, day: date) -> str:
        """The index of a record whose event day is `day`."""
        if day == UNSYNCED_DAY:
            return self.unsynced(kind)
        return self._of_period(self.alias(kind), day)

    def unsynced(self, kind: Kind) -> str:
        """The index where records of a kind wait for a ClockFix."""
        return f"{self.alias(kind)}-{UNSYNCED}"

    @property
    def forecasts(self) -> str:
        """The alias over all indices of the cloud's own predictions, which are no records."""
        return f"{self.prefix}-cloud-prediction"

    def forecast(self, day: date) -> str:
        """The index of a prediction of the cloud that was issued for an instant of `day`."""
        return self._of_period(self.forecasts, day)

    def _of_period(self, alias: str, day: date) -> str:
        text = day.isoformat().replace("-", ".")
        return f"{alias}-{text if self.period is Period.DAY else text[:7]}"
