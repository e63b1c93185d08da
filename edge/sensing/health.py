"""Creates a gateway's records about itself: Status and Held."""

from contract.records import Held, Phase, Status
from edge.sensing.sampler import Sampler
from edge.storage.journal import Journal
from edge.storage.outbox import Outbox

__all__ = ["held", "status"]

MAX_HELD_SPANS = 200


def status(
    phase: Phase, version: str, sampler: Sampler, journal: Journal, outbox: Outbox
) -> Status:
    """Returns a Status record with the gateway's counters; `version` is the program's."""
    queue = outbox.state()
    return Status(
        phase=phase,
        version=version,
        samples_total=sampler.samples_total,
        sample_failures_total=sampler.failures_total,
        committed_total=journal.last,
        queued_blocks=queue.blocks,
        queued_bytes=queue.payload_bytes,
    )


def held(outbox: Outbox) -> Held:
    """Returns a Held record: the numbers that are committed but not acked yet."""
    spans = outbox.spans(MAX_HELD_SPANS + 1)
    return Held(spans=tuple(spans[:MAX_HELD_SPANS]), truncated=len(spans) > MAX_HELD_SPANS)
