"""Defines the errors of the tools that run dewline on one machine.

DewlineError
├ ServerError   not retryable   a server did not start or stop; the text ends with its log
└ SetupError    not retryable   a step of the set-up failed; the text names step and remedy
"""

from contract.errors import DewlineError

__all__ = ["ServerError", "SetupError"]


class ServerError(DewlineError):
    """Reports that a server failed; the text ends with the last lines of its log."""


class SetupError(DewlineError):
    """Reports that a step of the set-up failed; the text names the step and what to do."""
