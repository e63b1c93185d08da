"""Judges whether a gateway is healthy, from the facts that the warehouse has about it."""

from dataclasses import dataclass
from enum import StrEnum

from cloud.instants import shown_instant, shown_span

__all__ = [
    "Asked",
    "GatewayFacts",
    "GatewayHealth",
    "ModelState",
    "StatusFigures",
    "Verdict",
    "judge",
]


class Verdict(StrEnum):
    """Health of a gateway."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"  # no block was ever received from it


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusFigures:
    """The newest Status record that the transform has written.

    Attributes:
        received_at: When the record was received, ms since 1970 UTC.
        phase: start, running or stop.
        version: Version of the gateway's program.
        samples_total: Readings sampled in the record's stream until then.
        sample_failures_total: Number of these readings without a value.
        queued_blocks: Blocks in the outbox.
        queued_bytes: Payload bytes of these blocks.
    """

    received_at: int
    phase: str
    version: str
    samples_total: int
    sample_failures_total: int
    queued_blocks: int
    queued_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """The bundle that a gateway should run for a condition, and its last report on that bundle.

    Attributes:
        condition_id: The condition.
        model: Name of the desired bundle.
        version: Version of the bundle.
        reported: Outcome in the last report; None if there is no report yet.
        reason: The gateway's reason, if the report has one.
        reported_at: When the report was received, ms since 1970 UTC.
    """

    condition_id: str
    model: str
    version: str
    reported: str | None = None
    reason: str | None = None
    reported_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayFacts:
    """Facts about a gateway from the warehouse; instants in ms since 1970 UTC.

    Attributes:
        device_id: The gateway.
        heard_at: When its newest block was received; None: never.
        reading_at: When its newest block with readings was received.
        status_at: When its newest block with a Status was received.
        figures: The newest Status that the transform has written.
        models: One for each bundle that it should run.
        unexplained: Record numbers that are neither stored, lost nor held.
        doubled: Record numbers that two different blocks contain.
        set_aside_blocks: Blocks with records that every projection leaves out, because their
            times or numbers are not plausible.
        set_aside_reason: Reason of the newest of these blocks; None if there are none.
    """

    device_id: str
    heard_at: int | None = None
    reading_at: int | None = None
    status_at: int | None = None
    figures: StatusFigures | None = None
    models: tuple[ModelState, ...] = ()
    unexplained: int = 0
    doubled: int = 0
    set_aside_blocks: int = 0
    set_aside_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Criteria for every gateway; instants in ms since 1970 UTC.

    Attributes:
        now: Current time.
        silent_s: Time without a block after which a gateway is unhealthy, seconds; only used if
            `since` is None.
        ledger_from: Record numbers that were received before this instant count as stored.
        since: A block with readings must have been received after this instant.
    """

    now: int
    silent_s: float
    ledger_from: int
    since: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayHealth:
    """A verdict with the facts behind it.

    Attributes:
        known: Facts about the gateway.
        verdict: Health of the gateway.
        reasons: Why the gateway is not healthy; empty if it is.
    """

    known: GatewayFacts
    verdict: Verdict
    reasons: tuple[str, ...]


def judge(known: GatewayFacts, asked: Asked) -> GatewayHealth:
    """Judges one gateway."""
    if known.heard_at is None and not known.set_aside_blocks:
        return GatewayHealth(
            known=known, verdict=Verdict.UNKNOWN, reasons=("no block was ever received from it",)
        )
    reasons = (
        *_silence(known, asked),
        *_ledger(known),
        *_set_aside(known),
        *_sensors(known),
        *_models(known),
    )
    verdict = Verdict.UNHEALTHY if reasons else Verdict.HEALTHY
    return GatewayHealth(known=known, verdict=verdict, reasons=reasons)


def _silence(known: GatewayFacts, asked: Asked) -> list[str]:
    heard_at = known.heard_at
    if heard_at is None:
        return []  # all its blocks are set aside
    if asked.since is None:
        silent_ms = asked.now - heard_at
        return (
            [f"no block received for {shown_span(silent_ms)}"]
            if silent_ms > asked.silent_s * 1000
            else []
        )
    since = shown_instant(asked.since)
    if heard_at <= asked.since:
        return [f"no block received since {since}"]
    if known.reading_at is None or known.reading_at <= asked.since:
        return [f"no reading received since {since}"]
    return []


def _ledger(known: GatewayFacts) -> list[str]:
    counts = (("unexplained", known.unexplained), ("doubled", known.doubled))
    return [f"{total} numbers are {what}" for what, total in counts if total]


def _set_aside(known: GatewayFacts) -> list[str]:
    total = known.set_aside_blocks
    blocks = "1 block has" if total == 1 else f"{total} blocks have"
    return [f"{blocks} records set aside: {known.set_aside_reason}"] if total else []


def _sensors(known: GatewayFacts) -> list[str]:
    figures = known.figures
    if figures is None or figures.received_at < (known.status_at or 0):
        return []  # an older Status does not describe the current state
    failures = figures.sample_failures_total
    if figures.samples_total and failures == figures.samples_total:
        return [f"all {failures} samples of its current stream failed"]
    return []


def _models(known: GatewayFacts) -> list[str]:
    return [
        f"{m.condition_id}: {m.model} {m.version} {m.reported}"
        + (f": {m.reason}" if m.reason else "")
        for m in known.models
        if m.reported not in (None, "active")
    ]
