"""Stages a bundle: compares it with the slot, fetches it, tries it, stores it as verified.

Runs in the updates thread. Permanent failures are an UpdateRefused, temporary ones another
UpdateError; neither changes a slot.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from contract.desired import DesiredBundle
from edge.bundles.fetch import Attempt, fetch
from edge.bundles.slot_store import SlotStore
from edge.bundles.trial import Trial, try_bundle
from edge.bundles.trust import require_declared, require_hash, require_newer
from edge.configuration.config import ModelsConfig
from edge.errors import FetchUnavailable, UpdateRefused
from models.conditions import Condition

__all__ = ["Stager"]


class Stager:
    """Stages bundles.

    Args:
        conditions: The conditions that this gateway declares.
        config: `[models]`.
        slots: The models' folder.

    Attributes:
        grown: Whether bytes were received since the caller set this attribute to False.
    """

    def __init__(
        self, conditions: Sequence[Condition], config: ModelsConfig, slots: SlotStore
    ) -> None:
        self._conditions = {condition.id: condition for condition in conditions}
        self._config = config
        self._slots = slots
        self.grown = False

    def stage(self, wanted: DesiredBundle, given_up: Callable[[], bool]) -> None:
        """Stages the bundle; returns when the bundle can be swapped in.

        Args:
            wanted: The bundle that the cloud wants to run here.
            given_up: Called repeatedly; true ends the call with a retryable error.

        Raises:
            UpdateRefused: The bundle must not run here; its part file is removed.
            FetchUnavailable: The download is incomplete; the received bytes are kept.
            TrialUnavailable: The trial did not finish.
            SlotsUnavailable: The folder cannot be read or written.
        """
        try:
            self._check(wanted)
            path = self._slots.path(wanted.sha256)
            if not self._slots.whole(wanted.sha256):
                path = self._fetched(wanted, given_up)
            try_bundle(self._trial(wanted, path), given_up)
        except UpdateRefused:
            self._slots.drop_part(wanted.sha256)
            raise
        self._slots.step("verified")
        self._slots.stage(wanted.sha256)

    def _check(self, wanted: DesiredBundle) -> None:
        """Refuses a bundle that is known to be wrong before the download."""
        require_declared(wanted.condition_id, self._conditions)
        require_newer(wanted.sha256, wanted.counter, self._slots.slot(wanted.condition_id))

    def _fetched(self, wanted: DesiredBundle, given_up: Callable[[], bool]) -> Path:
        part = self._slots.part(wanted.sha256)
        begun = fetch(
            Attempt(
                url=f"{self._config.url.rstrip('/')}/bundles/{wanted.sha256}.dwb",
                part=part,
                size_bytes=wanted.size_bytes,
                timeout_s=self._config.fetch_timeout_s,
                tls=self._config.tls,
                token_file=self._config.token_file,
                given_up=given_up,
                step=self._step,
            )
        )
        self._step("fetched")
        try:
            require_hash(part.read_bytes(), wanted.sha256)
        except UpdateRefused as error:
            if not begun:
                raise
            # A power cut may have damaged the bytes of an earlier attempt.
            self._slots.drop_part(wanted.sha256)
            text = f"{part.name}: the bytes of an earlier attempt are wrong; the download restarts"
            raise FetchUnavailable(text) from error
        return part

    def _step(self, name: str) -> None:
        self.grown |= name == "part_grown"
        self._slots.step(name)

    def _trial(self, wanted: DesiredBundle, path: Path) -> Trial:
        return Trial(
            path=str(path),
            trusted_keys=self._config.trusted_keys,
            condition=self._conditions[wanted.condition_id],
            model=wanted.model,
            version=wanted.version,
            counter=wanted.counter,
            timeout_s=self._config.verify_timeout_s,
            memory_mib=self._config.verify_memory_mib,
        )
