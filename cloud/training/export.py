"""Converts fitted models to ONNX.

A model has one input `features` (N, F) and one output `probability` (N, 1), both float32. skl2onnx
converts scikit-learn's models, and onnxmltools converts MLlib's. Both kinds use the same graph for
the candidate's columns. Every export must pass the parity gate before its release.
"""

import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, compose, helper
from onnxmltools.convert import convert_sparkml
from onnxmltools.convert.common.data_types import FloatTensorType as SparkFloats
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.algebra.onnx_ops import (
    OnnxAdd,
    OnnxClip,
    OnnxConcat,
    OnnxDiv,
    OnnxMatMul,
    OnnxSlice,
    OnnxSub,
)
from skl2onnx.common.data_types import FloatTensorType

from cloud.training.learners import CLIP, FIRST, LOGIT_WEIGHT, Beyond, logit
from cloud.training.walk import Trained
from contract.errors import DewlineError
from models.inference import Inference

__all__ = [
    "IR",
    "OPSETS",
    "PARITY_LIMIT",
    "ParityError",
    "check_parity",
    "mllib_to_onnx",
    "sklearn_to_onnx",
]

Floats = NDArray[np.float64]
PARITY_LIMIT = 1e-5  # largest difference of a probability
PARITY_ROWS = 1000
_OPSET = 15  # old runtimes support this version
OPSETS = {"": _OPSET, "ai.onnx.ml": 1}
IR = 8


class ParityError(DewlineError):
    """The exported model's answers differ from the trained model's; do not release it."""


def sklearn_to_onnx(pipeline: Any, slope: float, offset: float) -> bytes:
    """Convert a fitted classifier of all features, with its calibration."""
    core = convert_sklearn(
        pipeline,
        initial_types=[("features", FloatTensorType([None, pipeline.n_features_in_]))],
        options={id(pipeline.steps[-1][1]): {"zipmap": False, "raw_scores": True}},
        target_opset=_OPSET,
    )
    return _finished(core, _calibration(slope, offset))


def mllib_to_onnx(beyond: Beyond, model: Any, spark: Any) -> bytes:
    """Convert an MLlib model of the columns that `beyond` makes."""
    before = convert_sklearn(
        beyond,
        initial_types=[("features", FloatTensorType([None, beyond.n_features_in_]))],
        target_opset=_OPSET,
    )
    width = beyond.n_features_in_ - FIRST + 1
    # The converter leaves temporary files (onnxmltools#648) and prints its progress.
    with _private_folder(), redirect_stdout(io.StringIO()):
        core = convert_sparkml(
            model,
            "mllib",
            [("seen", SparkFloats([None, width]))],
            spark_session=spark,
            target_opset=_OPSET,
        )
    joined = _joined(before, core, {before.graph.output[0].name: "seen"}, ["probability"])
    clip = _node("Clip", ["second", "zero", "one"], "probability")
    return _finished(joined, _last([clip], {"zero": 0.0, "one": 1.0}))


@contextmanager
def _private_folder() -> Iterator[None]:
    known = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="dewline-onnx-") as folder:
        tempfile.tempdir = os.fspath(folder)
        try:
            yield
        finally:
            tempfile.tempdir = known


def _finished(core: ModelProto, last: ModelProto) -> bytes:
    """Join the core with the graph that makes a probability from its two columns; return bytes."""
    name = core.graph.output[-1].name  # the first output is the class
    whole = _joined(core, last, {name: "raw"}, ["probability"])
    # Equal models must give equal bytes. But converters give each graph a random name, and the
    # order of domains differs from process to process. So both are set here.
    whole.graph.name, whole.graph.doc_string = "dewline", ""
    _import(whole, {entry.domain: entry.version for entry in whole.opset_import})
    onnx.checker.check_model(whole)
    data: bytes = whole.SerializeToString()
    return data


def _joined(
    first: ModelProto, second: ModelProto, io_map: dict[str, str], outputs: list[str]
) -> ModelProto:
    for model in (first, second):
        model.ir_version = IR
        kept = {entry.domain: entry.version for entry in model.opset_import} | {"": _OPSET}
        if any(node.domain == "ai.onnx.ml" for node in model.graph.node):
            kept["ai.onnx.ml"] = 1
        _import(model, kept)
    before = compose.add_prefix(first, "a_", rename_inputs=False)
    after = compose.add_prefix(second, "b_", rename_inputs=False, rename_outputs=False)
    return compose.merge_models(
        before, after, io_map=[(f"a_{o}", i) for o, i in io_map.items()], outputs=outputs
    )


def _import(model: ModelProto, versions: dict[str, int]) -> None:
    """Set the versions of the operators' domains in the model, in a fixed order."""
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(d, v) for d, v in sorted(versions.items()))


def _calibration(slope: float, offset: float) -> ModelProto:
    """Return a graph from log odds to a calibrated probability.

    The graph is `Sigmoid(slope * Clip(logit) + offset)`, with the limits of
    `cloud.training.learners.logit`. It starts from log odds, because a rounded probability would
    be too coarse.
    """
    if (slope, offset) == (1.0, 0.0):
        return _last([_node("Sigmoid", ["second"], "probability")], {})
    low, high = logit(np.array([0.0, 1.0])).tolist()
    chain = (
        ("Clip", ["second", "low", "high"], "logit"),
        ("Mul", ["logit", "slope"], "scaled"),
        ("Add", ["scaled", "offset"], "moved"),
        ("Sigmoid", ["moved"], "probability"),
    )
    constants = {"low": low, "high": high, "slope": slope, "offset": offset}
    return _last([_node(*step) for step in chain], constants)


def _last(nodes: Sequence[Any], constants: dict[str, float]) -> ModelProto:
    """Return a graph that selects the second of two columns and applies the nodes to it."""
    numbers = {"from": [1], "to": [2], "axis": [1]}
    tensors = [helper.make_tensor(n, TensorProto.INT64, [1], v) for n, v in numbers.items()]
    tensors += [helper.make_tensor(n, TensorProto.FLOAT, [], [v]) for n, v in constants.items()]
    first = _node("Slice", ["raw", "from", "to", "axis"], "second")
    inner = helper.make_tensor_value_info("raw", TensorProto.FLOAT, [None, 2])
    outer = helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph([first, *nodes], "last", [inner], [outer], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])


def _node(operation: str, inputs: list[str], output: str) -> Any:
    return helper.make_node(operation, inputs, [output])


def check_parity(trained: Trained, model: bytes, windows: Floats) -> float:
    """Compare the answers of ONNX model and trained model, also for extreme weather.

    Args:
        trained: The trained model.
        model: Bytes of its ONNX model.
        windows: Rows of features; training windows are allowed.

    Returns:
        The largest difference of a probability.

    Raises:
        ParityError: The difference is too large, or there are too few rows.
    """
    if len(windows) < PARITY_ROWS:
        raise ParityError(f"export: the comparison needs {PARITY_ROWS} rows, found {len(windows)}")
    rows = np.vstack([windows, *unlikely(windows)]).astype(np.float32).astype(np.float64)
    difference = float(np.abs(Inference(model).probability(rows) - trained.probability(rows)).max())
    if not difference <= PARITY_LIMIT:
        raise ParityError(
            f"export: the ONNX model differs from the trained one by {difference:.2g}; "
            f"at most {PARITY_LIMIT:g} is allowed. The model is not released"
        )
    return difference


def unlikely(rows: Floats) -> Iterator[Floats]:
    """Yield extreme rows: at the condition's limit, and beyond the range of the windows."""
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    yield np.vstack([rows.min(axis=0), rows.max(axis=0), mean])
    for far in (-10.0, -4.0, 4.0, 10.0):
        yield (mean + far * deviation)[None, :]
    at_limit = rows[:100].copy()
    at_limit[:, 0] = 0.0
    yield at_limit


def _shape_of_beyond(operator: Any) -> None:
    rows, width = operator.inputs[0].get_first_dimension(), operator.raw_operator.n_features_in_
    operator.outputs[0].type = FloatTensorType([rows, width - FIRST + 1])


def _convert_beyond(scope: Any, operator: Any, container: Any) -> None:
    beyond, values = operator.raw_operator, operator.inputs[0]
    to = {"op_version": container.target_opset}
    weights, bias = _linear(beyond)
    first = _columns(values, 0, FIRST, to)
    score = OnnxAdd(OnnxMatMul(first, weights, **to), bias, **to)
    rest = _columns(values, FIRST, beyond.n_features_in_, to)
    mean, scale = (_float(v) for v in (beyond.scaler_.mean_, beyond.scaler_.scale_))
    scaled = OnnxDiv(OnnxSub(rest, mean, **to), scale, **to)
    clipped = OnnxClip(scaled, _float(-CLIP), _float(CLIP), **to)
    OnnxConcat(score, clipped, axis=1, output_names=[operator.outputs[0].full_name], **to).add_to(
        scope, container
    )


def _columns(values: Any, begin: int, end: int, to: dict[str, Any]) -> Any:
    numbers = (np.array([n], dtype=np.int64) for n in (begin, end, 1))
    return OnnxSlice(values, *numbers, **to)


def _linear(beyond: Beyond) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the baseline's weighted logit as one matrix and one offset."""
    columns, regression = (step for _, step in beyond.baseline_.steps)
    scaler = columns.named_transformers_["scaled"]
    weights = LOGIT_WEIGHT * regression.coef_[0] / scaler.scale_
    bias = LOGIT_WEIGHT * regression.intercept_[0] - float(weights @ scaler.mean_)
    return _float(weights)[:, None], _float([bias])


def _float(values: Any) -> NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32)


update_registered_converter(Beyond, "DewlineBeyond", _shape_of_beyond, _convert_beyond)
