"""The root of every error tree in dewline; each side draws its own branches from here.

DewlineError
├ ConfigError      not retryable   a person must correct a file; commands exit with 2
└ ContractError    not retryable   bytes break a rule of the contract; the cloud quarantines them

Loops decide by `retryable` alone: true means "the same call may succeed later", false means
"somebody must act".
"""

from typing import ClassVar

__all__ = ["ConfigError", "ContractError", "DewlineError"]


class DewlineError(Exception):
    """Anything dewline raises on purpose. Its text is for the person who has to act on it."""

    retryable: ClassVar[bool] = False


class ConfigError(DewlineError):
    """A configuration is wrong. The text names file, table and key, and what was expected."""


class ContractError(DewlineError):
    """Bytes or values break a rule of the contract.

    `code` is a short stable name of the broken rule (`bad_schema`, `bad_unit`, ...):
    quarantine groups by it.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
