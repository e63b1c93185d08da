"""Golden vectors: windows with the features and probabilities that they must give everywhere.

The cloud writes them from the model as it was trained; a gateway that computes anything else does
not run the bundle. Who computes is the caller's affair: this module compares.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from contract.errors import ContractError
from contract.typed import Between, UtcMs, build
from models.conditions import MODEL_INPUTS
from models.errors import BundleRefused
from models.features import LAGS

__all__ = ["GOLDEN_ROWS", "Agreement", "Golden", "check_golden", "decode_golden", "encode_golden"]

GOLDEN_ROWS = (32, 256)  # fewest and most
FEATURES_TOLERANCE = 1e-6
PROBABILITY_TOLERANCE = 1e-5

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Golden:
    """Questions and their answers, one row each.

    Attributes:
        grids: Windows as `models.features.windows` cuts them, shape (rows, inputs, LAGS); NaN where
            nothing is known.
        at_ms: The instant of each, ms since 1970 UTC.
        features: Shape (rows, features), finite.
        probabilities: Shape (rows,), 0 to 1.
    """

    grids: Floats
    at_ms: Ints
    features: Floats
    probabilities: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Largest differences that were found, all within their tolerance."""

    features: float
    probabilities: float


def check_golden(
    golden: Golden,
    features_of: Callable[[Floats, Ints], Floats],
    probabilities_of: Callable[[Floats], Floats],
) -> Agreement:
    """Asks what the golden vectors ask, and compares.

    Args:
        golden: The vectors.
        features_of: Features of grids at instants.
        probabilities_of: Probabilities, shape (rows,), of features.

    Raises:
        BundleRefused: `wrong_answer`; features differ by more than 1e-6 or probabilities by more
            than 1e-5.
    """
    made = features_of(golden.grids, golden.at_ms)
    answers = probabilities_of(golden.features)
    return Agreement(
        features=_apart(made, golden.features, FEATURES_TOLERANCE, "features"),
        probabilities=_apart(answers, golden.probabilities, PROBABILITY_TOLERANCE, "probabilities"),
    )


def _apart(found: Floats, expected: Floats, tolerance: float, what: str) -> float:
    if found.shape != expected.shape:
        raise BundleRefused(
            "wrong_answer", f"{what}: shape {found.shape}, its golden vectors have {expected.shape}"
        )
    apart = float(np.max(np.abs(found - expected)))
    if not apart <= tolerance:  # NaN is wrong, too
        raise BundleRefused(
            "wrong_answer",
            f"{what} differ from its golden vectors by {apart:.2g}, allowed is {tolerance:g}",
        )
    return apart


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """As it travels."""

    grids: tuple[tuple[tuple[float | None, ...], ...], ...]
    at_ms: tuple[UtcMs, ...]
    features: tuple[tuple[float, ...], ...]
    probabilities: tuple[Annotated[float, Between(0, 1)], ...]


def encode_golden(golden: Golden) -> bytes:
    """JSON, UTF-8, null for NaN; numbers keep every bit.

    Raises:
        BundleRefused: `bad_golden`; a number is infinite, or NaN elsewhere than in `grids`.
    """
    grids = golden.grids.astype(object)
    grids[np.isnan(golden.grids)] = None
    table = {
        "grids": grids.tolist(),
        "at_ms": golden.at_ms.tolist(),
        "features": golden.features.tolist(),
        "probabilities": golden.probabilities.tolist(),
    }
    try:
        return json.dumps(table, separators=(",", ":"), allow_nan=False).encode()
    except ValueError as error:
        raise BundleRefused(
            "bad_golden", "a feature, probability or value is not finite"
        ) from error


def decode_golden(data: bytes, columns: int) -> Golden:
    """The golden vectors in a bundle's member.

    Args:
        data: The member.
        columns: How many features the model takes.

    Raises:
        BundleRefused: `bad_golden`.
    """
    try:
        table = build(_Table, _parsed(data), "golden.json")
    except (ContractError, ValueError, RecursionError) as error:
        raise BundleRefused("bad_golden", f"golden.json: {str(error)[:200]}") from error
    rows = len(table.at_ms)
    if not GOLDEN_ROWS[0] <= rows <= GOLDEN_ROWS[1]:
        raise BundleRefused(
            "bad_golden", f"golden.json: {rows} rows, expected {GOLDEN_ROWS[0]} to {GOLDEN_ROWS[1]}"
        )
    return Golden(
        grids=_array(table.grids, (rows, len(MODEL_INPUTS), LAGS), "grids"),
        at_ms=np.array(table.at_ms, np.int64),
        features=_array(table.features, (rows, columns), "features"),
        probabilities=_array(table.probabilities, (rows,), "probabilities"),
    )


def _array(values: Any, shape: tuple[int, ...], what: str) -> Floats:
    try:
        array = np.array(values, np.float64)  # makes None a NaN
    except ValueError as error:  # rows of different lengths
        raise BundleRefused("bad_golden", f"golden.json: {what}: rows differ in length") from error
    if array.shape != shape:
        raise BundleRefused(
            "bad_golden", f"golden.json: {what}: shape {array.shape}, expected {shape}"
        )
    return array


def _parsed(data: bytes) -> object:
    return json.loads(data.decode("utf-8"))
