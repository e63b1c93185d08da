"""Stores released models: bundle files that are written once, rows about them, and aliases.

A bundle file is named by its sha256, and `cloud.api` serves it from the same folder. An alias
(champion, challenger, baseline) names a model version from an instant on; at any time, the latest
row that has begun counts. The registry verifies no signatures: a program that runs a bundle does.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import Connection, Engine, Select, Table, and_, func, select
from sqlalchemy.dialects.mysql import insert

from cloud.errors import LakeExists
from cloud.expectation import Expectation
from cloud.lake.store import FolderStore
from cloud.warehouse.engine import converted
from cloud.warehouse.model_tables import DECISIONS, MODEL_ALIASES, MODELS
from contract.errors import DewlineError

__all__ = [
    "Alias",
    "AliasRow",
    "DecisionRow",
    "ModelRow",
    "Registry",
    "RegistryError",
    "bundle_path",
    "in_force",
]

_BASELINE_FAMILY = "baseline"  # of `models.bundle.Family`, which needs numpy


class RegistryError(DewlineError):
    """A new row contradicts an existing one, or a bundle is damaged; nothing was changed."""

    retryable: ClassVar[bool] = False


class Alias(StrEnum):
    """Role of a model version for its condition."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    BASELINE = "baseline"  # both are compared with it, even if it is not released


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One version of a model; instants are ms since 1970 UTC.

    Attributes:
        model: Name of the model.
        version: Version of the model.
        condition_id: Condition that the model forecasts.
        family: Family of learners: `baseline`, `sklearn` or `mllib`.
        counter: Counter of the bundle, larger than that of any earlier one of the condition.
        created_at: When the model was made.
        trained_from: Begin of the training data.
        trained_to: End of the training data.
        dataset_version: Version of the lake's table that it was trained on.
        code_version: Version of the program that trained it.
        parameters: Chosen parameters, JSON.
        seed: Random seed of the training.
        sha256: SHA-256 of the bundle's file, 64 hexadecimal digits.
        size_bytes: Size of the bundle's file.
        parity_max: Largest difference between the trained model and the ONNX one.
        warn_at: Probability from which a forecast raised a warning on the judged weeks. This and
            the counts below are None if no window was judged; see `Expectation`.
        lead_s: See `Expectation`, as the rest.
    """

    model: str
    version: str
    condition_id: str
    family: str
    counter: int
    created_at: int
    trained_from: int
    trained_to: int
    dataset_version: str
    code_version: str
    parameters: str
    seed: int
    sha256: str
    size_bytes: int
    parity_max: float
    warn_at: float | None = None
    lead_s: int | None = None
    warnings_total: int | None = None
    warnings_true: int | None = None
    events_total: int | None = None
    events_announced: int | None = None

    @property
    def expectation(self) -> Expectation | None:
        """What you can expect of its warnings; None if no window was judged."""
        found = {field.name: getattr(self, field.name) for field in fields(Expectation)}
        return None if None in found.values() else Expectation(**found)


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasRow:
    """The model version that an alias names from an instant on (ms since 1970 UTC)."""

    condition_id: str
    alias: Alias
    from_at: int
    model: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """A cycle's decision for a condition; figures are None if no windows were scored."""

    cycle_at: int
    condition_id: str
    candidate: str | None
    brier_baseline: float | None
    brier_model: float | None
    skill: float | None
    skill_low: float | None
    skill_high: float | None
    event_weeks: int
    windows_total: int
    decision: str
    reason: str
    model: str | None
    version: str | None


def bundle_path(folder: Path, sha256: str) -> Path:
    """Returns the path of the bundle with this sha256 in a registry's folder."""
    return folder / _file(sha256)


def in_force(rows: Sequence[AliasRow], condition_id: str, at_ms: int) -> AliasRow | None:
    """Returns the row of a condition that counts at an instant; `rows` are those of one alias."""
    begun = [row for row in rows if row.condition_id == condition_id and row.from_at <= at_ms]
    return max(begun, key=lambda row: row.from_at, default=None)


class Registry:
    """Files in a folder and rows in the warehouse; a file is durable before a row names it."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._store = FolderStore(folder)

    def put(self, bundle: bytes) -> str:
        """Stores a bundle's file and returns its sha256; repeating it is safe.

        Raises:
            LakeError: The disk failed.
            RegistryError: The existing file does not have the sha256 of its name.
        """
        sha256 = hashlib.sha256(bundle).hexdigest()
        try:
            self._store.create(_file(sha256), bundle)
        except LakeExists:
            self.bundle_bytes(sha256)
        return sha256

    def bundle_bytes(self, sha256: str) -> bytes:
        """Reads the bytes of a bundle.

        Raises:
            LakeMissing: No such bundle exists.
            RegistryError: The file is damaged.
        """
        data = self._store.read(_file(sha256))
        if hashlib.sha256(data).hexdigest() != sha256:
            raise RegistryError(
                f"{_file(sha256)} of the registry is damaged: its bytes have another sha256; "
                "restore it from a backup, or remove it and run the cycle again"
            )
        return data

    def record(self, row: ModelRow) -> None:
        """Records a model whose bundle is stored; repeating it is safe.

        Raises:
            LakeMissing: The bundle is not stored.
            RegistryError: The version is recorded with other values, or its counter is taken.
            WarehouseError: Nothing was written.
        """
        if len(self.bundle_bytes(row.sha256)) != row.size_bytes:
            raise RegistryError(
                f"{row.model} {row.version}: size_bytes is not the size of its bundle"
            )
        with converted(), self._engine.begin() as connection:
            if _kept(connection, MODELS, asdict(row)) != asdict(row):
                raise RegistryError(
                    f"{row.model} {row.version} is recorded with other values, or counter "
                    f"{row.counter} of {row.condition_id} is used by another model; a recorded "
                    "version never changes, so choose a new one"
                )

    def find(self, model: str, version: str) -> ModelRow | None:
        """Finds a recorded model; None if it does not exist. Raises WarehouseError."""
        query = select(MODELS).where(MODELS.c.model == model, MODELS.c.version == version)
        with converted(), self._engine.connect() as connection:
            found = connection.execute(query).one_or_none()
        return None if found is None else ModelRow(**found._asdict())

    def models(self) -> tuple[ModelRow, ...]:
        """Returns every recorded model, by condition and counter. Raises WarehouseError."""
        query = select(MODELS).order_by(MODELS.c.condition_id, MODELS.c.counter)
        with converted(), self._engine.connect() as connection:
            return tuple(ModelRow(**row._asdict()) for row in connection.execute(query))

    def next_counter(self, condition_id: str) -> int:
        """Returns the counter of the condition's next bundle, from 1. Raises WarehouseError."""
        query = select(func.max(MODELS.c.counter)).where(MODELS.c.condition_id == condition_id)
        with converted(), self._engine.connect() as connection:
            return int(connection.scalar(query) or 0) + 1

    def set_alias(self, row: AliasRow) -> None:
        """Lets an alias name a version from an instant on; repeating it is safe.

        Raises:
            RegistryError: The condition has no such model, or the alias names another from then on.
            WarehouseError: Nothing was written.
        """
        found = self.find(row.model, row.version)
        if found is None or found.condition_id != row.condition_id:
            raise RegistryError(
                f"{row.model} {row.version} is not recorded for {row.condition_id}; record it first"
            )
        wanted = asdict(row) | {"alias": row.alias.value}
        with converted(), self._engine.begin() as connection:
            kept = _kept(connection, MODEL_ALIASES, wanted)
            if kept != wanted:
                raise RegistryError(
                    f"the {row.alias} of {row.condition_id} from this instant on is already "
                    f"{kept['model']} {kept['version']}; an alias is never changed afterwards"
                )

    def champion_at(self, condition_id: str, at_ms: int) -> ModelRow | None:
        """Finds the champion at an instant (ms since 1970 UTC); None before the first.

        Raises:
            WarehouseError: The server did not answer.
        """
        return self._latest(_champions_until(condition_id, at_ms))

    def withdrawn_at(self, condition_id: str, at_ms: int) -> ModelRow | None:
        """Finds the champion that was withdrawn last before an instant (ms since 1970 UTC).

        Returns:
            The last champion that is no baseline; None if there is none, or if it is in force.

        Raises:
            WarehouseError: The server did not answer.
        """
        query = _champions_until(condition_id, at_ms)
        found = self._latest(query.where(MODELS.c.family != _BASELINE_FAMILY))
        return None if found == self._latest(query) else found

    def _latest(self, query: Select[Any]) -> ModelRow | None:
        with converted(), self._engine.connect() as connection:
            found = connection.execute(query.limit(1)).one_or_none()
        return None if found is None else ModelRow(**found._asdict())

    def champions(self) -> tuple[AliasRow, ...]:
        """Returns every champion so far, by condition and time; see `in_force`."""
        return tuple(row for row in self.aliases() if row.alias is Alias.CHAMPION)

    def aliases(self) -> tuple[AliasRow, ...]:
        """Returns every alias so far, by condition, alias and time. Raises WarehouseError."""
        at = MODEL_ALIASES.c
        query = select(MODEL_ALIASES).order_by(at.condition_id, at.alias, at.from_at)
        with converted(), self._engine.connect() as connection:
            rows = [row._asdict() for row in connection.execute(query)]
        return tuple(AliasRow(**row | {"alias": Alias(row["alias"])}) for row in rows)

    def decisions(self) -> tuple[DecisionRow, ...]:
        """Returns every decision, oldest first. Raises WarehouseError."""
        query = select(DECISIONS).order_by(DECISIONS.c.cycle_at, DECISIONS.c.condition_id)
        with converted(), self._engine.connect() as connection:
            return tuple(DecisionRow(**row._asdict()) for row in connection.execute(query))


def _champions_until(condition_id: str, at_ms: int) -> Select[Any]:
    """Returns a query of a condition's champions up to an instant, latest first."""
    alias, model = MODEL_ALIASES.c, MODELS.c
    same = and_(alias.model == model.model, alias.version == model.version)
    return (
        select(MODELS)
        .join(MODEL_ALIASES, same)
        .where(alias.condition_id == condition_id, alias.alias == Alias.CHAMPION.value)
        .where(alias.from_at <= at_ms)
        .order_by(alias.from_at.desc())
    )


def _file(sha256: str) -> str:
    return f"bundles/{sha256}.dwb"


def _kept(connection: Connection, table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Inserts a row unless its key exists; returns the row with the key, or an empty one."""
    key = [column.name for column in table.primary_key]
    # Assigning a key to itself changes nothing, even if another unique key caused the conflict.
    nothing = {key[0]: table.c[key[0]]}
    connection.execute(insert(table).values(row).on_duplicate_key_update(nothing))
    same = [table.c[name] == row[name] for name in key]
    found = connection.execute(select(table).where(*same)).one_or_none()
    return {} if found is None else found._asdict()
