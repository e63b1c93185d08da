"""Keeps the name of the group in which ingest shares its subscriptions; no device may know it.

A broker deals the messages of a shared subscription to the members of the group in turn, and
Mosquitto lets any client subscribe. So a device that knows the group could take away messages. A
device that does not know it can only subscribe in a group of its own, which takes nothing away.

The lake holds the name: every ingest process of a lake reads it, and no device can. So all nodes
share their work without a setting, and a restart keeps the group.
"""

import contextlib
import re
import secrets

from cloud.errors import LakeError, LakeExists, LakeMissing
from cloud.lake.store import Store

__all__ = ["GROUP_PATH", "shared_group"]

GROUP_PATH = "ingest/group"
_GROUP = re.compile(r"[a-z0-9-]{16,64}")
_RANDOM_BYTES = 16


def shared_group(store: Store) -> str:
    """Returns the group of this lake; the first call makes a random one.

    Raises:
        LakeError: The lake failed, or the file contains no group.
    """
    try:
        return _read(store)
    except LakeMissing:
        with contextlib.suppress(LakeExists):  # another process made it meanwhile
            store.create(GROUP_PATH, secrets.token_hex(_RANDOM_BYTES).encode())
        return _read(store)


def _read(store: Store) -> str:
    text = store.read(GROUP_PATH).decode("utf-8", "replace").strip()
    if not _GROUP.fullmatch(text):
        raise LakeError(
            f"{GROUP_PATH} in the lake contains no name of a group (16 to 64 of a-z, 0-9 and -). "
            "Delete the file, then restart every ingest process"
        )
    return text
