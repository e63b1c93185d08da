"""Staging a bundle: checked against what runs, fetched, tried out, put among the verified ones.

Runs in the updates thread. What is wrong for good is an UpdateRefused, what may pass is another
UpdateError; either way no slot has changed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from contract.desired import DesiredBundle
from edge.bundles.fetch import Attempt, fetch
from edge.bundles.slots import Slots
from edge.bundles.trial import Trial, try_bundle
from edge.bundles.trust import require_declared, require_hash, require_newer
from edge.configuration.config import ModelsConfig
from edge.errors import FetchUnavailable, UpdateRefused
from models.conditions import Condition

__all__ = ["Stager"]


class Stager:
    """Stages bundles.

    Args:
        conditions: As this gateway declares them.
        config: `[models]`.
        slots: The models' folder.

    Attributes:
        grown: Whether a byte has come since somebody set it to False.
    """

    def __init__(self, conditions: Sequence[Condition], config: ModelsConfig, slots: Slots) -> None:
        self._conditions = {condition.id: condition for condition in conditions}
        self._config = config
        self._slots = slots
        self.grown = False

    def stage(self, wanted: DesiredBundle, given_up: Callable[[], bool]) -> None:
        """Stages the bundle; returns when it can be swapped in.

        Args:
            wanted: What the cloud wants to run here.
            given_up: Asked again and again; true ends it with an error that is retryable.

        Raises:
            UpdateRefused: It must not run here; nothing of it is kept.
            FetchUnavailable: No whole answer; what came is kept.
            TrialUnavailable: It could not be tried out.
            SlotsUnavailable: The folder cannot be used.
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
        """Refuses what need not be fetched to be known to be wrong."""
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
                ca_file=self._config.ca_file,
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
            # an earlier attempt's bytes may be to blame, by a power cut
            self._slots.drop_part(wanted.sha256)
            text = f"{part.name}: what was there is no begin of it; begun anew"
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
