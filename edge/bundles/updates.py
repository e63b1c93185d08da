"""Fetches and verifies the bundles that the cloud desires for this gateway.

The desired state is the cloud's signed list of the bundles that one device should run. Three
threads use this module. The send loop passes on each received desired state (`offer`). This
module's own thread checks it, then fetches, tries and stages each bundle. The sense loop asks for
finished bundles (`take`), swaps the slots and loads the models. No thread waits for another, and
no error raised here reaches the other loops.

A newer desired state replaces the one in progress. After a failure of network or disk the thread
tries again, with growing waits. A wrong bundle is reported once. It is not tried again until the
desired state changes or the gateway restarts.
"""

import logging
import math
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from contract.desired import Desired, DesiredBundle
from contract.errors import DewlineError
from edge.bundles.slot_store import SlotStore
from edge.bundles.staging import Stager
from edge.bundles.trust import trusted_state
from edge.configuration.config import ModelsConfig
from edge.errors import UpdateError, UpdateRefused
from models.conditions import Condition
from models.signing import TrustedKeys
from transport.backoff import Backoff

__all__ = ["Refused", "Staged", "Updates"]

log = logging.getLogger(__name__)

_FIRST_WAIT_S = 1.0
_JOIN_S = 2.0
_REASON_CHARACTERS = 200  # the limit of a ModelReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """Reports that a verified bundle is ready to be swapped in.

    Attributes:
        condition_id: Condition of the slot.
        model: Name of the bundle's model.
        version: Version of the model.
        sha256: Name of the file, `SlotStore.path(sha256)`.
        counter: Argument of `SlotStore.swap`.
    """

    condition_id: str
    model: str
    version: str
    sha256: str
    counter: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Reports, once per desired state, that a bundle must not run here.

    Attributes:
        condition_id: Condition of the bundle.
        model: Announced name of the model.
        version: Announced version.
        sha256: Name of the file.
        code: Short stable name of the reason.
        reason: The reason as text for a ModelReport.
    """

    condition_id: str
    model: str
    version: str
    sha256: str
    code: str
    reason: str


class Updates:
    """Processes desired states in its own daemon thread.

    Args:
        device_id: This gateway; desired states for another device are refused.
        conditions: The conditions that this gateway declares.
        config: `[models]`.
        slots: The models' folder; the sense loop uses the same object.
        trusted: The public keys in `config.trusted_keys`.

    Attributes:
        refused_total: Desired states and bundles refused since the start.
    """

    def __init__(
        self,
        device_id: str,
        conditions: Sequence[Condition],
        config: ModelsConfig,
        slots: SlotStore,
        trusted: TrustedKeys,
    ) -> None:
        self._device_id = device_id
        self._stager = Stager(conditions, config, slots)
        self._retry_max_s = config.retry_max_s
        self._slots = slots
        self._trusted = trusted
        self._offers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._news: queue.SimpleQueue[Staged | Refused] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="updates", daemon=True)
        self._desired: Desired | None = None
        self._staged: set[DesiredBundle] = set()  # staged and reported, for this desired state
        self._refused: set[DesiredBundle] = set()
        self._backoff = Backoff(
            first_s=_FIRST_WAIT_S, longest_s=config.retry_max_s, stable_s=math.inf
        )
        self._complaint = ""
        self.refused_total = 0

    def start(self) -> None:
        """Starts the thread; called once, by the composition root."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread; called by the composition root. The next start resumes a download."""
        self._stopping.set()
        self._offers.put(b"")
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            log.warning("models: an update did not stop in time: its thread is abandoned")

    def offer(self, payload: bytes) -> None:
        """Passes on the bytes of a desired state; returns at once. For the send loop."""
        self._offers.put(payload)

    def take(self) -> list[Staged | Refused]:
        """Returns the events since the last call, oldest first, at once. For the sense loop.

        For a `Staged` call `SlotStore.swap`, then load the model. If the swap raises a retryable
        error, the sense loop must try again: the bundle is not reported a second time.
        """
        news = []
        while not self._news.empty():
            news.append(self._news.get())
        return news

    def _run(self) -> None:
        wait_s = math.inf
        while not self._stopping.is_set():
            try:
                self._listen(wait_s)
                wait_s = self._work()
            except Exception:  # without this thread no model would be installed, silently
                log.exception("models: unexpected error; the update is tried again later")
                wait_s = self._retry_max_s

    def _listen(self, wait_s: float) -> bool:
        """Takes offers, waiting at most `wait_s` for the first; returns whether one is new."""
        changed = False
        try:
            payload = self._offers.get(timeout=None if wait_s == math.inf else wait_s)
            while True:
                changed |= bool(payload) and self._consider(payload)
                payload = self._offers.get_nowait()
        except queue.Empty:
            return changed

    def _given_up(self) -> bool:
        return self._stopping.is_set() or self._listen(0.0)

    def _consider(self, payload: bytes) -> bool:
        try:
            desired = trusted_state(payload, self._trusted, self._device_id, self._known_counter())
        except DewlineError as error:
            self.refused_total += 1
            log.warning("models: the desired state is refused: %s", error)
            return False
        if desired == self._desired:  # the broker sends the same state again at each connect
            return False
        self._desired = desired
        self._staged &= set(desired.bundles)
        self._refused.clear()
        return True

    def _known_counter(self) -> int:
        return max(self._slots.desired_counter, self._desired.counter if self._desired else 0)

    def _work(self) -> float:
        """Processes the desired state; returns the seconds until the rest is tried again."""
        desired = self._desired
        if desired is None:
            return math.inf
        self._stager.grown = False
        if not self._tried(lambda: self._slots.take_desired(desired.counter)):
            return self._backoff.wait_s()
        done = True
        for wanted in desired.bundles:
            done &= self._tried(partial(self._bring, wanted))
            if self._stopping.is_set() or self._desired is not desired:
                return 0.0
        keep = {wanted.sha256 for wanted in desired.bundles}
        if self._tried(lambda: self._slots.collect(keep)) and done:
            self._complaint = ""
            return math.inf
        return self._backoff.wait_s(math.inf if self._stager.grown else 0.0)

    def _tried(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except UpdateError as error:
            text = str(error)
            if text != self._complaint and not self._stopping.is_set():
                log.warning("models: %s; the update is tried again later", text)
            self._complaint = text
            return False
        return True

    def _bring(self, wanted: DesiredBundle) -> None:
        if self._settled(wanted):
            return
        try:
            self._stager.stage(wanted, self._given_up)
        except UpdateRefused as error:
            self._refuse(wanted, error)
            return
        self._staged.add(wanted)
        self._news.put(Staged(counter=wanted.counter, **_names(wanted)))

    def _settled(self, wanted: DesiredBundle) -> bool:
        if wanted in self._refused:
            return True
        slot = self._slots.slot(wanted.condition_id)
        runs = slot is not None and slot.current == wanted.sha256
        return (runs or wanted in self._staged) and self._slots.whole(wanted.sha256)

    def _refuse(self, wanted: DesiredBundle, error: UpdateRefused) -> None:
        self._refused.add(wanted)
        self.refused_total += 1
        log.error(
            "models: bundle %s %s is refused: %s: %s",
            wanted.model,
            wanted.version,
            error.code,
            error,
        )
        reason = "".join(c if c.isprintable() else " " for c in f"{error.code}: {error}")
        reason = reason[:_REASON_CHARACTERS]
        self._news.put(Refused(code=error.code, reason=reason, **_names(wanted)))


def _names(wanted: DesiredBundle) -> "dict[str, str]":
    names = ("condition_id", "model", "version", "sha256")
    return {name: str(getattr(wanted, name)) for name in names}
