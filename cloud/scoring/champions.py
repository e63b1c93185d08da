"""Loads the champions of the registry as terms: models with the times in which they are in force.

A champion is the model in force of a condition; the registry's alias rows name the champions and
their first instants. Each bundle is verified before its model is used.
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
    """A time in which a model forecasts its condition; instants in ms since 1970 UTC.

    Attributes:
        condition: The condition's declaration.
        model: Name of the model.
        version: Version of the model.
        runnable: The verified model.
        from_at: First instant of the term.
        until_at: First instant of the next term; None for the present term.
    """

    condition: Condition
    model: str
    version: str
    runnable: OnnxModel
    from_at: int
    until_at: int | None


class ModelSource(Protocol):
    """The part of the registry that terms need."""

    def champions(self) -> Sequence[AliasRow]:
        """Return all champions, past and present, by condition and time."""
        ...

    def find(self, model: str, version: str) -> ModelRow | None:
        """Return a recorded model; None if it is not recorded."""
        ...

    def bundle_bytes(self, sha256: str) -> bytes:
        """Return the bytes of a bundle."""
        ...


class Champions:
    """Makes the terms of the declared conditions; reads and verifies each bundle once.

    A bundle for another declaration or for another version of the features makes no forecasts.
    """

    def __init__(
        self, registry: ModelSource, conditions: Sequence[Condition], trusted: TrustedKeys
    ) -> None:
        self._registry = registry
        self._conditions = {c.id: c for c in conditions}
        self._trusted = trusted
        self._known: dict[tuple[str, str], OnnxModel | None] = {}

    def terms(self) -> tuple[Term, ...]:
        """Return all terms, past and present, from the registry's present rows.

        Raises:
            WarehouseError: The registry does not answer.
            RegistryError: A champion is not recorded in the registry.
            BundleRefused: A bundle is not trusted, or its model gives wrong answers.
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
            raise RegistryError(
                f"{row.model} {row.version} is a champion, but is not recorded in table model"
            )
        bundle = unpack(self._registry.bundle_bytes(recorded.sha256), self._trusted)
        if not bundle.manifest.made_for(self._conditions[row.condition_id]):
            _log.warning(
                "%s %s was made for another declaration of %s: no forecasts until a new model is "
                "released",
                *(row.model, row.version, row.condition_id),
            )
            return None
        if not bundle.manifest.takes_our_features:
            _log.warning(
                "%s %s was made for other features than this program's: no forecasts until a new "
                "model is released",
                *(row.model, row.version),
            )
            return None
        return _checked(bundle, recorded.sha256)


def _checked(bundle: Bundle, sha256: str) -> OnnxModel:
    """Return the model after a check with the bundle's golden vectors, its expected answers.

    Raises:
        BundleRefused: The model's answers differ.
        ModelFailed: The model cannot be run.
    """
    condition, model = bundle.manifest.condition, OnnxModel(sha256, bundle.model)
    check_golden(
        bundle.golden,
        lambda grids, at_ms: features(grids, at_ms, condition).values,
        lambda rows: probabilities(model, rows),
    )
    return model
