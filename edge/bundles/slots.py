"""Slots: which verified bundle runs for each condition, and the files that slots name.

    folder/slots.json              per condition: current, previous, counter; replaced whole
    folder/bundles/<sha256>.dwb    came here by `stage`, after somebody had verified them
    folder/part/<sha256>.part      on their way, by `edge.bundles.fetch`

Two threads use it: the updates thread stages and tidies, the sense loop swaps and reverts. A kill
or a power cut at any moment leaves the old state or the new one: a file is on the disk before a
slot names it, and no file that a slot names is ever removed.
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

__all__ = ["Slot", "Slots", "Step", "read_bundle"]

log = logging.getLogger(__name__)

Step = Callable[[str], None]  # told the name of each step that has just been done
_OURS = re.compile(r"[0-9a-f]{64}\.(dwb|part)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    desired_counter: Annotated[int, Between(0, 2**53 - 1)] = 0
    slots: tuple[Slot, ...] = ()


class Slots:
    """The folder of `[models]`. Every method may be called from any thread.

    Args:
        folder: Where everything is; made at the first writing.
        step: Told what has just been done, for those who watch or stop an update in the middle.
    """

    def __init__(self, folder: Path, step: Step = lambda _name: None) -> None:
        self._folder = folder
        self.step = step
        self._lock = threading.Lock()
        self._staged: set[str] = set()
        self._state = _read(folder / "slots.json")

    @property
    def desired_counter(self) -> int:
        """Of the newest desired state that was ever taken; 0 if none was."""
        return self._state.desired_counter

    def slot(self, condition_id: str) -> Slot | None:
        """What runs for a condition; None if nothing was ever swapped in."""
        return next((s for s in self._state.slots if s.condition_id == condition_id), None)

    def current(self, condition_id: str) -> Path | None:
        """The file that runs for a condition; whoever loads it verifies it again."""
        slot = self.slot(condition_id)
        return None if slot is None else self.path(slot.current)

    def path(self, sha256: str) -> Path:
        """Where a verified bundle is kept."""
        return self._folder / "bundles" / f"{sha256}.dwb"

    def part(self, sha256: str) -> Path:
        """Where a bundle is fetched to; the folder is made.

        Raises:
            SlotsUnavailable: It cannot be made.
        """
        with _disk(self._folder):
            for folder in (self._folder, self._folder / "bundles", self._folder / "part"):
                folder.mkdir(exist_ok=True)
        return self._folder / "part" / f"{sha256}.part"

    def whole(self, sha256: str) -> bool:
        """Whether the bundle is among the verified ones, byte for byte."""
        try:
            with self.path(sha256).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError:  # whatever keeps it from being read, it has to be fetched
            return False

    def drop_part(self, sha256: str) -> None:
        """Forgets what was fetched of a bundle; for the updates thread.

        Raises:
            SlotsUnavailable: It cannot be removed.
        """
        part = self.part(sha256)
        with _disk(part):
            part.unlink(missing_ok=True)

    def take_desired(self, counter: int) -> None:
        """Notes for ever that a desired state was taken; for the updates thread.

        Raises:
            SlotsUnavailable: It could not be written.
        """
        with self._lock:
            if counter > self._state.desired_counter:
                self._save(replace(self._state, desired_counter=counter), "desired")

    def stage(self, sha256: str) -> None:
        """Puts a part that has been verified among the bundles; for the updates thread.

        A bundle that is there already is only kept from being tidied away before it is swapped in.

        Raises:
            SlotsUnavailable: It could not be moved.
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

        On the disk when it returns. The same bundle again changes nothing.

        Raises:
            UpdateRefused: `old_counter`: it is not newer than what ran; `missing`: no file.
            SlotsUnavailable: It could not be written; the old one stays.
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
            raise UpdateRefused("missing", f"bundles/{sha256}.dwb is not there")

    def revert(self, condition_id: str) -> Path | None:
        """Exchanges current and previous because the current one cannot be loaded.

        For the sense loop. The counter stays, so no older bundle gets in by this; the one that
        failed may, should it be desired still.

        Returns:
            The file to try now; None, and nothing changed, if there is no previous one.

        Raises:
            SlotsUnavailable: It could not be written; nothing changed.
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
            keep: sha256 of bundles that stay nevertheless: they are desired.

        Raises:
            SlotsUnavailable: A folder cannot be read, or a file not be removed.
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
    """A bundle's bytes; of a file that is too large one more than a bundle may have.

    Raises:
        UpdateRefused: `missing`: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BUNDLE_BYTES + 1)
    except OSError as error:
        raise UpdateRefused("missing", f"{path.name}: {error.strerror}") from error


def _read(path: Path) -> _State:
    try:
        return build(_State, json.loads(path.read_bytes()), str(path), ignore_unknown=True)
    except FileNotFoundError:
        return _State()
    except (OSError, ValueError, RecursionError, ContractError) as error:
        log.error("models: %s cannot be used: %s; %s", path, error, _set_aside(path))
        return _State()


def _set_aside(path: Path) -> str:
    kept = path.with_name(f"{path.name}.corrupt")
    try:
        path.replace(kept)
    except OSError as error:
        return f"it could not be kept as {kept.name}: {error.strerror}"
    return f"kept as {kept.name}; bundles are swapped in again when the cloud tells of them"


def _sync(path: Path) -> None:
    """What was written to a file, or which names a folder has, is on the disk afterwards."""
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
