"""Which model was in force when, ready to be run: champions of the registry as terms.

Reads the registry and verifies each bundle before its bytes go anywhere. It decides nothing: the
alias rows say who was champion from when on.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

from cloud.registry import AliasRow, ModelRow, RegistryError
from cloud.scoring.predict import OnnxModel, probabilities
from models.bundle import Bundle, check_golden, unpack
from models.conditions import Condition
from models.features import features
from models.signing import TrustedKeys

__all__ = ["Champions", "ModelSource", "Term"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A model that forecasts its condition from one instant to another, ms since 1970 UTC.

    Attributes:
        condition: The declaration.
        model: Name of the model.
        version: Its version.
        runnable: What computes.
        from_at: First instant.
        until_at: First instant that is its successor's; None for the one in force.
    """

    condition: Condition
    model: str
    version: str
    runnable: OnnxModel
    from_at: int
    until_at: int | None


class ModelSource(Protocol):
    """What is recorded of models."""

    def champions(self) -> Sequence[AliasRow]:
        """Every champion there was, by condition and time."""
        ...

    def find(self, model: str, version: str) -> ModelRow | None:
        """A recorded model."""
        ...

    def bundle_bytes(self, sha256: str) -> bytes:
        """The bytes of a bundle."""
        ...


class Champions:
    """The terms of the declared conditions; each bundle is read and verified once.

    A bundle that was made for another declaration or for other features forecasts nothing.
    """

    def __init__(
        self, registry: ModelSource, conditions: Sequence[Condition], trusted: TrustedKeys
    ) -> None:
        self._registry = registry
        self._conditions = {c.id: c for c in conditions}
        self._trusted = trusted
        self._known: dict[tuple[str, str], OnnxModel | None] = {}

    def terms(self) -> tuple[Term, ...]:
        """Every term there was, as the registry tells now.

        Raises:
            WarehouseError: The registry does not answer.
            RegistryError: It names a model that it does not have.
            BundleRefused: A bundle is not to be trusted, or gives wrong answers.
        """
        rows = [r for r in self._registry.champions() if r.condition_id in self._conditions]
        return tuple(self._terms(sorted(rows, key=lambda r: (r.condition_id, r.from_at))))

    def _terms(self, rows: Sequence[AliasRow]) -> Iterator[Term]:
        for row, following in zip_longest(rows, rows[1:]):
            runnable = self._runnable(row)
            same = following is not None and following.condition_id == row.condition_id
            if runnable is not None:
                yield Term(
                    condition=self._conditions[row.condition_id],
                    model=row.model,
                    version=row.version,
                    runnable=runnable,
                    from_at=row.from_at,
                    until_at=following.from_at if same and following is not None else None,
                )

    def _runnable(self, row: AliasRow) -> OnnxModel | None:
        key = row.model, row.version
        if key not in self._known:
            self._known[key] = self._load(row)
        return self._known[key]

    def _load(self, row: AliasRow) -> OnnxModel | None:
        recorded = self._registry.find(row.model, row.version)
        if recorded is None:
            raise RegistryError(f"{row.model} {row.version} is champion and not recorded")
        bundle = unpack(self._registry.bundle_bytes(recorded.sha256), self._trusted)
        if not bundle.manifest.made_for(self._conditions[row.condition_id]):
            _log.warning(
                "%s %s was made for another declaration of %s: it forecasts nothing",
                *(row.model, row.version, row.condition_id),
            )
            return None
        if not bundle.manifest.takes_our_features:
            _log.warning(
                "%s %s was made for other features than this program's: it forecasts nothing",
                *(row.model, row.version),
            )
            return None
        return _checked(bundle, recorded.sha256)


def _checked(bundle: Bundle, sha256: str) -> OnnxModel:
    """The model, after it has answered the bundle's golden vectors.

    Raises:
        BundleRefused: It answered otherwise.
        ModelFailed: It cannot be run.
    """
    condition, model = bundle.manifest.condition, OnnxModel(sha256, bundle.model)
    check_golden(
        bundle.golden,
        lambda grids, at_ms: features(grids, at_ms, condition).values,
        lambda rows: probabilities(model, rows),
    )
    return model
