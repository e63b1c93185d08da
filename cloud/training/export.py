"""Fitted models to ONNX: one input `features` (N, F), one output `probability` (N, 1), float32.

scikit-learn goes through skl2onnx, MLlib through onnxmltools; what they share (the columns that a
candidate learns from, the calibration) is the same graph for both. Every export passes the parity
gate before anybody may ship it.
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
from models.features import FEATURE_NAMES
from models.inference import Inference

__all__ = ["PARITY_LIMIT", "ParityError", "check_parity", "mllib_to_onnx", "sklearn_to_onnx"]

Floats = NDArray[np.float64]
PARITY_LIMIT = 1e-5  # of a probability
PARITY_ROWS = 1000
_OPSET = 15  # what old runtimes know too
_IR = 8


class ParityError(DewlineError):
    """The exported model does not answer as the trained one; it must not be shipped."""


def sklearn_to_onnx(pipeline: Any, slope: float, offset: float) -> bytes:
    """A fitted classifier of all features, with its calibration."""
    core = convert_sklearn(
        pipeline,
        initial_types=[("features", FloatTensorType([None, len(FEATURE_NAMES)]))],
        options={id(pipeline.steps[-1][1]): {"zipmap": False, "raw_scores": True}},
        target_opset=_OPSET,
    )
    return _finished(core, _calibration(slope, offset))


def mllib_to_onnx(beyond: Beyond, model: Any, spark: Any) -> bytes:
    """An MLlib model of the columns that `beyond` makes."""
    before = convert_sklearn(
        beyond,
        initial_types=[("features", FloatTensorType([None, len(FEATURE_NAMES)]))],
        target_opset=_OPSET,
    )
    width = len(FEATURE_NAMES) - FIRST + 1
    # the converter leaves files where it works (onnxmltools#648), and prints what it does
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
    """The core and what makes a probability of its two columns, as bytes."""
    name = core.graph.output[-1].name  # the first is the class
    whole = _joined(core, last, {name: "raw"}, ["probability"])
    # Converters draw a name for each graph and keep domains in a set, whose order is another one in
    # each process: without both, the bytes of an equal model are equal.
    whole.graph.name, whole.graph.doc_string = "dewline", ""
    _import(whole, {entry.domain: entry.version for entry in whole.opset_import})
    onnx.checker.check_model(whole)
    data: bytes = whole.SerializeToString()
    return data


def _joined(
    first: ModelProto, second: ModelProto, io_map: dict[str, str], outputs: list[str]
) -> ModelProto:
    for model in (first, second):
        model.ir_version = _IR
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
    """Makes the model use these versions of the operators' domains, named in one order."""
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(d, v) for d, v in sorted(versions.items()))


def _calibration(slope: float, offset: float) -> ModelProto:
    """Log odds to a calibrated probability; the odds of a rounded probability would be too coarse.

    `Sigmoid(slope * Clip(logit) + offset)`, clipped as `cloud.training.learners.logit` does.
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
    """A graph that takes the second of two columns and goes on with it."""
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
    """The export gate: the ONNX model answers as the trained one, also for unlikely weather.

    Args:
        trained: What was fitted.
        model: Its ONNX bytes.
        windows: Rows of features; that it may have learned from them does not matter here.

    Returns:
        The largest difference of a probability.

    Raises:
        ParityError: It is too large, or there are too few rows to tell.
    """
    if len(windows) < PARITY_ROWS:
        raise ParityError(f"the export gate needs {PARITY_ROWS} rows, found {len(windows)}")
    rows = np.vstack([windows, *unlikely(windows)]).astype(np.float32).astype(np.float64)
    difference = float(np.abs(Inference(model).probability(rows) - trained.probability(rows)).max())
    if not difference <= PARITY_LIMIT:
        raise ParityError(
            f"the exported model differs from the trained one by {difference:.2g}, "
            f"allowed is {PARITY_LIMIT:g}"
        )
    return difference


def unlikely(rows: Floats) -> Iterator[Floats]:
    """Rows at the limit, and beyond what was seen."""
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    yield np.vstack([rows.min(axis=0), rows.max(axis=0), mean])
    for far in (-10.0, -4.0, 4.0, 10.0):
        yield (mean + far * deviation)[None, :]
    at_limit = rows[:100].copy()
    at_limit[:, 0] = 0.0
    yield at_limit


def _shape_of_beyond(operator: Any) -> None:
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type = FloatTensorType([rows, len(FEATURE_NAMES) - FIRST + 1])


def _convert_beyond(scope: Any, operator: Any, container: Any) -> None:
    beyond, values = operator.raw_operator, operator.inputs[0]
    to = {"op_version": container.target_opset}
    weights, bias = _linear(beyond)
    width = len(FEATURE_NAMES)
    first = _columns(values, 0, FIRST, to)
    score = OnnxAdd(OnnxMatMul(first, weights, **to), bias, **to)
    rest = _columns(values, FIRST, width, to)
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
    """The baseline's weighted logit as one matrix and one offset."""
    columns, regression = (step for _, step in beyond.baseline_.steps)
    scaler = columns.named_transformers_["scaled"]
    weights = LOGIT_WEIGHT * regression.coef_[0] / scaler.scale_
    bias = LOGIT_WEIGHT * regression.intercept_[0] - float(weights @ scaler.mean_)
    return _float(weights)[:, None], _float([bias])


def _float(values: Any) -> NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32)


update_registered_converter(Beyond, "DewlineBeyond", _shape_of_beyond, _convert_beyond)
