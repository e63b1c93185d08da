"""A model in ONNX that answers with probabilities: on gateways, in training and in scoring.

The only file that imports onnxruntime, and not before a model is loaded: this module can be
imported without it. One thread and no memory kept between two questions: a gateway asks once in a
step, and has little of either. The cloud asks with the same options, so that its numbers are the
gateways'. Knows nothing of conditions or features but their number.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError

__all__ = ["Inference", "require_runtime"]

_INPUT = "features"
_OUTPUT = "probability"
_FLOAT32 = "tensor(float)"
_FATAL = 4  # what is worse than an error goes to stderr, the rest is raised


def require_runtime() -> Any:
    """Imports onnxruntime and returns it; call it early where its absence must be noticed early.

    Raises:
        ImportError: It is not installed.
    """
    import onnxruntime  # noqa: PLC0415 - a gateway without models does not have it

    return onnxruntime


class Inference:
    """Probabilities of one model.

    Args:
        model: The ONNX file's bytes: input `features`, float32 [any, columns]; output
            `probability`, float32 [any, 1].

    Attributes:
        columns: How many features a row has.

    Raises:
        ModelError: It is no model, or not of that form.
    """

    def __init__(self, model: bytes) -> None:
        runtime = require_runtime()
        with _converted("the model cannot be loaded"):
            self._session = runtime.InferenceSession(
                model, _options(runtime), providers=["CPUExecutionProvider"]
            )
        self.columns = _columns(self._session)

    def probability(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probability for each row of features, shape (rows,).

        Raises:
            ModelError: The rows have another width, or an answer is not within 0 to 1.
        """
        if rows.ndim != 2 or rows.shape[1] != self.columns:
            raise ModelError(
                f"features of shape {rows.shape}; the model takes rows of {self.columns}"
            )
        with _converted("the model failed"), np.errstate(over="ignore"):
            (answer,) = self._session.run([_OUTPUT], {_INPUT: rows.astype(np.float32)})
        if answer.shape != (len(rows), 1):
            raise ModelError(f"the model gave shape {answer.shape} for {len(rows)} rows")
        column: NDArray[np.float64] = answer[:, 0].astype(np.float64)
        wrong = ~((column >= 0.0) & (column <= 1.0))  # NaN is wrong, too
        if wrong.any():
            raise ModelError(f"the model answered {column[wrong][0]:g}, which is no probability")
        return column

    def probability_of(self, row: NDArray[np.float64]) -> float:
        """The probability for one row of features, as a gateway asks.

        Raises:
            ModelError: As in `probability`.
        """
        return float(self.probability(row[np.newaxis, :])[0])

    def one_by_one(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """As `probability`, each row asked alone: the answer does not depend on the other rows.

        Raises:
            ModelError: As in `probability`.
        """
        return np.array([self.probability_of(row) for row in rows], np.float64)


def _options(runtime: Any) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = _FATAL
    return options


def _columns(session: Any) -> int:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    given = [(i.name, i.type, len(i.shape)) for i in inputs]
    width = inputs[0].shape[-1] if inputs and inputs[0].shape else None
    if given != [(_INPUT, _FLOAT32, 2)] or not isinstance(width, int) or width < 1:
        raise ModelError(f"the model's input: expected {_INPUT} float32 [any, n], found {given}")
    if isinstance(inputs[0].shape[0], int):
        raise ModelError(f"the model's input: expected any number of rows, found {given}")
    found = [(o.name, o.type, o.shape[1:]) for o in outputs]
    if found != [(_OUTPUT, _FLOAT32, [1])]:
        raise ModelError(f"the model's output: expected {_OUTPUT} float32 [any, 1], found {found}")
    return width


def _foreign() -> tuple[type[Exception], ...]:
    """What onnxruntime raises; its own exceptions have no common parent but Exception."""
    from onnxruntime.capi import (  # noqa: PLC0415 - as above
        onnxruntime_pybind11_state as binding,
    )

    own = [
        kind
        for kind in vars(binding).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ]
    return (*own, MemoryError, RuntimeError, ValueError)


@contextmanager
def _converted(what: str) -> Generator[None]:
    try:
        yield
    except _foreign() as error:
        text = " ".join(str(error).split())
        raise ModelError(f"{what}: {text[:200] or type(error).__name__}") from error
