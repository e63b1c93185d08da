"""Checks golden vectors: windows with the features and probabilities that each side must compute.

The cloud writes them when it trains the model. A gateway that computes other numbers does not run
the bundle. The caller passes the functions that compute; this module compares the results.
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

GOLDEN_ROWS = (32, 256)  # minimum and maximum
FEATURES_TOLERANCE = 1e-6
PROBABILITY_TOLERANCE = 1e-5

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Golden:
    """Holds inputs and expected answers, one row each.

    Attributes:
        grids: Windows as returned by `models.features.windows`, shape (rows, inputs, LAGS); NaN
            where no value is known.
        at_ms: Instant of each window, ms since 1970 UTC.
        features: Shape (rows, features), finite.
        probabilities: Shape (rows,), 0 to 1.
    """

    grids: Floats
    at_ms: Ints
    features: Floats
    probabilities: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Holds the largest differences found; all are within their tolerance."""

    features: float
    probabilities: float


def check_golden(
    golden: Golden,
    features_of: Callable[[Floats, Ints], Floats],
    probabilities_of: Callable[[Floats], Floats],
) -> Agreement:
    """Computes features and probabilities of the golden vectors and compares the results.

    Args:
        golden: The vectors.
        features_of: Function that returns the features of grids at instants.
        probabilities_of: Function that returns the probabilities, shape (rows,), of features.

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
            "wrong_answer", f"{what}: expected shape {expected.shape}, found {found.shape}"
        )
    apart = float(np.max(np.abs(found - expected)))
    if not apart <= tolerance:  # also true for NaN
        raise BundleRefused(
            "wrong_answer",
            f"{what} differ from the golden vectors by {apart:.2g}, more than {tolerance:g}",
        )
    return apart


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Describes the JSON document."""

    grids: tuple[tuple[tuple[float | None, ...], ...], ...]
    at_ms: tuple[UtcMs, ...]
    features: tuple[tuple[float, ...], ...]
    probabilities: tuple[Annotated[float, Between(0, 1)], ...]


def encode_golden(golden: Golden) -> bytes:
    """Returns JSON in UTF-8, with null for NaN; numbers keep full precision.

    Raises:
        BundleRefused: `bad_golden`; a number is infinite, or is NaN outside `grids`.
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
            "bad_golden", "golden.json: a feature, probability or value is not finite"
        ) from error


def decode_golden(data: bytes, columns: int) -> Golden:
    """Returns the golden vectors in a bundle's member.

    Args:
        data: The member.
        columns: Number of features that the model needs.

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
            "bad_golden",
            f"golden.json: expected {GOLDEN_ROWS[0]} to {GOLDEN_ROWS[1]} rows, found {rows}",
        )
    return Golden(
        grids=_array(table.grids, (rows, len(MODEL_INPUTS), LAGS), "grids"),
        at_ms=np.array(table.at_ms, np.int64),
        features=_array(table.features, (rows, columns), "features"),
        probabilities=_array(table.probabilities, (rows,), "probabilities"),
    )


def _array(values: Any, shape: tuple[int, ...], what: str) -> Floats:
    try:
        array = np.array(values, np.float64)  # converts None to NaN
    except ValueError as error:  # raised for rows of different lengths
        raise BundleRefused("bad_golden", f"golden.json: {what}: rows differ in length") from error
    if array.shape != shape:
        raise BundleRefused(
            "bad_golden", f"golden.json: {what}: expected shape {shape}, found {array.shape}"
        )
    return array


def _parsed(data: bytes) -> object:
    return json.loads(data.decode("utf-8"))
