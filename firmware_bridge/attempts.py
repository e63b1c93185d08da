"""Implements the retry rule of all drivers: two more attempts, then an error with the reason.

A failed attempt gives no value. A success after a failed attempt has the flag `retried`.
"""

from collections.abc import Callable
from typing import TypeVar

from contract.quantities import Flag
from firmware_bridge.board import Clock
from firmware_bridge.errors import BusError, SensorUnavailable

__all__ = ["ATTEMPTS", "Attempts"]

ATTEMPTS = 3

T = TypeVar("T")


class Attempts:
    """Runs a driver's attempt until it succeeds, faults, or has failed three times."""

    def __init__(self, where: str, clock: Clock, pause_s: float) -> None:
        """Store `where` (chip and place, for errors) and the pause between two attempts."""
        self._where = where
        self._clock = clock
        self._pause_s = pause_s

    def run(self, attempt: Callable[[], T]) -> tuple[T, frozenset[Flag]]:
        """Return the result of `attempt`, with the flag `retried` if the first attempt failed.

        Raises:
            SensorUnavailable: every attempt raised BusError or SensorUnavailable; the error is
                that of the last attempt.
            SensorFault: at once, because another attempt would not help.
        """
        retried: frozenset[Flag] = frozenset()
        for _ in range(ATTEMPTS - 1):
            try:
                return attempt(), retried
            except (BusError, SensorUnavailable):
                retried = frozenset({Flag.RETRIED})
                self._clock.sleep_s(self._pause_s)
        try:
            return attempt(), retried
        except BusError as error:
            text = f"{self._where}: no answer in {ATTEMPTS} attempts: {error}"
            raise SensorUnavailable(text, flag=Flag.NO_ANSWER) from error
