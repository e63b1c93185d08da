"""Runs champions, the models in force, in Spark's workers: one row at a time.

A probability then depends only on its own row and not on the batch. It equals the gateway's, which
also runs the model with one row. Each process loads a model once.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from contract.errors import DewlineError
from models.errors import ModelError
from models.inference import Inference

__all__ = ["ModelFailed", "OnnxModel", "probabilities"]

_LOADED = 64  # most models that a worker keeps in memory


class ModelFailed(DewlineError):
    """A champion cannot be loaded, or its answer is not a probability."""

    retryable: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A model's file, identified by the sha256 of its bundle.

    Attributes:
        sha256: The bundle's hash, 64 hexadecimal digits.
        onnx: Bytes of the ONNX file.
    """

    sha256: str
    onnx: bytes = field(compare=False, repr=False)


def probabilities(model: OnnxModel, features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the model's probability for each row of features.

    Raises:
        ModelFailed: The model cannot be loaded, or an answer is not within 0 to 1.
    """
    try:
        return _loaded(model).one_by_one(features)
    except ModelError as error:
        raise ModelFailed(f"bundle {model.sha256[:16]}: {error}") from error


@lru_cache(maxsize=_LOADED)
def _loaded(model: OnnxModel) -> Inference:
    return Inference(model.onnx)
