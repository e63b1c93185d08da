"""Defines a slot: the current and the previous bundle of one condition."""

from dataclasses import dataclass

from contract.desired import Sha256
from contract.typed import Id, Seq

__all__ = ["Slot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Names the bundles of one condition.

    Attributes:
        condition_id: The condition.
        current: sha256 of the bundle in use.
        counter: Highest counter ever swapped in; reverting a slot does not lower the counter.
        previous: sha256 of the bundle in use before; None if there was none.
    """

    condition_id: Id
    current: Sha256
    counter: Seq
    previous: Sha256 | None = None
