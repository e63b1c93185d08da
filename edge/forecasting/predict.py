"""A model that answers; the only file of the edge that imports onnxruntime.

One thread and no memory kept between two questions: a gateway asks once in a step, and has little
of either. Knows nothing of conditions or features but their number.
"""

from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as foreign

from edge.errors import PredictError

__all__ = ["Predictor"]

_INPUT = "features"
_OUTPUT = "probability"
_FLOAT32 = "tensor(float)"
_FATAL = 4  # what is worse than an error goes to stderr, the rest is raised
# onnxruntime's exceptions have no common parent but Exception
_FOREIGN: tuple[type[Exception], ...] = (
    foreign.EPFail,
    foreign.EngineError,
    foreign.Fail,
    foreign.InvalidArgument,
    foreign.InvalidGraph,
    foreign.InvalidProtobuf,
    foreign.ModelRequiresCompilation,
    foreign.NoModel,
    foreign.NoSuchFile,
    foreign.NotFound,
    foreign.NotImplemented,
    foreign.RuntimeException,
    MemoryError,
    RuntimeError,
    ValueError,
)


class Predictor:
    """Probabilities of one model.

    Args:
        model: The ONNX file's bytes: input `features`, float32 [any, columns]; output
            `probability`, float32 [any, 1].

    Raises:
        PredictError: It is no model, or not of that form.
    """

    def __init__(self, model: bytes) -> None:
        with _converted("the model cannot be loaded"):
            self._session = onnxruntime.InferenceSession(
                model, _options(), providers=["CPUExecutionProvider"]
            )
        self.columns = _columns(self._session)

    def probability(self, features: NDArray[np.float64]) -> float:
        """The probability for one row of features.

        Raises:
            PredictError: The row has another width, or the answer is not within 0 to 1.
        """
        return float(self.probabilities(features[np.newaxis, :])[0])

    def probabilities(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probability for each row.

        Raises:
            PredictError: As in `probability`.
        """
        if features.ndim != 2 or features.shape[1] != self.columns:
            raise PredictError(
                f"features of shape {features.shape}; the model takes rows of {self.columns}"
            )
        with _converted("the model failed"), np.errstate(over="ignore"):
            (answer,) = self._session.run([_OUTPUT], {_INPUT: features.astype(np.float32)})
        if answer.shape != (len(features), 1):
            raise PredictError(f"the model gave shape {answer.shape} for {len(features)} rows")
        column: NDArray[np.float64] = answer[:, 0].astype(np.float64)
        wrong = ~((column >= 0.0) & (column <= 1.0))  # NaN is wrong, too
        if wrong.any():
            raise PredictError(f"the model answered {column[wrong][0]:g}, which is no probability")
        return column


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = _FATAL
    return options


def _columns(session: onnxruntime.InferenceSession) -> int:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    given = [(i.name, i.type, len(i.shape)) for i in inputs]
    width = inputs[0].shape[-1] if inputs and inputs[0].shape else None
    if given != [(_INPUT, _FLOAT32, 2)] or not isinstance(width, int) or width < 1:
        raise PredictError(f"the model's input: expected {_INPUT} float32 [any, n], found {given}")
    if isinstance(inputs[0].shape[0], int):
        raise PredictError(f"the model's input: expected any number of rows, found {given}")
    found = [(o.name, o.type, o.shape[1:]) for o in outputs]
    if found != [(_OUTPUT, _FLOAT32, [1])]:
        raise PredictError(
            f"the model's output: expected {_OUTPUT} float32 [any, 1], found {found}"
        )
    return width


@contextmanager
def _converted(what: str) -> Generator[None]:
    try:
        yield
    except _FOREIGN as error:
        text = " ".join(str(error).split())
        raise PredictError(f"{what}: {text[:200] or type(error).__name__}") from error
