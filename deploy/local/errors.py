"""Errors of the tools that run dewline on one machine.

DewlineError
├ ServerError   not retryable   a server did not start or stop; shows its log's tail
└ SetupError    not retryable   a step of the set-up failed; the text names the step and what to do
"""

from contract.errors import DewlineError

__all__ = ["ServerError", "SetupError"]


class ServerError(DewlineError):
    """A server did not do what it was told; the text ends with its log's tail."""


class SetupError(DewlineError):
    """A step of the set-up failed; the text names it and says what can be done."""
