"""The gateway's errors, rooted in `contract.errors`; loops look only at `retryable`.

DewlineError
├ OutboxError
│ ├ OutboxFull          +   the disk is full or busy: keep the records, try at the next commit
│ ├ OutboxCorrupt       -   the file is damaged: set aside, a new one is begun
│ └ OutboxNewer         -   a newer dewline wrote the file: install that
├ UpdateError
│ ├ FetchUnavailable    +   no whole answer: back off; what was fetched so far is kept
│ ├ SlotsUnavailable    +   the models' folder cannot be read or written for now
│ ├ TrialUnavailable    +   no process could be had to try a bundle in, or somebody ended it
│ └ UpdateRefused       -   the bundle is wrong, with a code: never tried again until told anew
└ UplinkError
  ├ UplinkUnavailable   +   no connection: back off and try again
  └ UplinkRefused       -   credentials or rights: an operator is needed, tried again rarely
"""

from typing import ClassVar

from contract.errors import DewlineError

__all__ = [
    "FetchUnavailable",
    "OutboxCorrupt",
    "OutboxError",
    "OutboxFull",
    "OutboxNewer",
    "SlotsUnavailable",
    "TrialUnavailable",
    "UpdateError",
    "UpdateRefused",
    "UplinkError",
    "UplinkRefused",
    "UplinkUnavailable",
]


class OutboxError(DewlineError):
    """The outbox could not do what was asked; nothing of the transaction stays."""


class OutboxFull(OutboxError):
    """No room or no access for now; the same commit may succeed later."""

    retryable: ClassVar[bool] = True


class OutboxCorrupt(OutboxError):
    """The file is no longer a database that can be trusted."""


class OutboxNewer(OutboxError):
    """The file was written by a newer dewline, whose tables this one does not know."""


class UpdateError(DewlineError):
    """A bundle did not get to where it can run; what ran before goes on."""


class FetchUnavailable(UpdateError):
    """The cloud gave no whole answer; the next attempt goes on where this one stopped."""

    retryable: ClassVar[bool] = True


class SlotsUnavailable(UpdateError):
    """The models' folder could not be read or written; no slot has changed."""

    retryable: ClassVar[bool] = True


class TrialUnavailable(UpdateError):
    """A bundle could not be tried out to the end, through no fault of its own."""

    retryable: ClassVar[bool] = True


class UpdateRefused(UpdateError):
    """The bundle must not run here.

    `code` is a short stable name of the reason (`bad_signature`, `old_counter`, ...): reports group
    by it.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class UplinkError(DewlineError):
    """The broker did not take what was given to it."""


class UplinkUnavailable(UplinkError):
    """No connection, or it broke off."""

    retryable: ClassVar[bool] = True


class UplinkRefused(UplinkError):
    """The broker refuses this device's credentials or rights."""
