"""Stores slots (the current and previous bundle of each condition) and the bundles they name.

    folder/slots.json              per condition: current, previous, counter; replaced as a whole
    folder/bundles/<sha256>.dwb    verified bundles, moved here by `stage`
    folder/part/<sha256>.part      incomplete downloads of `edge.bundles.fetch`

Two threads use this module: the updates thread stages bundles and removes files, the sense loop
swaps and reverts. A kill or a power cut leaves the old state or the new one: a file is on the disk
before a slot names it. A file that a slot names is never removed.
"""

import hashlib
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from contract.desired import MAX_BUNDLE_BYTES
from contract.errors import ContractError
from contract.typed import Between, build, plain
from edge.bundles.slot import Slot
from edge.bundles.trust import require_newer
from edge.errors import SlotsUnavailable, UpdateRefused

__all__ = ["Slot", "SlotStore", "Step", "read_bundle"]

log = logging.getLogger(__name__)

Step = Callable[[str], None]  # called with the name of each finished step
_OURS = re.compile(r"[0-9a-f]{64}\.(dwb|part)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    desired_counter: Annotated[int, Between(0, 2**53 - 1)] = 0
    slots: tuple[Slot, ...] = ()


class SlotStore:
    """Manages the folder of `[models]`. Every method may be called from any thread.

    Args:
        folder: The models' folder; created at the first write.
        step: Called with the name of each finished step, so that tests can stop an update there.
    """

    def __init__(self, folder: Path, step: Step = lambda _name: None) -> None:
        self._folder = folder
        self.step = step
        self._lock = threading.Lock()
        self._staged: set[str] = set()
        self._state = _read(folder / "slots.json")

    @property
    def desired_counter(self) -> int:
        """Returns the counter of the newest desired state ever accepted; 0 if there was none."""
        return self._state.desired_counter

    def slot(self, condition_id: str) -> Slot | None:
        """Returns a condition's slot; None if no bundle was ever swapped in."""
        return next((s for s in self._state.slots if s.condition_id == condition_id), None)

    def current(self, condition_id: str) -> Path | None:
        """Returns the current bundle's file; the caller must verify the file again."""
        slot = self.slot(condition_id)
        return None if slot is None else self.path(slot.current)

    def path(self, sha256: str) -> Path:
        """Returns the path of a verified bundle."""
        return self._folder / "bundles" / f"{sha256}.dwb"

    def part(self, sha256: str) -> Path:
        """Creates the folder of downloads; returns the path of a bundle's part file.

        Raises:
            SlotsUnavailable: The folder cannot be created.
        """
        with _disk(self._folder):
            for folder in (self._folder, self._folder / "bundles", self._folder / "part"):
                folder.mkdir(exist_ok=True)
        return self._folder / "part" / f"{sha256}.part"

    def whole(self, sha256: str) -> bool:
        """Returns whether the bundle is among the verified ones and its sha256 is right."""
        try:
            with self.path(sha256).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError:  # for any reason: a bundle that cannot be read must be fetched again
            return False

    def drop_part(self, sha256: str) -> None:
        """Removes a bundle's part file; for the updates thread.

        Raises:
            SlotsUnavailable: The file cannot be removed.
        """
        part = self.part(sha256)
        with _disk(part):
            part.unlink(missing_ok=True)

    def take_desired(self, counter: int) -> None:
        """Stores the counter of an accepted desired state; for the updates thread.

        Raises:
            SlotsUnavailable: The counter cannot be written.
        """
        with self._lock:
            if counter > self._state.desired_counter:
                self._save(replace(self._state, desired_counter=counter), "desired")

    def stage(self, sha256: str) -> None:
        """Moves a verified part file to the bundles; for the updates thread.

        A staged bundle is not removed by `collect`, even if the file was there already.

        Raises:
            SlotsUnavailable: The file cannot be moved.
        """
        part, path = self.part(sha256), self.path(sha256)
        with self._lock, _disk(path):
            if part.exists():
                _sync(part)
                self.step("part_synced")
                part.replace(path)
                self.step("part_renamed")
                _sync(path.parent)
                self.step("part_staged")
            self._staged.add(sha256)

    def swap(self, condition_id: str, sha256: str, counter: int) -> Slot:
        """Makes a staged bundle the current one, the current one the previous; for the sense loop.

        The change is on the disk when the method returns. If the bundle is already the current
        one, only the counter changes.

        Raises:
            UpdateRefused: `old_counter`: the bundle is not newer; `missing`: there is no file.
            SlotsUnavailable: The change cannot be written; the old bundle stays.
        """
        with self._lock:
            old = self.slot(condition_id)
            self._require_swappable(old, sha256, counter)
            if old is not None and old.current == sha256:
                new = replace(old, counter=counter)
            else:
                previous = None if old is None else old.current
                new = Slot(
                    condition_id=condition_id, current=sha256, counter=counter, previous=previous
                )
            self._put(new, "swap")
            self._staged.discard(sha256)
            return new

    def _require_swappable(self, old: Slot | None, sha256: str, counter: int) -> None:
        try:
            require_newer(sha256, counter, old)
            self._require_there(sha256)
        except UpdateRefused:
            self._staged.discard(sha256)
            raise

    def _require_there(self, sha256: str) -> None:
        if not self.path(sha256).exists():
            raise UpdateRefused("missing", f"bundles/{sha256}.dwb does not exist")

    def revert(self, condition_id: str) -> Path | None:
        """Exchanges current and previous because the current one cannot be loaded.

        For the sense loop. The counter stays, so an older bundle is still refused. The failed
        bundle is accepted again if it is still desired.

        Returns:
            The file to load now; None, without a change, if there is no previous one.

        Raises:
            SlotsUnavailable: The change cannot be written; nothing changed.
        """
        with self._lock:
            old = self.slot(condition_id)
            if old is None or old.previous is None:
                return None
            self._put(replace(old, current=old.previous, previous=old.current), "revert")
            return self.path(old.previous)

    def collect(self, keep: Collection[str]) -> None:
        """Removes files that no slot names; for the updates thread.

        Args:
            keep: sha256 of desired bundles, which are not removed either.

        Raises:
            SlotsUnavailable: A folder cannot be read, or a file cannot be removed.
        """
        with self._lock, _disk(self._folder):
            named = {s for slot in self._state.slots for s in (slot.current, slot.previous)}
            for path in [*self._folder.glob("bundles/*"), *self._folder.glob("part/*")]:
                kept = path.stem in named or path.stem in keep or path.stem in self._staged
                if not kept and _OURS.fullmatch(path.name):
                    path.unlink()
                    self.step("collected")

    def _put(self, slot: Slot, what: str) -> None:
        others = tuple(s for s in self._state.slots if s.condition_id != slot.condition_id)
        self._save(replace(self._state, slots=(*others, slot)), what)

    def _save(self, state: _State, what: str) -> None:
        if state == self._state:
            return
        path = self._folder / "slots.json"
        with _disk(path):
            self._folder.mkdir(exist_ok=True)
            new = path.with_suffix(".tmp")
            new.write_text(json.dumps(plain(state), indent=1, sort_keys=True), encoding="ascii")
            self.step(f"{what}_written")
            _sync(new)
            self.step(f"{what}_synced")
            new.replace(path)
            self.step(f"{what}_renamed")
            _sync(self._folder)
        self._state = state
        self.step(f"{what}_done")


def read_bundle(path: Path) -> bytes:
    """Returns a bundle's bytes; from a file that is too large, one byte more than allowed.

    Raises:
        UpdateRefused: `missing`: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BUNDLE_BYTES + 1)
    except OSError as error:
        raise UpdateRefused("missing", f"{path.name} cannot be read: {error.strerror}") from error


def _read(path: Path) -> _State:
    try:
        return build(_State, json.loads(path.read_bytes()), str(path), ignore_unknown=True)
    except FileNotFoundError:
        return _State()
    except (OSError, ValueError, RecursionError, ContractError) as error:
        log.error("models: %s cannot be read: %s; %s", path, error, _set_aside(path))
        return _State()


def _set_aside(path: Path) -> str:
    kept = path.with_name(f"{path.name}.corrupt")
    try:
        path.replace(kept)
    except OSError as error:
        return f"the file cannot be renamed to {kept.name}: {error.strerror}"
    return f"renamed to {kept.name}. Only rules run until the next desired state of the cloud"


def _sync(path: Path) -> None:
    """Writes a file's content, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise SlotsUnavailable(f"{path}: {error.strerror or error}") from error
