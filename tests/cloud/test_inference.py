"""What is asked for probabilities must be a model that gives them."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from cloud.inference import Inference, ModelError
from models.features import FEATURE_NAMES

WIDTH = len(FEATURE_NAMES)
FIRST = numpy_helper.from_array(np.eye(WIDTH, 1, dtype=np.float32), "first")


@pytest.fixture
def first_column(onnx_of):
    """A model that answers with the first feature."""
    return onnx_of([helper.make_node("MatMul", ["features", "first"], ["probability"])], [FIRST])


def asked(*firsts):
    rows = np.zeros((len(firsts), WIDTH))
    rows[:, 0] = firsts
    return rows


def test_each_row_has_its_answer(first_column):
    model = Inference(first_column)
    np.testing.assert_array_equal(model.probability(asked(0.0, 0.25, 1.0)), [0.0, 0.25, 1.0])
    assert model.probability(asked()).shape == (0,)
    assert model.probability(asked(0.5)).dtype == np.float64


@pytest.mark.parametrize("wrong", [-0.001, 1.001, float("nan"), float("inf")])
def test_an_answer_that_is_no_probability_is_told(first_column, wrong):
    with pytest.raises(ModelError, match="of 2 answers some are no probability"):
        Inference(first_column).probability(asked(0.5, wrong))


def test_an_answer_for_each_row_is_expected(onnx_of):
    mean = helper.make_node("ReduceMean", ["features"], ["probability"], keepdims=1)
    with pytest.raises(ModelError, match="of 3 answers"):
        Inference(onnx_of([mean])).probability(asked(0.1, 0.2, 0.3))


def test_rows_of_another_width_are_told(first_column):
    with pytest.raises(ModelError, match="the model failed"):
        Inference(first_column).probability(np.zeros((2, WIDTH + 1)))


@pytest.mark.parametrize("data", [b"", b"no model", b"\x08\x08"])
def test_what_is_no_model_is_told(data):
    with pytest.raises(ModelError, match="cannot be loaded"):
        Inference(data)


def test_a_truncated_model_is_told(first_column):
    with pytest.raises(ModelError):
        Inference(first_column[: len(first_column) // 2])


def test_names_are_part_of_the_agreement():
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "other",
        [value("x", TensorProto.FLOAT, [None, 1])],
        [value("y", TensorProto.FLOAT, [None, 1])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    with pytest.raises(ModelError, match=r"one input, features, and one output.*found x and"):
        Inference(made.SerializeToString())
