"""Defines the tables of truth, forecasts, outcomes, the registry, decisions and desired states.

Truth, forecasts and outcomes can be computed again from the lake and the registry. The registry,
decisions and desired states (the bundles that each device should run) have no other copy.
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
    "QUALITY_SPANS",
    "RELIABILITY",
    "TRUTH",
]


def _word(name: str, length: int = 63, *, nullable: bool = False) -> Column[Any]:
    return Column(name, mysql.VARCHAR(length), nullable=nullable)


def _integer(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, mysql.BIGINT(), nullable=nullable, autoincrement=False)


def _real(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, mysql.DOUBLE(asdecimal=False), nullable=nullable)


def _boolean(name: str) -> Column[Any]:
    return Column(name, mysql.BOOLEAN(), nullable=False)


def _instant(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Instant(), nullable=nullable)


def _model(*, nullable: bool = False) -> list[Column[Any]]:
    return [_word("model", nullable=nullable), _word("version", nullable=nullable)]


def _reals(*names: str) -> list[Column[Any]]:
    """Return columns of figures that are NULL if nothing was counted."""
    return [_real(name, nullable=True) for name in names]


def _column(column: RecordColumn) -> Column[Any]:
    """Return the column of a field of a cloud dataclass; all these fields are required."""
    if column.type is ColumnType.WORD:
        return _word(column.name, 13 if column.name == "stream_id" else 63)
    makers: dict[ColumnType, Callable[[str], Column[Any]]] = {
        ColumnType.INTEGER: _integer,
        ColumnType.INSTANT: _instant,
        ColumnType.REAL: _real,
        ColumnType.BOOLEAN: _boolean,
    }
    return makers[column.type](column.name)


# Grain: one row per interval in which a condition was true; ended_at is NULL while it still is.
# Column faults has the kinds of faults of its signals' readings, separated by commas.
TRUTH = Table(
    "truth",
    METADATA,
    _word("device_id"),
    _word("condition_id"),
    _instant("began_at"),
    _instant("ended_at", nullable=True),
    _real("began_value"),
    _real("ended_value", nullable=True),
    _word("faults", 200, nullable=True),
    PrimaryKeyConstraint("device_id", "condition_id", "began_at"),
    **OPTIONS,
)

# Grain: one row per forecast of the cloud; the key is the reading that completed the step, the
# condition and the model.
CLOUD_PREDICTIONS = Table(
    "cloud_prediction",
    METADATA,
    *map(_column, FORECAST_COLUMNS),
    PrimaryKeyConstraint("device_id", "stream_id", "seq", "condition_id", "model", "version"),
    Index("ix_cloud_prediction_issued", "condition_id", "device_id", "issued_at"),
    Index("ix_cloud_prediction_time", "issued_at", "device_id"),
    **OPTIONS,
)

# Grain: one row per forecast with a known truth; origin is edge or cloud.
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

# Of warnings and events on the judged weeks; NULL if no window was judged.
_COUNTS = ("lead_s", "warnings_total", "warnings_true", "events_total", "events_announced")

# Grain: one row per version of a model; the bundle file's name is its sha256, parameters are JSON.
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
    _real("warn_at", nullable=True),
    *(_integer(name, nullable=True) for name in _COUNTS),
    PrimaryKeyConstraint("model", "version"),
    # Gateways refuse a lower counter, so two bundles of one condition must not have the same one.
    Index("ux_model_counter", "condition_id", "counter", unique=True),
    **OPTIONS,
)

# Grain: one row per change of an alias, the role of a version; the latest from_at <= t is in force
# at t.
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

# Grain: one row per cycle and condition: the decision and its figures.
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

# Grain: one row per cycle, condition and tried family: scores of the selection.
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

# Grain: one row per cycle, condition, device and origin; an empty device or origin means all.
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
    _real("suspect_limits", nullable=True),
    _word("suspect", 500, nullable=True),
    PrimaryKeyConstraint("cycle_at", "condition_id", "device_id", "origin"),
    **OPTIONS,
)

# Grain: one row per span in which a signal's readings are unfit.
QUALITY_SPANS = Table(
    "quality_span",
    METADATA,
    *(_word(name) for name in ("device_id", "sensor_id", "quantity", "fault")),
    *(_instant(name) for name in ("begin_at", "end_at", "known_at")),
    _real("figure"),
    PrimaryKeyConstraint("device_id", "sensor_id", "quantity", "fault", "begin_at"),
    **OPTIONS,
)

# Grain: one row per cycle, condition, origin and bin of probability.
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

# Grain: one row per device: its signed desired state, the bundles that the device should run.
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
