"""Errors of the benches.

DewlineError
└ BenchError          not retryable   a figure cannot be given; the text says what was found
  └ NoEnvironment     not retryable   the edge's packages cannot be had here: that row is left out
"""

from contract.errors import DewlineError

__all__ = ["BenchError", "NoEnvironment"]


class BenchError(DewlineError):
    """A figure cannot be given: something failed, or what came out is not what went in."""


class NoEnvironment(BenchError):
    """The edge's packages cannot be had here; the text says why."""
