"""Creates the first tables: a fact and a staging table per kind, the ledger, the quarantine.

The SQL is written out and not made from the metadata, because a released revision must not change
with the code. One part has changed: the staging tables' primary key, without which some servers
refuse these tables (see revision 0003).

MySQL commits each DDL statement separately, and a migration that was killed must be able to run
again. So each table is one statement with its indexes and `IF NOT EXISTS`. There is no downgrade:
every table is a projection of the lake, so an older program can fill a new database.
"""

from alembic import op

__all__ = ["upgrade"]

revision = "0001"
down_revision = None

_OPTIONS = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
_COMMON = """
    device_id VARCHAR(63) NOT NULL,
    stream_id VARCHAR(13) NOT NULL,
    seq BIGINT NOT NULL,
    event_day DATE NOT NULL,
    observed_at DATETIME(3) NULL,
    offset_ms BIGINT NOT NULL,
    received_at DATETIME(3) NOT NULL,"""
_KINDS = {
    "reading": """
    sensor_id VARCHAR(63) NOT NULL,
    quantity VARCHAR(200) NOT NULL,
    `value` DOUBLE NULL,
    quality VARCHAR(200) NOT NULL,
    flags MEDIUMTEXT NULL,
    calibration VARCHAR(200) NULL,
    statistic VARCHAR(200) NULL,
    span_s DOUBLE NULL,
    `count` BIGINT NULL,""",
    "prediction": """
    condition_id VARCHAR(63) NOT NULL,
    model VARCHAR(200) NOT NULL,
    version VARCHAR(200) NOT NULL,
    horizon_s BIGINT NOT NULL,
    probability DOUBLE NOT NULL,
    origin VARCHAR(200) NOT NULL,
    `mode` VARCHAR(200) NOT NULL,""",
    "alert": """
    alert_id VARCHAR(63) NOT NULL,
    condition_id VARCHAR(63) NOT NULL,
    state VARCHAR(200) NOT NULL,
    basis VARCHAR(200) NOT NULL,
    `value` DOUBLE NULL,
    probability DOUBLE NULL,
    receipts MEDIUMTEXT NULL,""",
    "status": """
    phase VARCHAR(200) NOT NULL,
    version VARCHAR(200) NOT NULL,
    previous_stream_id VARCHAR(13) NULL,
    previous_last BIGINT NULL,
    samples_total BIGINT NOT NULL,
    sample_failures_total BIGINT NOT NULL,
    committed_total BIGINT NOT NULL,
    queued_blocks BIGINT NOT NULL,
    queued_bytes BIGINT NOT NULL,""",
    "model_report": """
    model VARCHAR(200) NOT NULL,
    version VARCHAR(200) NOT NULL,
    outcome VARCHAR(200) NOT NULL,
    reason VARCHAR(200) NULL,""",
    "loss": """
    reason VARCHAR(200) NOT NULL,
    lost MEDIUMTEXT NULL,
    from_at DATETIME(3) NULL,
    to_at DATETIME(3) NULL,
    estimated_total BIGINT NULL,""",
    "clock_fix": """
    utc_at DATETIME(3) NOT NULL,
    uncertainty_ms BIGINT NOT NULL,""",
    "held": """
    spans MEDIUMTEXT NULL,
    truncated BOOLEAN NOT NULL,""",
}
_EVENT_KEY = """
    device_id VARCHAR(63) NOT NULL,
    stream_id VARCHAR(13) NOT NULL,
    seq BIGINT NOT NULL,
    digest VARCHAR(16) NOT NULL,
    received_at DATETIME(3) NOT NULL,"""
_LEDGER = {
    "ledger_delivery": """
    device_id VARCHAR(63) NOT NULL,
    stream_id VARCHAR(13) NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    received_at DATETIME(3) NOT NULL,
    node VARCHAR(63) NOT NULL,
    start_id VARCHAR(63) NOT NULL,
    lane VARCHAR(8) NOT NULL,
    n BIGINT NOT NULL,
    digest VARCHAR(16) NOT NULL,
    payload_bytes BIGINT NOT NULL,
    first_at DATETIME(3) NULL,
    last_at DATETIME(3) NULL,
    reading_total BIGINT NOT NULL,
    prediction_total BIGINT NOT NULL,
    alert_total BIGINT NOT NULL,
    status_total BIGINT NOT NULL,
    model_report_total BIGINT NOT NULL,
    loss_total BIGINT NOT NULL,
    clock_fix_total BIGINT NOT NULL,
    held_total BIGINT NOT NULL,
    PRIMARY KEY (device_id, stream_id, first_seq, last_seq, received_at,
                 node, n, start_id, lane, digest)""",
    "ledger_stream": f"""{_EVENT_KEY}
    previous_stream_id VARCHAR(13) NULL,
    previous_last BIGINT NULL,
    PRIMARY KEY (device_id, stream_id, seq, digest)""",
    "ledger_loss": f"""{_EVENT_KEY}
    reason VARCHAR(63) NOT NULL,
    lost_stream_id VARCHAR(13) NULL,
    lost_first BIGINT NULL,
    lost_last BIGINT NULL,
    from_at DATETIME(3) NULL,
    to_at DATETIME(3) NULL,
    estimated_total BIGINT NULL,
    PRIMARY KEY (device_id, stream_id, seq, digest)""",
    "ledger_held": f"""{_EVENT_KEY}
    truncated BOOLEAN NOT NULL,
    spans MEDIUMTEXT NOT NULL,
    PRIMARY KEY (device_id, stream_id, seq, digest)""",
    "quarantine_block": """
    device_id VARCHAR(63) NOT NULL,
    digest VARCHAR(16) NOT NULL,
    code VARCHAR(63) NOT NULL,
    reason VARCHAR(500) NOT NULL,
    topic VARCHAR(200) NULL,
    record_key VARCHAR(100) NULL,
    received_at DATETIME(3) NOT NULL,
    node VARCHAR(63) NULL,
    start_id VARCHAR(63) NULL,
    lane VARCHAR(8) NULL,
    n BIGINT NULL,
    payload MEDIUMBLOB NOT NULL,
    PRIMARY KEY (device_id, digest, code),
    KEY ix_quarantine_block_received (received_at)""",
}


def upgrade() -> None:
    """Create the tables that do not exist yet."""
    for kind, own in _KINDS.items():
        signal = ""
        if kind == "reading":
            signal = (
                ",\n    KEY ix_fct_reading_signal (device_id, sensor_id, quantity, observed_at)"
            )
        _create(
            f"fct_{kind}",
            f"""{_COMMON}{own}
    PRIMARY KEY (device_id, stream_id, seq, event_day),
    KEY ix_fct_{kind}_day (event_day, device_id){signal}""",
        )
        _create(
            f"stg_{kind}",
            f"""
    row_id BIGINT NOT NULL AUTO_INCREMENT,
    batch_id VARCHAR(63) NOT NULL,{_COMMON}{own}
    PRIMARY KEY (row_id),
    KEY ix_stg_{kind}_batch (batch_id, device_id, stream_id, seq)""",
        )
    for name, body in _LEDGER.items():
        _create(name, body)


def _create(name: str, body: str) -> None:
    op.execute(f"CREATE TABLE IF NOT EXISTS `{name}` ({body}\n) {_OPTIONS}")
