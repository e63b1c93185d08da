"""Creates the tables of truth, forecasts, outcomes, registry, decisions and desired states.

As in the first revision, the SQL is written out, with one statement for each table. There is no
downgrade. The few tables that cannot be computed from the lake are small; back them up.
"""

from alembic import op

__all__ = ["upgrade"]

revision = "0002"
down_revision = "0001"

_OPTIONS = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
_TABLES = {
    "truth": """
    device_id VARCHAR(63) NOT NULL,
    condition_id VARCHAR(63) NOT NULL,
    began_at DATETIME(3) NOT NULL,
    ended_at DATETIME(3) NULL,
    began_value DOUBLE NOT NULL,
    ended_value DOUBLE NULL,
    PRIMARY KEY (device_id, condition_id, began_at)""",
    "cloud_prediction": """
    device_id VARCHAR(63) NOT NULL,
    stream_id VARCHAR(13) NOT NULL,
    seq BIGINT NOT NULL,
    condition_id VARCHAR(63) NOT NULL,
    model VARCHAR(63) NOT NULL,
    version VARCHAR(63) NOT NULL,
    issued_at DATETIME(3) NOT NULL,
    horizon_s BIGINT NOT NULL,
    probability DOUBLE NOT NULL,
    late BOOLEAN NOT NULL,
    PRIMARY KEY (device_id, stream_id, seq, condition_id, model, version),
    KEY ix_cloud_prediction_issued (condition_id, device_id, issued_at)""",
    "outcome": """
    device_id VARCHAR(63) NOT NULL,
    condition_id VARCHAR(63) NOT NULL,
    origin VARCHAR(63) NOT NULL,
    issued_at DATETIME(3) NOT NULL,
    model VARCHAR(63) NOT NULL,
    version VARCHAR(63) NOT NULL,
    horizon_s BIGINT NOT NULL,
    probability DOUBLE NOT NULL,
    baseline_probability DOUBLE NULL,
    onset BOOLEAN NOT NULL,
    PRIMARY KEY (device_id, condition_id, origin, issued_at, model, version),
    KEY ix_outcome_issued (condition_id, issued_at)""",
    "model": """
    model VARCHAR(63) NOT NULL,
    version VARCHAR(63) NOT NULL,
    condition_id VARCHAR(63) NOT NULL,
    family VARCHAR(63) NOT NULL,
    counter BIGINT NOT NULL,
    created_at DATETIME(3) NOT NULL,
    trained_from DATETIME(3) NOT NULL,
    trained_to DATETIME(3) NOT NULL,
    dataset_version VARCHAR(200) NOT NULL,
    code_version VARCHAR(200) NOT NULL,
    parameters MEDIUMTEXT NOT NULL,
    seed BIGINT NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    size_bytes BIGINT NOT NULL,
    parity_max DOUBLE NOT NULL,
    PRIMARY KEY (model, version),
    UNIQUE KEY ux_model_counter (condition_id, counter)""",
    "model_alias": """
    condition_id VARCHAR(63) NOT NULL,
    alias VARCHAR(63) NOT NULL,
    from_at DATETIME(3) NOT NULL,
    model VARCHAR(63) NOT NULL,
    version VARCHAR(63) NOT NULL,
    PRIMARY KEY (condition_id, alias, from_at)""",
    "decision": """
    cycle_at DATETIME(3) NOT NULL,
    condition_id VARCHAR(63) NOT NULL,
    candidate VARCHAR(63) NULL,
    brier_baseline DOUBLE NULL,
    brier_model DOUBLE NULL,
    skill DOUBLE NULL,
    skill_low DOUBLE NULL,
    skill_high DOUBLE NULL,
    event_weeks BIGINT NOT NULL,
    windows_total BIGINT NOT NULL,
    decision VARCHAR(63) NOT NULL,
    reason VARCHAR(500) NOT NULL,
    model VARCHAR(63) NULL,
    version VARCHAR(63) NULL,
    PRIMARY KEY (cycle_at, condition_id)""",
    "candidate": """
    cycle_at DATETIME(3) NOT NULL,
    condition_id VARCHAR(63) NOT NULL,
    family VARCHAR(63) NOT NULL,
    brier DOUBLE NULL,
    brier_baseline DOUBLE NULL,
    skill DOUBLE NULL,
    windows_total BIGINT NOT NULL,
    PRIMARY KEY (cycle_at, condition_id, family)""",
    "monitoring": """
    cycle_at DATETIME(3) NOT NULL,
    condition_id VARCHAR(63) NOT NULL,
    device_id VARCHAR(63) NOT NULL,
    origin VARCHAR(63) NOT NULL,
    outcomes_total BIGINT NOT NULL,
    onsets_total BIGINT NOT NULL,
    event_weeks BIGINT NOT NULL,
    brier DOUBLE NULL,
    brier_baseline DOUBLE NULL,
    skill DOUBLE NULL,
    skill_low DOUBLE NULL,
    skill_high DOUBLE NULL,
    drift_psi DOUBLE NULL,
    retrain BOOLEAN NOT NULL,
    reason VARCHAR(500) NULL,
    PRIMARY KEY (cycle_at, condition_id, device_id, origin)""",
    "reliability": """
    cycle_at DATETIME(3) NOT NULL,
    condition_id VARCHAR(63) NOT NULL,
    origin VARCHAR(63) NOT NULL,
    bin BIGINT NOT NULL,
    outcomes_total BIGINT NOT NULL,
    mean_probability DOUBLE NULL,
    onset_share DOUBLE NULL,
    PRIMARY KEY (cycle_at, condition_id, origin, bin)""",
    "desired": """
    device_id VARCHAR(63) NOT NULL,
    counter BIGINT NOT NULL,
    issued_at DATETIME(3) NOT NULL,
    payload LONGBLOB NOT NULL,
    PRIMARY KEY (device_id)""",
}


def upgrade() -> None:
    """Create the tables that do not exist yet."""
    for name, body in _TABLES.items():
        op.execute(f"CREATE TABLE IF NOT EXISTS `{name}` ({body}\n) {_OPTIONS}")
