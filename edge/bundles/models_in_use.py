"""Holds the model in use for each condition; replaces it, and falls back to the previous one.

A slot names the current and the previous bundle of one condition. At the start the current bundle
is loaded; if that fails, the previous one; if that fails too, only the rule runs. The sense loop
chooses the time to take new bundles. A new bundle is loaded before it is swapped in, so no slot
names a bundle that this process cannot load. A model that fails is not used again before the next
start: the previous bundle replaces it, if there is one.

Each change is reported as a ModelReport. The caller passes `load`, so this module does not need
numpy. Only the sense loop uses it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contract.records import ModelReport
from edge.bundles.slot_store import SlotStore
from edge.bundles.updates import Refused, Staged
from edge.errors import UpdateError
from edge.forecasting.forecast_alerts import Answer
from edge.forecasting.window import Window
from models.conditions import Condition
from models.errors import ModelError

__all__ = ["Load", "Loaded", "ModelsInUse", "Unusable"]

log = logging.getLogger(__name__)

_REASON_CHARACTERS = 200  # the limit of a ModelReport


class Loaded(Protocol):
    """A loaded bundle, such as `edge.forecasting.forecaster.Forecaster`."""

    model: str
    version: str

    def probability(self, window: Window, at_ms: int) -> float | None:
        """Returns the probability; None if the window lacks a value; may raise ModelError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """Names a bundle that cannot be loaded, and the reason.

    Attributes:
        model: Name of the bundle's model, or `unreadable`.
        version: Version of the model, or the first digits of the file's sha256.
        reason: Message for the operator.
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
    """Manages the models of one gateway.

    Args:
        conditions: The declared conditions; slots of other conditions are not changed.
        slots: The slots on the disk.
        take_news: `Updates.take`: returns the events since the last call, at once.
        load: Loads a bundle's file for a condition.
    """

    def __init__(
        self, conditions: Sequence[Condition], slots: SlotStore, take_news: TakeNews, load: Load
    ) -> None:
        self._conditions = {condition.id: condition for condition in conditions}
        self._slots = slots
        self._take_news = take_news
        self._load = load
        self._in_use: dict[str, _InUse] = {}
        self._useless: set[str] = set()
        self._reports: list[ModelReport] = []

    def start(self) -> None:
        """Loads each slot's current bundle, or the previous one if the current one fails."""
        for condition in self._conditions.values():
            slot = self._slots.slot(condition.id)
            if slot is not None and not self._use(condition, slot.current):
                self._fall_back(condition)

    def renew(self) -> None:
        """Swaps in new bundles and reports refused ones."""
        for news in self._take_news():
            if isinstance(news, Refused):
                self._report(news.model, news.version, "refused", news.reason)
            else:
                self._swap_in(news)

    def take_reports(self) -> list[ModelReport]:
        """Returns the reports since the last call, oldest first."""
        reports, self._reports = self._reports, []
        return reports

    def ask(self, condition: Condition, window: Window, at_ms: int) -> Answer | None:
        """Returns the forecast at a time (UTC, ms); None without a model or a usable window."""
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
        log.error(
            "models: condition %s: version %s failed and is disabled until the next start: %s",
            condition.id,
            in_use.loaded.version,
            evidence,
        )
        self._report(in_use.loaded.model, in_use.loaded.version, "reverted", evidence)
        self._fall_back(condition)

    def _fall_back(self, condition: Condition) -> None:
        """Loads the previous bundle; if there is none or it fails too, only the rule runs."""
        slot = self._slots.slot(condition.id)
        previous = None if slot is None else slot.previous
        if previous is None or previous in self._useless or not self._use(condition, previous):
            return
        try:
            self._slots.revert(condition.id)
        except UpdateError as error:
            log.error(
                "models: slots.json cannot be updated; the next start tries the failed bundle "
                "again: %s",
                error,
            )

    def _swap_in(self, staged: Staged) -> None:
        try:
            loaded = self._tried(staged)
            if not isinstance(loaded, Unusable):
                self._slots.swap(staged.condition_id, staged.sha256, staged.counter)
        except UpdateError as error:
            loaded = Unusable(model=staged.model, version=staged.version, reason=str(error))
        if isinstance(loaded, Unusable):  # `loaded` may have no readable names; `staged` has them
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
            reason = "the bundle failed on this gateway; it is not tried again until the next start"
            return Unusable(model=staged.model, version=staged.version, reason=reason)
        return self._load(self._slots.path(staged.sha256), condition)

    def _report(self, model: str, version: str, outcome: str, reason: str | None = None) -> None:
        if reason is not None:
            reason = " ".join(reason.split())[:_REASON_CHARACTERS]
        self._reports.append(
            ModelReport(model=model, version=version, outcome=outcome, reason=reason)
        )
