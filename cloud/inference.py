"""A model in ONNX, asked for many windows at once; the only file of the cloud with onnxruntime."""

from typing import ClassVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from contract.errors import DewlineError

__all__ = ["Inference", "ModelError"]


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
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's classes have no common ancestor of their own
            raise ModelError(f"the model cannot be loaded: {error}") from error
        names = (
            [i.name for i in self._session.get_inputs()],
            [o.name for o in self._session.get_outputs()],
        )
        if names != (["features"], ["probability"]):
            raise ModelError(f"expected one input, features, and one output, probability: {names}")

    def probability(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of onset for each row of features, shape (N,).

        Raises:
            ModelError: It fails, or an answer is no probability.
        """
        try:
            (found,) = self._session.run(None, {"features": values.astype(np.float32)})
        except Exception as error:  # as above
            raise ModelError(f"the model failed: {error}") from error
        answer = np.asarray(found, dtype=np.float64).reshape(-1)
        if len(answer) != len(values) or not ((answer >= 0) & (answer <= 1)).all():
            raise ModelError(f"of {len(values)} answers some are no probability")
        return answer
