"""The models in use: which bundle answers for each condition, and what became of the others.

At the start the current slots are loaded; where that fails the previous one, then the rule goes on
alone. New bundles are taken at a moment that the sense loop chooses, loaded first and swapped in
then, so that no slot ever names what this process cannot load. A model that fails to answer is
never asked again before the next start: the previous one takes over, or none.

All that happens is told as ModelReports. How a bundle becomes something to ask is the caller's
`load`: nothing here needs numpy. Used by the sense loop alone.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contract.records import ModelReport
from edge.bundles.slots import Slots
from edge.bundles.updates import Refused, Staged
from edge.errors import UpdateError
from edge.forecasting.forecasts import Answer
from edge.forecasting.window import Window
from models.conditions import Condition
from models.errors import ModelError

__all__ = ["Load", "Loaded", "ModelsInUse", "Unusable"]

log = logging.getLogger(__name__)

_REASON_CHARACTERS = 200  # what a ModelReport takes


class Loaded(Protocol):
    """A bundle that answers, as `edge.forecasting.forecaster.Forecaster` does."""

    model: str
    version: str

    def probability(self, window: Window, at_ms: int) -> float | None:
        """The probability at an instant; None if the window lacks something; ModelError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A bundle that cannot be loaded.

    Attributes:
        model: Its name, as far as it could be read.
        version: Its version, likewise.
        reason: Why, for a person.
    """

    model: str
    version: str
    reason: str


Load = Callable[[Path, Condition], Loaded | Unusable]
TakeNews = Callable[[], Sequence[Staged | Refused]]


@dataclass(frozen=True, slots=True)
class _InUse:
    sha256: str
    loaded: Loaded


class ModelsInUse:
    """The models of one gateway.

    Args:
        conditions: What is declared; other slots are left alone.
        slots: Which bundle runs, on the disk.
        take_news: `Updates.take`: what has happened since the last call; returns at once.
        load: Makes a verified file something to ask, for that condition.
    """

    def __init__(
        self, conditions: Sequence[Condition], slots: Slots, take_news: TakeNews, load: Load
    ) -> None:
        self._conditions = {condition.id: condition for condition in conditions}
        self._slots = slots
        self._take_news = take_news
        self._load = load
        self._in_use: dict[str, _InUse] = {}
        self._useless: set[str] = set()
        self._reports: list[ModelReport] = []

    def start(self) -> None:
        """Loads what ran before the start, or the one before that."""
        for condition in self._conditions.values():
            slot = self._slots.slot(condition.id)
            if slot is not None and not self._use(condition, slot.current):
                self._fall_back(condition)

    def renew(self) -> None:
        """Takes in what the updates have brought."""
        for news in self._take_news():
            if isinstance(news, Refused):
                self._report(news.model, news.version, "refused", news.reason)
            else:
                self._swap_in(news)

    def take_reports(self) -> list[ModelReport]:
        """What has happened since the last call, in that order."""
        reports, self._reports = self._reports, []
        return reports

    def ask(self, condition: Condition, window: Window, at_ms: int) -> Answer | None:
        """The forecast at an instant (UTC, ms); None without a model or a usable window."""
        while (in_use := self._in_use.get(condition.id)) is not None:
            model = in_use.loaded
            try:
                probability = model.probability(window, at_ms)
            except ModelError as error:
                self._misbehaved(condition, in_use, str(error))
                continue
            if probability is None:
                return None
            return Answer(probability=probability, model=model.model, version=model.version)
        return None

    def _use(self, condition: Condition, sha256: str) -> bool:
        loaded = self._load(self._slots.path(sha256), condition)
        if isinstance(loaded, Unusable):
            self._useless.add(sha256)
            self._report(loaded.model, loaded.version, "failed", loaded.reason)
            return False
        self._in_use[condition.id] = _InUse(sha256, loaded)
        self._report(loaded.model, loaded.version, "active")
        return True

    def _misbehaved(self, condition: Condition, in_use: _InUse, evidence: str) -> None:
        self._useless.add(in_use.sha256)
        del self._in_use[condition.id]
        log.error("models: %s no longer asks %s: %s", condition.id, in_use.loaded.version, evidence)
        self._report(in_use.loaded.model, in_use.loaded.version, "reverted", evidence)
        self._fall_back(condition)

    def _fall_back(self, condition: Condition) -> None:
        """To the previous bundle; to the rule alone if there is none, or it is no use either."""
        slot = self._slots.slot(condition.id)
        previous = None if slot is None else slot.previous
        if previous is None or previous in self._useless or not self._use(condition, previous):
            return
        try:
            self._slots.revert(condition.id)
        except UpdateError as error:
            log.error("models: the next start tries the one that failed again: %s", error)

    def _swap_in(self, staged: Staged) -> None:
        try:
            loaded = self._tried(staged)
            if not isinstance(loaded, Unusable):
                self._slots.swap(staged.condition_id, staged.sha256, staged.counter)
        except UpdateError as error:
            loaded = Unusable(model=staged.model, version=staged.version, reason=str(error))
        if isinstance(loaded, Unusable):  # its own names may be unreadable
            self._report(staged.model, staged.version, "refused", loaded.reason)
            return
        self._in_use[staged.condition_id] = _InUse(staged.sha256, loaded)
        self._report(loaded.model, loaded.version, "active")

    def _tried(self, staged: Staged) -> Loaded | Unusable:
        condition = self._conditions[staged.condition_id]
        in_use = self._in_use.get(condition.id)
        if in_use is not None and in_use.sha256 == staged.sha256:
            return in_use.loaded
        if staged.sha256 in self._useless:
            reason = "it failed on this gateway since the start; it is not tried again"
            return Unusable(model=staged.model, version=staged.version, reason=reason)
        return self._load(self._slots.path(staged.sha256), condition)

    def _report(self, model: str, version: str, outcome: str, reason: str | None = None) -> None:
        if reason is not None:
            reason = " ".join(reason.split())[:_REASON_CHARACTERS]
        self._reports.append(
            ModelReport(model=model, version=version, outcome=outcome, reason=reason)
        )
