"""Inference on small models built here; what is no model, and what is no probability."""

import subprocess
import sys

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnxruntime.capi import onnxruntime_pybind11_state as binding

from models.errors import ModelError
from models.inference import Inference, _converted

COLUMNS = 3


def model(nodes, *, inputs=None, outputs=None, initializers=()):
    """ONNX bytes; without other wishes from `features` [any, 3] to `probability` [any, 1]."""
    value = helper.make_tensor_value_info
    inputs = inputs or [value("features", TensorProto.FLOAT, [None, COLUMNS])]
    outputs = outputs or [value("probability", TensorProto.FLOAT, [None, 1])]
    graph = helper.make_graph(nodes, "made", inputs, outputs, list(initializers))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return made.SerializeToString()


def weights(name, array):
    array = np.asarray(array, dtype=np.float32)
    return helper.make_tensor(name, TensorProto.FLOAT, array.shape, array.flatten().tolist())


W = weights("w", [[0.5], [-2.0], [1.0]])
LOGISTIC = model(
    [
        helper.make_node("MatMul", ["features", "w"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["probability"]),
    ],
    initializers=[W],
)
LINEAR = model([helper.make_node("MatMul", ["features", "w"], ["probability"])], initializers=[W])


def test_the_probability_of_a_logistic_model():
    inference = Inference(LOGISTIC)
    rows = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [-4.0, 0.25, 9.5]])
    expected = 1 / (1 + np.exp(-(rows @ [0.5, -2.0, 1.0])))
    assert inference.columns == COLUMNS
    assert np.abs(inference.probability(rows) - expected).max() < 1e-6
    assert [inference.probability_of(row) for row in rows] == list(inference.probability(rows))
    assert inference.probability(rows).dtype == np.float64
    assert inference.probability(np.empty((0, COLUMNS))).shape == (0,)


@pytest.mark.parametrize("row", [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
def test_0_and_1_are_probabilities(row):
    assert Inference(LINEAR).probability_of(np.array(row)) == row[0] / 2


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([2.1, 0.0, 0.0], "answered 1.05, which is not a probability"),
        ([-0.1, 0.0, 0.0], "answered -0.05,"),
        ([float("nan"), 0.0, 0.0], "answered nan,"),
        ([float("inf"), 0.0, 0.0], "answered inf,"),
        ([1e300, 0.0, 0.0], "answered inf,"),  # beyond float32
    ],
)
def test_an_answer_that_is_no_probability_is_an_error(row, said):
    inference = Inference(LINEAR)
    with pytest.raises(ModelError, match=said) as error:
        inference.probability_of(np.array(row))
    assert not error.value.retryable
    with pytest.raises(ModelError, match=said):  # one bad row among good ones
        inference.probability(np.array([[1.0, 0.0, 0.0], row]))


@pytest.mark.parametrize("shape", [(2,), (4,), (1, 1, 3)])
def test_features_of_another_width_are_an_error(shape):
    with pytest.raises(ModelError, match="the model takes rows of 3"):
        Inference(LOGISTIC).probability(np.zeros((1, *shape)))
    with pytest.raises(ModelError, match="the model takes rows of 3"):
        Inference(LOGISTIC).probability_of(np.zeros(shape))


@pytest.mark.parametrize(
    "damaged",
    [b"", b"no model", LOGISTIC[: len(LOGISTIC) // 2], LOGISTIC.replace(b"Sigmoid", b"Sigmoix")],
)
def test_what_is_no_model_is_an_error(damaged, capfd):
    with pytest.raises(ModelError, match="the model cannot be loaded: ") as error:
        Inference(damaged)
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


VALUE = helper.make_tensor_value_info
SAME = helper.make_node("Identity", ["features"], ["probability"])
FORMS = {
    "an input of another name": model(
        [helper.make_node("Identity", ["x"], ["probability"])],
        inputs=[VALUE("x", TensorProto.FLOAT, [None, 1])],
    ),
    "an input of another type": model(
        [SAME],
        inputs=[VALUE("features", TensorProto.DOUBLE, [None, 1])],
        outputs=[VALUE("probability", TensorProto.DOUBLE, [None, 1])],
    ),
    "an input without a width": model(
        [SAME], inputs=[VALUE("features", TensorProto.FLOAT, [None, None])]
    ),
    "an input of one dimension": model(
        [SAME],
        inputs=[VALUE("features", TensorProto.FLOAT, [1])],
        outputs=[VALUE("probability", TensorProto.FLOAT, [1])],
    ),
    "an input of no dimension": model(
        [SAME],
        inputs=[VALUE("features", TensorProto.FLOAT, [])],
        outputs=[VALUE("probability", TensorProto.FLOAT, [])],
    ),
    "an input for one row": model(
        [SAME],
        inputs=[VALUE("features", TensorProto.FLOAT, [1, 1])],
        outputs=[VALUE("probability", TensorProto.FLOAT, [1, 1])],
    ),
    "two inputs": model(
        [helper.make_node("Add", ["features", "more"], ["probability"])],
        inputs=[
            VALUE("features", TensorProto.FLOAT, [None, 1]),
            VALUE("more", TensorProto.FLOAT, [None, 1]),
        ],
    ),
    "an output of another name": model(
        [helper.make_node("Identity", ["features"], ["y"])],
        inputs=[VALUE("features", TensorProto.FLOAT, [None, 1])],
        outputs=[VALUE("y", TensorProto.FLOAT, [None, 1])],
    ),
    "a wider output": model([SAME], outputs=[VALUE("probability", TensorProto.FLOAT, [None, 3])]),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_model_of_another_form_is_an_error(name):
    part = "output" if "output" in name else "input"
    with pytest.raises(ModelError, match=f"model {part}: expected "):
        Inference(FORMS[name])


def test_a_model_that_fails_while_it_runs_is_an_error():
    """Its declared form is right; the shapes inside do not fit."""
    node = helper.make_node("Reshape", ["features", "shape"], ["probability"])
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [5, 1])
    with pytest.raises(ModelError, match="the model failed: "):
        Inference(model([node], initializers=[shape])).probability_of(np.zeros(COLUMNS))


def test_a_model_that_gives_fewer_rows_is_an_error():
    node = helper.make_node("ReduceMax", ["features"], ["probability"], keepdims=1)
    with pytest.raises(ModelError, match=r"shape \(1, 1\) for 2 input rows"):
        Inference(model([node])).probability(np.zeros((2, COLUMNS)))


def test_each_row_asked_alone_has_the_same_answer():
    rows = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [-4.0, 0.25, 9.5]])
    inference = Inference(LOGISTIC)
    assert inference.one_by_one(rows).tolist() == inference.probability(rows).tolist()
    assert inference.one_by_one(np.empty((0, COLUMNS))).shape == (0,)


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in vars(binding).values()
        if isinstance(kind, type) and issubclass(kind, BaseException)
    ]
    + [MemoryError, RuntimeError, ValueError],
    ids=lambda kind: kind.__name__,
)
def test_whatever_onnxruntime_raises_is_a_model_error(kind):
    with (
        pytest.raises(ModelError, match="the model failed: shape of things"),
        _converted("the model failed"),
    ):
        raise kind("shape of\n things")


def test_other_errors_are_left_alone():
    with pytest.raises(KeyError), _converted("the model failed"):
        raise KeyError("ours")


def test_it_can_be_imported_where_there_is_no_onnxruntime():
    script = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from models.inference import Inference\n"
        "try: Inference(b'')\n"
        "except ImportError: print('not installed')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "not installed\n"
