"""Damages documents of blocks, each seed in its own way, and says what a decoder makes of them.

    python tests/contract/damage.py > tests/contract/recorded_errors.txt

The file was recorded with the checks that `interpreted.py` has, before they were compiled. A test
compares it with today's decoder: operators and tools may look for these texts.
"""

import copy
import hashlib
import random
from typing import Any

from contract.document import parse_document
from contract.errors import ContractError
from contract.limits import STORED

SEEDS = 1_500
STREAM = "ynoicv4oqjyxi"
DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "clock": "synced",
    "stream": STREAM,
    "first": 41,
    "at": [5_000, 1_768_460_400_000],
    "sensors": [
        {
            "sensor": "attic",
            "series": [["temperature", "Cel", 2], ["humidity", "%RH", 1]],
            "data": [0, 1_000, 1_001, 425, -5, None, 813, 812, 812],
            "marks": [[0, 2, "bad", ["no_answer", "retried"]], [1, 0, "uncertain", ["jump"]]],
            "calibration": "two-point-2026-01",
        },
        {
            "sensor": "cellar",
            "series": [["pressure", "Pa", 0]],
            "data": [0, 60_000, 100_842, 100_840],
            "statistic": "mean",
            "span_s": 60.0,
            "counts": [60, 58],
        },
    ],
    "events": [
        ["status", 0, {"phase": "start", "version": "0.1.0", "previous_stream_id": "a" * 13}],
        ["clock_fix", 5, {"utc_at": 1_768_460_400_005, "uncertainty_ms": 250}],
        ["held", 6, {"spans": [{"stream_id": STREAM, "first": 1, "last": 40}], "truncated": True}],
        ["loss", 7, {"reason": "budget", "lost": {"stream_id": STREAM, "first": 2, "last": 3}}],
        ["model_report", 8, {"model": "frost", "version": "3", "outcome": "refused"}],
        [
            "prediction",
            9,
            {
                "condition_id": "frost",
                "model": "frost",
                "version": "3",
                "horizon_s": 21_600,
                "probability": 0.25,
            },
        ],
        [
            "alert",
            10,
            {
                "alert_id": "0123456789abcdef",
                "condition_id": "frost",
                "state": "raised",
                "basis": "observed",
                "value": 2.5,
                "receipts": [{"output_id": "led", "delivered": True}],
            },
        ],
    ],
}
JUNK: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.0,
    1.5,
    2**53,
    10**40,
    float("inf"),
    "",
    "attic",
    "Attic\n",
    "x" * 300,
    "reading",
    "held",
    "mean",
    "K",
    [],
    {},
    [1, 2],
    [[0, 0, "good", []]],
    {"spans": 5},
    {"sensor": "a", "series": [["co2", "ppm", 10]], "data": [1, 2]},
)


def damaged(seed: int) -> dict[str, Any]:
    """A document with one or two wrong places; a few are still right."""
    source = random.Random(seed)
    document = copy.deepcopy(DOCUMENT)
    for _ in range(source.randrange(1, 3)):
        _damage(document, source)
    return document


def _damage(document: Any, source: random.Random) -> None:
    place = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = source.choice(keys)
        if place is document and source.randrange(4):
            key = source.choice([name for name in ("sensors", "events") if name in keys] or keys)
        if not isinstance(place[key], dict | list) or source.randrange(12) == 0:
            break
        place = place[key]
    change = source.randrange(6)
    if change == 0:
        del place[key]
    elif change == 1 and isinstance(place, list):
        place.append(source.choice(JUNK))
    elif change == 1:
        place["more"] = source.choice(JUNK)
    else:
        place[key] = copy.deepcopy(source.choice(JUNK))


def outcome(document: object) -> str:
    """The error's text, or a digest of the block."""
    try:
        block = parse_document(document, STORED)
    except ContractError as error:
        return str(error).replace("\n", "?")
    return "block " + hashlib.sha256(repr(block).encode()).hexdigest()[:16]


if __name__ == "__main__":
    for number in range(SEEDS):
        print(outcome(damaged(number)))
