"""A champion that answers in a worker: loaded once a process, asked row by row.

An answer then depends on nothing but its row, whatever the batch, and is what a gateway gets that
asks once in a step.
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

_LOADED = 64  # models that a worker keeps


class ModelFailed(DewlineError):
    """A champion cannot be loaded, or answers with what is no probability."""

    retryable: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A model's file, known by the sha256 of its bundle.

    Attributes:
        sha256: Of the bundle, 64 hexadecimal digits.
        onnx: The ONNX file's bytes.
    """

    sha256: str
    onnx: bytes = field(compare=False, repr=False)


def probabilities(model: OnnxModel, features: NDArray[np.float64]) -> NDArray[np.float64]:
    """The model's probability for each row of features.

    Raises:
        ModelFailed: It cannot be loaded, or an answer is not within 0 to 1.
    """
    try:
        return _loaded(model).one_by_one(features)
    except ModelError as error:
        raise ModelFailed(f"bundle {model.sha256[:16]}: {error}") from error


@lru_cache(maxsize=_LOADED)
def _loaded(model: OnnxModel) -> Inference:
    return Inference(model.onnx)
