"""Tables of models: truth, forecasts and what became of them, the registry, the fleet's desired.

Truth, forecasts and outcomes are functions of the lake and of the registry; the registry, decisions
and what the fleet is told to run are the cloud's own and have no other copy.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table
from sqlalchemy.dialects import mysql

from cloud.columns import Column as RecordColumn
from cloud.columns import ColumnType
from cloud.forecast import FORECAST_COLUMNS
from cloud.warehouse.tables import METADATA, OPTIONS, Instant

__all__ = [
    "CANDIDATES",
    "CLOUD_PREDICTIONS",
    "DECISIONS",
    "DESIRED",
    "MODELS",
    "MODEL_ALIASES",
    "MONITORING",
    "OUTCOMES",
    "RELIABILITY",
    "TRUTH",
]


def _word(name: str, length: int = 63, *, nullable: bool = False) -> Column[Any]:
    return Column(name, mysql.VARCHAR(length), nullable=nullable)


def _integer(name: str) -> Column[Any]:
    return Column(name, mysql.BIGINT(), nullable=False, autoincrement=False)


def _real(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, mysql.DOUBLE(asdecimal=False), nullable=nullable)


def _boolean(name: str) -> Column[Any]:
    return Column(name, mysql.BOOLEAN(), nullable=False)


def _instant(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Instant(), nullable=nullable)


def _model(*, nullable: bool = False) -> list[Column[Any]]:
    return [_word("model", nullable=nullable), _word("version", nullable=nullable)]


def _reals(*names: str) -> list[Column[Any]]:
    """Figures that do not exist where nothing was counted."""
    return [_real(name, nullable=True) for name in names]


def _column(column: RecordColumn) -> Column[Any]:
    """A column of a dataclass of the cloud's own, all of whose fields are required."""
    if column.type is ColumnType.WORD:
        return _word(column.name, 13 if column.name == "stream_id" else 63)
    makers: dict[ColumnType, Callable[[str], Column[Any]]] = {
        ColumnType.INTEGER: _integer,
        ColumnType.INSTANT: _instant,
        ColumnType.REAL: _real,
        ColumnType.BOOLEAN: _boolean,
    }
    return makers[column.type](column.name)


# Grain: one row per interval in which a condition held; without an end while it holds.
TRUTH = Table(
    "truth",
    METADATA,
    _word("device_id"),
    _word("condition_id"),
    _instant("began_at"),
    _instant("ended_at", nullable=True),
    _real("began_value"),
    _real("ended_value", nullable=True),
    PrimaryKeyConstraint("device_id", "condition_id", "began_at"),
    **OPTIONS,
)

# Grain: one row per forecast of the cloud: the reading that completed the step, and the model.
CLOUD_PREDICTIONS = Table(
    "cloud_prediction",
    METADATA,
    *map(_column, FORECAST_COLUMNS),
    PrimaryKeyConstraint("device_id", "stream_id", "seq", "condition_id", "model", "version"),
    Index("ix_cloud_prediction_issued", "condition_id", "device_id", "issued_at"),
    **OPTIONS,
)

# Grain: one row per forecast whose truth is known; origin says who made it.
OUTCOMES = Table(
    "outcome",
    METADATA,
    _word("device_id"),
    _word("condition_id"),
    _word("origin"),
    _instant("issued_at"),
    *_model(),
    _integer("horizon_s"),
    _real("probability"),
    _real("baseline_probability", nullable=True),
    _boolean("onset"),
    PrimaryKeyConstraint("device_id", "condition_id", "origin", "issued_at", "model", "version"),
    Index("ix_outcome_issued", "condition_id", "issued_at"),
    **OPTIONS,
)

# Grain: one row per version of a model; its file is named by sha256, its parameters are JSON.
MODELS = Table(
    "model",
    METADATA,
    *_model(),
    _word("condition_id"),
    _word("family"),
    _integer("counter"),
    _instant("created_at"),
    _instant("trained_from"),
    _instant("trained_to"),
    _word("dataset_version", 200),
    _word("code_version", 200),
    Column("parameters", mysql.MEDIUMTEXT(), nullable=False),
    _integer("seed"),
    _word("sha256", 64),
    _integer("size_bytes"),
    _real("parity_max"),
    PrimaryKeyConstraint("model", "version"),
    # Gateways refuse a lower counter: two bundles of one condition must never share one.
    Index("ux_model_counter", "condition_id", "counter", unique=True),
    **OPTIONS,
)

# Grain: one row per change of an alias; the one in force at t is the latest from_at <= t.
MODEL_ALIASES = Table(
    "model_alias",
    METADATA,
    _word("condition_id"),
    _word("alias"),
    _instant("from_at"),
    *_model(),
    PrimaryKeyConstraint("condition_id", "alias", "from_at"),
    **OPTIONS,
)

# Grain: one row per cycle and condition: what was decided, on which figures.
DECISIONS = Table(
    "decision",
    METADATA,
    _instant("cycle_at"),
    _word("condition_id"),
    _word("candidate", nullable=True),
    *_reals("brier_baseline", "brier_model", "skill", "skill_low", "skill_high"),
    _integer("event_weeks"),
    _integer("windows_total"),
    _word("decision"),
    _word("reason", 500),
    *_model(nullable=True),
    PrimaryKeyConstraint("cycle_at", "condition_id"),
    **OPTIONS,
)

# Grain: one row per cycle, condition and family that was tried: scores of the selection.
CANDIDATES = Table(
    "candidate",
    METADATA,
    _instant("cycle_at"),
    _word("condition_id"),
    _word("family"),
    *_reals("brier", "brier_baseline", "skill"),
    _integer("windows_total"),
    PrimaryKeyConstraint("cycle_at", "condition_id", "family"),
    **OPTIONS,
)

# Grain: one row per cycle, condition, device and origin; an empty device or origin is all of them.
MONITORING = Table(
    "monitoring",
    METADATA,
    _instant("cycle_at"),
    _word("condition_id"),
    _word("device_id"),
    _word("origin"),
    _integer("outcomes_total"),
    _integer("onsets_total"),
    _integer("event_weeks"),
    *_reals("brier", "brier_baseline", "skill", "skill_low", "skill_high", "drift_psi"),
    _boolean("retrain"),
    _word("reason", 500, nullable=True),
    PrimaryKeyConstraint("cycle_at", "condition_id", "device_id", "origin"),
    **OPTIONS,
)

# Grain: one row per cycle, condition, origin and bin of probability: forecast against share.
RELIABILITY = Table(
    "reliability",
    METADATA,
    _instant("cycle_at"),
    _word("condition_id"),
    _word("origin"),
    _integer("bin"),
    _integer("outcomes_total"),
    *_reals("mean_probability", "onset_share"),
    PrimaryKeyConstraint("cycle_at", "condition_id", "origin", "bin"),
    **OPTIONS,
)

# Grain: one row per device: the signed message that says what it should run.
DESIRED = Table(
    "desired",
    METADATA,
    _word("device_id"),
    _integer("counter"),
    _instant("issued_at"),
    Column("payload", mysql.LONGBLOB(), nullable=False),
    PrimaryKeyConstraint("device_id"),
    **OPTIONS,
)
