"""Defines the errors of the benches.

DewlineError
└ BenchError          not retryable   a figure cannot be measured; the text gives the reason
  └ NoEnvironment     not retryable   the edge's packages are not available: a row is left out
"""

from contract.errors import DewlineError

__all__ = ["BenchError", "NoEnvironment"]


class BenchError(DewlineError):
    """Reports that a figure cannot be measured: a step failed, or the results are wrong."""


class NoEnvironment(BenchError):
    """Reports that the edge's packages are not available; the text gives the reason."""
