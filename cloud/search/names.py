"""Makes the names of indices and aliases: one index per kind and period, one alias per kind.

The period is that of the event day. So a record goes to the same index whenever it arrives, and
its `_id` there prevents a second copy. Rollover by size cannot do this: a record that arrives again
after a rollover would go to the next index.

Readings and forecasts are many, so the configuration chooses their period. All other kinds are few,
so they have one index a year. An index is named after its first day or month.
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
        period: Time span of one index of readings or forecasts.
        existing: Indices that exist. An older release made an index of every kind for each day or
            month. Records of such a day or month still go to this index, so none is stored twice.
    """

    prefix: str
    period: Period
    existing: frozenset[str] = frozenset()

    def alias(self, kind: Kind) -> str:
        """Returns the alias over all indices of a kind."""
        return f"{self.prefix}-{kind.value.replace('_', '-')}"

    def index(self, kind: Kind, day: date) -> str:
        """Returns the index of a record whose event day is `day`."""
        if day == UNSYNCED_DAY:
            return self.unsynced(kind)
        first = day if kind is Kind.READING else day.replace(month=1, day=1)
        period = self.period if kind is Kind.READING else Period.MONTH
        return self._older(self.alias(kind), day) or _named(self.alias(kind), first, period)

    def unsynced(self, kind: Kind) -> str:
        """Returns the index where records of a kind wait for a ClockFix."""
        return f"{self.alias(kind)}-{UNSYNCED}"

    @property
    def every(self) -> str:
        """The pattern of the names of all indices."""
        return f"{self.prefix}-*"

    @property
    def forecasts(self) -> str:
        """The alias over all indices of the cloud's own forecasts, which are not records."""
        return f"{self.prefix}-cloud-prediction"

    def forecast(self, day: date) -> str:
        """Returns the index of a cloud forecast that was issued for an instant of `day`."""
        return self._older(self.forecasts, day) or _named(self.forecasts, day, self.period)

    def _older(self, alias: str, day: date) -> str | None:
        """Returns the existing index of exactly this day or month; None if there is none."""
        names = (_named(alias, day, period) for period in Period)
        return next((name for name in names if name in self.existing), None)


def _named(alias: str, day: date, period: Period) -> str:
    text = day.isoformat().replace("-", ".")
    return f"{alias}-{text if period is Period.DAY else text[:7]}"
