"""Stores the lake's files: each path is created once, atomically and durably, and never changed.

`FolderStore` does this on a folder: it writes a temporary file, syncs the data, and links it to the
final name, which fails if the name exists. Then it syncs every folder that got a new name, and
`create` returns.
"""

import contextlib
import errno
import itertools
import os
import secrets
from pathlib import Path
from typing import Protocol

from cloud.errors import LakeError, LakeExists, LakeMissing

__all__ = ["FileSystem", "FolderStore", "Store"]

_TEMPORARY = ".tmp-"
_ATTEMPTS = 5  # a folder can be deleted between its creation and its first file


class Store(Protocol):
    """Store of the lake's files. Paths are relative, with `/`; no part begins with a dot.

    Every call raises LakeError if the store fails.
    """

    def create(self, path: str, data: bytes) -> None:
        """Creates `path` atomically; durable on return.

        Raises:
            LakeExists: The path exists already.
        """
        ...

    def read(self, path: str) -> bytes:
        """Reads the bytes at `path`.

        Raises:
            LakeMissing: The path does not exist.
        """
        ...

    def list(self, prefix: str) -> list[str]:
        """Lists the paths that begin with `prefix` (a folder ending in `/`, or empty), sorted."""
        ...

    def delete(self, path: str) -> None:
        """Removes `path`; a missing path is not an error."""
        ...


class FileSystem:
    """The calls with which `FolderStore` changes a disk.

    Each is a method of its own, so that tests can observe their order.
    """

    def make_folder(self, path: Path) -> None:
        """Makes one folder; its parent must exist."""
        path.mkdir()

    def open_new(self, path: Path) -> int:
        """Opens a new file and returns its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def write(self, descriptor: int, data: bytes) -> None:
        """Writes all of `data`."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """Makes the file's bytes durable."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Closes a file."""
        os.close(descriptor)

    def link(self, source: Path, target: Path) -> None:
        """Gives a file a second name; fails if the name exists."""
        os.link(source, target)

    def unlink(self, path: Path) -> None:
        """Removes a name."""
        path.unlink()

    def remove_folder(self, path: Path) -> None:
        """Removes an empty folder."""
        path.rmdir()

    def sync_path(self, path: Path) -> None:
        """Makes the names in a folder, or the bytes of another process's file, durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class FolderStore:
    """A store on a folder of this machine."""

    def __init__(self, root: Path, file_system: FileSystem | None = None) -> None:
        self._root = root
        self._files = file_system or FileSystem()
        self._token = secrets.token_hex(4)  # avoids the temporary files of killed processes
        self._numbers = itertools.count()
        self._durable: set[Path] = set()

    def create(self, path: str, data: bytes) -> None:
        """Creates `path` atomically; durable on return.

        Raises:
            LakeExists: The path exists already, and is durable.
            LakeError: The disk failed; the file may exist nevertheless.
        """
        target = self._resolve(path)
        try:
            for attempt in range(_ATTEMPTS):
                try:
                    self._make_folders(target.parent)
                    self._create(target, data)
                except FileNotFoundError:
                    self._durable.clear()
                    if attempt == _ATTEMPTS - 1:
                        raise
                else:
                    return
        except FileExistsError as error:
            raise LakeExists(f"{target} exists already and is never overwritten") from error
        except OSError as error:
            raise _failure(target, "create", error) from error

    def read(self, path: str) -> bytes:
        """Reads the bytes at `path`. Raises LakeMissing, LakeError."""
        target = self._resolve(path)
        try:
            return target.read_bytes()
        except FileNotFoundError as error:
            raise LakeMissing(f"{target} does not exist") from error
        except OSError as error:
            raise _failure(target, "read", error) from error

    def list(self, prefix: str) -> list[str]:
        """Lists every path below the folder `prefix`, sorted. Raises LakeError."""
        top = self._resolve(prefix.rstrip("/")) if prefix else self._root
        found: list[str] = []
        try:
            for folder, folders, names in os.walk(top, onerror=_raise):
                folders[:] = [name for name in folders if not name.startswith(".")]
                relative = os.path.relpath(folder, self._root)
                start = "" if relative == "." else f"{relative}/"
                found += [start + name for name in names if not name.startswith(".")]
        except OSError as error:
            raise _failure(top, "list", error) from error
        return sorted(found)

    def delete(self, path: str) -> None:
        """Removes `path`, and then its empty parent folders. Raises LakeError."""
        target = self._resolve(path)
        try:
            self._files.unlink(target)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _failure(target, "delete", error) from error
        for folder in itertools.takewhile(lambda f: f != self._root, target.parents):
            try:
                self._files.remove_folder(folder)
            except OSError:  # usually because it is not empty; then its parents are not either
                return

    def _create(self, target: Path, data: bytes) -> None:
        name = f"{_TEMPORARY}{self._token}-{next(self._numbers)}-{target.name}"
        temporary = target.parent / name
        descriptor = self._files.open_new(temporary)
        try:
            try:
                self._files.write(descriptor, data)
                self._files.sync(descriptor)
            finally:
                self._files.close(descriptor)
            self._files.link(temporary, target)
        finally:
            self._files.unlink(temporary)
            # Also if the name exists: its creator may have been killed before this line.
            self._files.sync_path(target.parent)

    def _make_folders(self, folder: Path) -> None:
        below = itertools.takewhile(lambda f: f != self._root, (folder, *folder.parents))
        for path in (self._root, *reversed(list(below))):
            if path in self._durable:
                continue
            if not path.is_dir():
                with contextlib.suppress(FileExistsError):  # another process created it meanwhile
                    self._files.make_folder(path)
            # Also for an existing folder: its creator's fsync may not be complete.
            self._files.sync_path(path.parent)
            self._durable.add(path)

    def _resolve(self, path: str) -> Path:
        parts = path.split("/")
        if any(not part or part.startswith(".") or "\0" in part for part in parts):
            raise LakeError(
                f"{path!r} is not a path of the lake: it has an empty part, or one with a dot first"
            )
        return self._root.joinpath(*parts)


def _raise(error: OSError) -> None:
    # os.walk ignores errors by default. Only a folder that was deleted meanwhile may be ignored.
    if error.errno != errno.ENOENT:
        raise error


def _failure(path: Path, verb: str, error: OSError) -> LakeError:
    return LakeError(f"cannot {verb} {path}: {error.strerror or error}")
