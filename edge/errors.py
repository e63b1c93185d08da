"""The gateway's errors, rooted in `contract.errors`; loops look only at `retryable`.

DewlineError
├ OutboxError
│ ├ OutboxFull          +   the disk is full or busy: keep the records, try at the next commit
│ ├ OutboxCorrupt       -   the file is damaged: set aside, a new one is begun
│ └ OutboxNewer         -   a newer dewline wrote the file: install that
└ UplinkError
  ├ UplinkUnavailable   +   no connection: back off and try again
  └ UplinkRefused       -   credentials or rights: an operator is needed, tried again rarely
"""

from typing import ClassVar

from contract.errors import DewlineError

__all__ = [
    "OutboxCorrupt",
    "OutboxError",
    "OutboxFull",
    "OutboxNewer",
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


class UplinkError(DewlineError):
    """The broker did not take what was given to it."""


class UplinkUnavailable(UplinkError):
    """No connection, or it broke off."""

    retryable: ClassVar[bool] = True


class UplinkRefused(UplinkError):
    """The broker refuses this device's credentials or rights."""
