"""A model that answers; the only file of the cloud's scoring that imports onnxruntime.

Rows are asked one at a time: then an answer depends on nothing but its row, whatever the batch, and
is what a gateway gets that asks once in a step. A worker process loads a model once.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as foreign

from contract.errors import DewlineError

__all__ = ["ModelFailed", "OnnxModel", "probabilities"]

_LOADED = 64  # models that a worker keeps
_QUIET = 4  # what fails is raised, not printed
# onnxruntime's exceptions have no common parent but Exception
_FOREIGN: tuple[type[Exception], ...] = (
    foreign.EPFail,
    foreign.EngineError,
    foreign.Fail,
    foreign.InvalidArgument,
    foreign.InvalidGraph,
    foreign.InvalidProtobuf,
    foreign.NoModel,
    foreign.NotImplemented,
    foreign.RuntimeException,
)


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
    rows = features.astype(np.float32)
    with _converted(model):
        session = _loaded(model)
        answers = [session.run(["probability"], {"features": row[np.newaxis]})[0] for row in rows]
    found = np.array([float(a[0, 0]) for a in answers], np.float64)
    if not ((found >= 0) & (found <= 1)).all():  # NaN is neither
        raise ModelFailed(f"bundle {model.sha256[:16]} answers with what is no probability")
    return found


@lru_cache(maxsize=_LOADED)
def _loaded(model: OnnxModel) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET
    return onnxruntime.InferenceSession(model.onnx, options, providers=["CPUExecutionProvider"])


@contextmanager
def _converted(model: OnnxModel) -> Generator[None]:
    try:
        yield
    except _FOREIGN as error:
        text = " ".join(str(error).split())[:200]
        raise ModelFailed(f"bundle {model.sha256[:16]} cannot be run: {text}") from error
