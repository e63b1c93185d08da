"""Converts blends to ONNX: their parts side by side on one input, and the weighted mean.

skl2onnx converts the trees; `cloud.training.export` converts logistic regressions.
"""

from collections.abc import Sequence
from typing import Any

import onnx
from onnx import ModelProto, TensorProto, compose, helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

from cloud.training.boosting import BlendModel, Boosted
from cloud.training.export import IR, OPSETS, sklearn_to_onnx
from cloud.training.learners import SklearnModel

__all__ = ["blend_to_onnx"]

_INPUT, _OUTPUT = "features", "probability"


def blend_to_onnx(blend: BlendModel) -> bytes:
    """Convert a fitted blend; a part without weight is left out."""
    if blend.boosted is None:
        return _logistic(blend.logistic)
    trees = blend.boosted.trees
    parts = {
        "baseline": onnx.load_from_string(_logistic(blend.boosted.baseline)),
        "trees": _trees(blend.boosted),
    }
    sums: list[tuple[tuple[str, ...], float]] = [
        (("baseline_probability", "trees_variable"), blend.weight)
    ]
    if blend.weight < 1:
        parts["logistic"] = onnx.load_from_string(_logistic(blend.logistic))
        sums.append((("logistic_probability",), 1 - blend.weight))
    return _side_by_side(parts, sums, trees.n_features_in_)


def _logistic(model: SklearnModel) -> bytes:
    return sklearn_to_onnx(model.pipeline, model.slope, model.offset)


def _trees(boosted: Boosted) -> ModelProto:
    trees = boosted.trees
    shape = FloatTensorType([None, trees.n_features_in_])
    model: ModelProto = convert_sklearn(trees, initial_types=[(_INPUT, shape)], target_opset=OPSETS)
    return model


def _side_by_side(
    parts: dict[str, ModelProto], sums: Sequence[tuple[Sequence[str], float]], columns: int
) -> bytes:
    """Return a model with all parts, whose answer is the weighted sum of clipped sums.

    Args:
        parts: Models by the prefix of their names in the result.
        sums: For each sum the outputs of parts, and the weight; weights add up to 1.
        columns: Number of features.
    """
    nodes: list[Any] = []
    tensors = [_number(name, value) for name, value in (("zero", 0.0), ("one", 1.0))]
    for name, model in parts.items():
        graph = compose.add_prefix(
            model, f"{name}_", rename_inputs=False, rename_value_infos=False
        ).graph
        nodes += graph.node
        tensors += graph.initializer
    for index, (outputs, weight) in enumerate(sums):
        tensors.append(_number(f"weight_{index}", weight))
        nodes += [
            helper.make_node("Sum", list(outputs), [f"sum_{index}"]),
            helper.make_node("Clip", [f"sum_{index}", "zero", "one"], [f"clipped_{index}"]),
            helper.make_node("Mul", [f"clipped_{index}", f"weight_{index}"], [f"share_{index}"]),
        ]
    shares = [f"share_{index}" for index in range(len(sums))]
    nodes.append(helper.make_node("Sum", shares, ["mean"]))
    nodes.append(helper.make_node("Clip", ["mean", "zero", "one"], [_OUTPUT]))  # float32 rounds
    return _model(nodes, tensors, columns)


def _number(name: str, value: float) -> Any:
    return helper.make_tensor(name, TensorProto.FLOAT, [], [value])


def _model(nodes: list[Any], tensors: list[Any], columns: int) -> bytes:
    shape = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "dewline",
        [shape(_INPUT, TensorProto.FLOAT, [None, columns])],
        [shape(_OUTPUT, TensorProto.FLOAT, [None, 1])],
        tensors,
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in sorted(OPSETS.items())]
    whole = helper.make_model(graph, opset_imports=opsets, ir_version=IR)
    onnx.checker.check_model(whole)
    data: bytes = whole.SerializeToString()
    return data
