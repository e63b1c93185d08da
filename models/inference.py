"""Runs a model in ONNX that returns probabilities: on gateways, in training and in scoring.

This is the only file that imports onnxruntime. It does so when a model is loaded, so this module
can be imported without it. onnxruntime uses one thread and keeps no memory between two calls: a
gateway calls it once in a step and has little memory. The cloud uses the same options, so that it
computes the same numbers as the gateways.
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
_FATAL = 4  # errors are raised; onnxruntime logs only fatal ones to stderr


def require_runtime() -> Any:
    """Imports onnxruntime and returns it; call this early to find out early that it is missing.

    Raises:
        ImportError: onnxruntime is not installed.
    """
    import onnxruntime  # noqa: PLC0415 - not installed on a gateway without models

    return onnxruntime


class Inference:
    """Computes the probabilities of one model.

    Args:
        model: The ONNX file's bytes: input `features`, float32 [any, columns]; output
            `probability`, float32 [any, 1].

    Attributes:
        columns: Number of features in a row.

    Raises:
        ModelError: The bytes are not a model, or the model has other inputs or outputs.
    """

    def __init__(self, model: bytes) -> None:
        runtime = require_runtime()
        with _converted("the model cannot be loaded"):
            self._session = runtime.InferenceSession(
                model, _options(runtime), providers=["CPUExecutionProvider"]
            )
        self.columns = _columns(self._session)

    def probability(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the probability for each row of features, shape (rows,).

        Raises:
            ModelError: The rows have a wrong number of columns, or an answer is not in 0 to 1.
        """
        if rows.ndim != 2 or rows.shape[1] != self.columns:
            raise ModelError(
                f"features of shape {rows.shape}; the model takes rows of {self.columns}"
            )
        with _converted("the model failed"), np.errstate(over="ignore"):
            (answer,) = self._session.run([_OUTPUT], {_INPUT: rows.astype(np.float32)})
        if answer.shape != (len(rows), 1):
            raise ModelError(f"model output: found shape {answer.shape} for {len(rows)} input rows")
        column: NDArray[np.float64] = answer[:, 0].astype(np.float64)
        wrong = ~((column >= 0.0) & (column <= 1.0))  # also true for NaN
        if wrong.any():
            raise ModelError(f"the model answered {column[wrong][0]:g}, which is not a probability")
        return column

    def probability_of(self, row: NDArray[np.float64]) -> float:
        """Returns the probability for one row of features; gateways call this.

        Raises:
            ModelError: The same as for `probability`.
        """
        return float(self.probability(row[np.newaxis, :])[0])

    def one_by_one(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the same as `probability`, but runs the model for each row alone, as gateways do.

        Raises:
            ModelError: The same as for `probability`.
        """
        return np.array([self.probability_of(row) for row in rows], np.float64)


def _options(runtime: Any) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    # These graphs are small: optimising them costs 0.5 MB and more time than it saves.
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = _FATAL
    return options


def _columns(session: Any) -> int:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    given = [(i.name, i.type, len(i.shape)) for i in inputs]
    width = inputs[0].shape[-1] if inputs and inputs[0].shape else None
    if given != [(_INPUT, _FLOAT32, 2)] or not isinstance(width, int) or width < 1:
        raise ModelError(f"model input: expected {_INPUT} float32 [any, n], found {given}")
    if isinstance(inputs[0].shape[0], int):
        raise ModelError(f"model input: expected any number of rows, found {given}")
    found = [(o.name, o.type, o.shape[1:]) for o in outputs]
    if found != [(_OUTPUT, _FLOAT32, [1])]:
        raise ModelError(f"model output: expected {_OUTPUT} float32 [any, 1], found {found}")
    return width


def _foreign() -> tuple[type[Exception], ...]:
    """Returns the exceptions that onnxruntime raises; its own have no common base class."""
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
