"""Replaces files atomically, and locks a folder against parallel changes."""

import fcntl
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from cloud.errors import AuthorityError

__all__ = ["PRIVATE", "PUBLIC", "locked", "read", "write_whole"]

PUBLIC = 0o644
PRIVATE = 0o600


def read(path: Path) -> bytes:
    """Reads the bytes of a file.

    Raises:
        AuthorityError: The file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise _failure(path, "read", error) from error


def write_whole(path: Path, data: bytes, mode: int) -> None:
    """Writes a file atomically and durably: temporary name, fsync, rename, fsync of the folder.

    Raises:
        AuthorityError: The write failed; the file is either unchanged or complete.
    """
    temporary = path.with_name(f".tmp-{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise _failure(path, "write", error) from error


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Lets one process at a time change a folder; the kernel frees the lock of a killed one.

    Raises:
        AuthorityError: The folder cannot be written.
    """
    path = folder / ".lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise _failure(path, "lock", error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failure(path: Path, verb: str, error: OSError) -> AuthorityError:
    return AuthorityError(f"cannot {verb} {path}: {error.strerror or error}")
