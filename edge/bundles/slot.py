"""A slot: what runs for one condition."""

from dataclasses import dataclass

from contract.desired import Sha256
from contract.typed import Id, Seq

__all__ = ["Slot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What runs for one condition.

    Attributes:
        condition_id: The condition.
        current: sha256 of the bundle that runs.
        counter: The highest that was ever swapped in; it does not fall when a slot is reverted.
        previous: sha256 of the bundle before it.
    """

    condition_id: Id
    current: Sha256
    counter: Seq
    previous: Sha256 | None = None
