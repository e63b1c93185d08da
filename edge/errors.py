"""Defines the gateway's errors, derived from `contract.errors`; loops check only `retryable` (+).

DewlineError
├ OutboxError
│ ├ OutboxFull          +   the disk is full or refuses writes: keep the records, try again later
│ ├ OutboxBusy          +   another program locks the file: keep the records, try again later
│ ├ OutboxAccess        -   folder or file is missing or not accessible: the operator must act
│ ├ OutboxInUse         -   another gateway runs on this outbox: stop one of the two
│ ├ OutboxMoved         -   the open file was deleted or replaced: write a copy of it to its place
│ ├ OutboxCorrupt       -   the file is damaged: copy readable blocks to a new one
│ └ OutboxNewer         -   a newer dewline wrote the file: install that version
├ UpdateError
│ ├ FetchUnavailable    +   the answer is incomplete: wait, then fetch the missing bytes
│ ├ SlotsUnavailable    +   the models' folder cannot be read or written now
│ ├ TrialUnavailable    +   the process that tries a bundle did not start, or was killed
│ └ UpdateRefused       -   the bundle is wrong, with a code: not tried again unless desired again
└ UplinkError
  ├ UplinkUnavailable   +   no connection: wait and connect again
  ├ UplinkTakenOver     -   another client uses this device's name: rare retries
  └ UplinkRefused       -   wrong credentials or rights: the operator must act; rare retries
"""

from typing import ClassVar

from contract.errors import DewlineError

__all__ = [
    "FetchUnavailable",
    "OutboxAccess",
    "OutboxBusy",
    "OutboxCorrupt",
    "OutboxError",
    "OutboxFull",
    "OutboxInUse",
    "OutboxMoved",
    "OutboxNewer",
    "SlotsUnavailable",
    "TrialUnavailable",
    "UpdateError",
    "UpdateRefused",
    "UplinkError",
    "UplinkRefused",
    "UplinkTakenOver",
    "UplinkUnavailable",
]


class OutboxError(DewlineError):
    """Reports that an outbox transaction failed and was rolled back."""


class OutboxFull(OutboxError):
    """Reports that the disk is full or refuses writes; a later commit may succeed."""

    retryable: ClassVar[bool] = True


class OutboxBusy(OutboxError):
    """Reports that another program holds a lock on the file; a later commit may succeed."""

    retryable: ClassVar[bool] = True


class OutboxAccess(OutboxError):
    """Reports that the folder or the file does not exist, or that this account has no access."""


class OutboxInUse(OutboxError):
    """Reports that another process runs on the same outbox."""


class OutboxMoved(OutboxError):
    """Reports that the open file was deleted or replaced; its content can still be read."""


class OutboxCorrupt(OutboxError):
    """Reports that the outbox file is damaged or is not a database."""


class OutboxNewer(OutboxError):
    """Reports that a newer dewline wrote the file, with tables that this version cannot read."""


class UpdateError(DewlineError):
    """Reports that a bundle cannot be installed; the bundle in use stays in use."""


class FetchUnavailable(UpdateError):
    """Reports that the download is incomplete; the next attempt continues at the same byte."""

    retryable: ClassVar[bool] = True


class SlotsUnavailable(UpdateError):
    """Reports that the models' folder cannot be read or written; no slot has changed."""

    retryable: ClassVar[bool] = True


class TrialUnavailable(UpdateError):
    """Reports that a bundle's trial did not finish, for a reason outside the bundle."""

    retryable: ClassVar[bool] = True


class UpdateRefused(UpdateError):
    """Reports that the bundle must not run on this gateway.

    `code` is a short stable name of the reason (`bad_signature`, `old_counter`, ...): reports group
    by it.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class UplinkError(DewlineError):
    """Reports that the broker did not accept a connection or a message."""


class UplinkUnavailable(UplinkError):
    """Reports that there is no connection, or that the connection was lost."""

    retryable: ClassVar[bool] = True


class UplinkTakenOver(UplinkError):
    """Reports that another client connects under this device's name and ends our connection."""


class UplinkRefused(UplinkError):
    """Reports that the broker refuses this device's credentials or rights."""
