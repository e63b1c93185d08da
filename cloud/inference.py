"""A model in ONNX, asked for windows; the only file of the cloud that imports onnxruntime."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as foreign

from contract.errors import DewlineError

__all__ = ["Inference", "ModelError"]

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


class ModelError(DewlineError):
    """A model cannot be loaded, or does not answer as a model should."""

    retryable: ClassVar[bool] = False


class Inference:
    """One loaded model, in one thread.

    Args:
        model: ONNX bytes: input `features` (N, F) float32, output `probability` (N, 1).

    Raises:
        ModelError: It is no such model.
    """

    def __init__(self, model: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _QUIET
        with _converted("the model cannot be loaded"):
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        inputs = [i.name for i in self._session.get_inputs()]
        outputs = [o.name for o in self._session.get_outputs()]
        if (inputs, outputs) != (["features"], ["probability"]):
            raise ModelError(
                "expected one input, features, and one output, probability; "
                f"found {', '.join(inputs)} and {', '.join(outputs)}"
            )

    def probability(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of onset for each row of features, shape (N,).

        Raises:
            ModelError: It fails, or an answer is no probability.
        """
        return self._asked([values])

    def one_by_one(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same, each row asked alone: as a gateway asks, whatever the other rows are.

        Raises:
            ModelError: It fails, or an answer is no probability.
        """
        return self._asked([row[np.newaxis] for row in values])

    def _asked(self, parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        with _converted("the model failed"):
            answers = [
                self._session.run(None, {"features": part.astype(np.float32)})[0].reshape(-1)
                for part in parts
            ]
        found = np.concatenate([np.empty(0), *answers]).astype(np.float64)
        wanted = sum(len(part) for part in parts)
        if len(found) != wanted or not ((found >= 0) & (found <= 1)).all():  # NaN is neither
            raise ModelError(f"of {wanted} answers some are no probability")
        return found


@contextmanager
def _converted(what: str) -> Generator[None]:
    try:
        yield
    except _FOREIGN as error:
        raise ModelError(f"{what}: {' '.join(str(error).split())[:200]}") from error
