"""Whether a gateway is healthy: a pure function of what the warehouse knows of it."""

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
    """What a rollout may conclude."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"  # nothing has ever come from it


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusFigures:
    """The newest Status record that the transform has written.

    Attributes:
        received_at: When it came, ms since 1970 UTC.
        phase: start, running or stop.
        version: Of the gateway's program.
        samples_total: Readings sampled in its stream until then.
        sample_failures_total: Of these, the ones without a value.
        queued_blocks: Blocks in the outbox.
        queued_bytes: Their payload bytes.
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
    """What a gateway should run for a condition, and what it last said of that very bundle.

    Attributes:
        condition_id: The condition.
        model: Name of the desired bundle.
        version: Its version.
        reported: Outcome of the last report, None if none has been written yet.
        reason: Of the gateway, where it gave one.
        reported_at: When that report came, ms since 1970 UTC.
    """

    condition_id: str
    model: str
    version: str
    reported: str | None = None
    reason: str | None = None
    reported_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayFacts:
    """What the warehouse knows of a gateway; instants in ms since 1970 UTC.

    Attributes:
        device_id: The gateway.
        heard_at: When its newest block came; None: never.
        reading_at: When the newest block with readings came.
        status_at: When the newest block with a Status came.
        figures: The newest Status that the transform has written.
        models: One for each bundle that it should run.
        unexplained: Numbers that nobody accounts for.
        doubled: Numbers that two blocks claim.
    """

    device_id: str
    heard_at: int | None = None
    reading_at: int | None = None
    status_at: int | None = None
    figures: StatusFigures | None = None
    models: tuple[ModelState, ...] = ()
    unexplained: int = 0
    doubled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of every gateway; instants in ms since 1970 UTC.

    Attributes:
        now: Now.
        silent_s: Unheard for longer is unhealthy, seconds; if `since` is None.
        ledger_from: Numbers that came before this instant are taken for granted.
        since: It must have been heard, with readings, after this instant.
    """

    now: int
    silent_s: float
    ledger_from: int
    since: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayHealth:
    """A verdict, with all that it rests on.

    Attributes:
        known: What was looked at.
        verdict: The conclusion.
        reasons: Why it is not healthy; empty if it is.
    """

    known: GatewayFacts
    verdict: Verdict
    reasons: tuple[str, ...]


def judge(known: GatewayFacts, asked: Asked) -> GatewayHealth:
    """The verdict on one gateway."""
    if known.heard_at is None:
        return GatewayHealth(
            known=known, verdict=Verdict.UNKNOWN, reasons=("nothing has ever come from it",)
        )
    reasons = (*_silence(known, asked), *_ledger(known), *_sensors(known), *_models(known))
    verdict = Verdict.UNHEALTHY if reasons else Verdict.HEALTHY
    return GatewayHealth(known=known, verdict=verdict, reasons=reasons)


def _silence(known: GatewayFacts, asked: Asked) -> list[str]:
    heard_at = known.heard_at or 0
    if asked.since is None:
        silent_ms = asked.now - heard_at
        return [f"silent for {shown_span(silent_ms)}"] if silent_ms > asked.silent_s * 1000 else []
    since = shown_instant(asked.since)
    if heard_at <= asked.since:
        return [f"nothing has come since {since}"]
    if known.reading_at is None or known.reading_at <= asked.since:
        return [f"no reading has come since {since}"]
    return []


def _ledger(known: GatewayFacts) -> list[str]:
    counts = (("unexplained", known.unexplained), ("doubled", known.doubled))
    return [f"{total} numbers are {what}" for what, total in counts if total]


def _sensors(known: GatewayFacts) -> list[str]:
    figures = known.figures
    if figures is None or figures.received_at < (known.status_at or 0):
        return []  # an older Status says nothing of now
    failures = figures.sample_failures_total
    if figures.samples_total and failures == figures.samples_total:
        return [f"all {failures} samples of its stream failed"]
    return []


def _models(known: GatewayFacts) -> list[str]:
    return [
        f"{m.condition_id}: {m.model} {m.version} {m.reported}"
        + (f": {m.reason}" if m.reason else "")
        for m in known.models
        if m.reported not in (None, "active")
    ]
