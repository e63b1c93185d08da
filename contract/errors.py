"""Defines the base classes of dewline's errors; each package derives its own from them.

DewlineError
├ ConfigError      not retryable   the operator must correct a file; commands exit with 2
└ ContractError    not retryable   bytes break a rule of the contract; the cloud quarantines them

Loops decide by `retryable` alone: true means "the same call may succeed later", false means "the
operator must act".
"""

from typing import ClassVar

__all__ = ["ConfigError", "ContractError", "DewlineError"]


class DewlineError(Exception):
    """Base of all errors that dewline raises. The text tells the operator what to do."""

    retryable: ClassVar[bool] = False


class ConfigError(DewlineError):
    """Reports a wrong configuration. The text names file, table, key and the expected value."""


class ContractError(DewlineError):
    """Reports bytes or values that break a rule of the contract.

    `code` is a short stable name of the broken rule (`bad_schema`, `bad_unit`, ...). The quarantine
    groups payloads by it.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
