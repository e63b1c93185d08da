"""Makes signed bundles for the benches and installs them in a gateway's slots.

A slot holds the bundle that a gateway runs for a condition. The models have invented weights, or
are trained on invented windows, but have the format, size and features of real ones.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from cloud.training.boosting import BlendModel, BoostingLearner
from cloud.training.export_blend import blend_to_onnx
from cloud.training.history import History
from cloud.training.learners import SklearnLearner
from edge.bundles.slot_store import SlotStore
from models.bundle import Family, Golden, Lineage, Manifest, pack
from models.conditions import Condition
from models.features import FEATURE_NAMES, FEATURES_VERSION, LAGS, features
from models.signing import Signer

__all__ = ["Models", "blend", "lay_models", "logistic"]

_ROWS = 64
_OPSET, _IR = 18, 9
_MADE_MS = 1_356_998_400_000  # 2013-01-01T00:00:00Z


@dataclass(frozen=True, slots=True)
class Models:
    """Names the paths for a gateway's `[models]` section.

    Attributes:
        folder: Folder of the slots.
        trusted_key: File of the public key.
    """

    folder: Path
    trusted_key: Path


def logistic() -> bytes:
    """Returns a logistic regression on all features with scaling, in a converter's ONNX form."""
    rng, count = np.random.default_rng(1), len(FEATURE_NAMES)
    value, tensor = helper.make_tensor_value_info, helper.make_tensor
    graph = helper.make_graph(
        [
            helper.make_node("Sub", ["features", "mean"], ["centred"]),
            helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
            helper.make_node("MatMul", ["scaled", "weights"], ["sum"]),
            helper.make_node("Add", ["sum", "intercept"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["probability"]),
        ],
        "logistic",
        [value("features", TensorProto.FLOAT, [None, count])],
        [value("probability", TensorProto.FLOAT, [None, 1])],
        [
            tensor("mean", TensorProto.FLOAT, [count], rng.normal(0, 5, count)),
            tensor("scale", TensorProto.FLOAT, [count], rng.uniform(0.1, 1, count)),
            tensor("weights", TensorProto.FLOAT, [count, 1], rng.normal(0, 0.2, count)),
            tensor("intercept", TensorProto.FLOAT, [1], [-2.0]),
        ],
    )
    opsets = [helper.make_opsetid("", _OPSET)]
    made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=_IR).SerializeToString()
    return made


def blend() -> bytes:
    """Returns a blend, trained as in a cycle but on invented windows; all its trees are full."""
    count, columns = 6000, len(FEATURE_NAMES)
    draw = np.random.default_rng(3)
    rows = draw.normal(0, 1, (count, columns))
    odds = np.abs(rows[:, -9:]).sum(axis=1) - 7 + rows[:, 0]
    examples = _history(rows, (draw.random(count) < 1 / (1 + np.exp(-odds))).astype(np.float64))
    logistic_part, boosted = SklearnLearner().fit(examples), BoostingLearner().fit(examples)
    return blend_to_onnx(BlendModel(logistic_part, boosted, 0.5))


def _history(rows: NDArray[np.float64], labels: NDArray[np.float64]) -> History:
    count = len(rows)
    at_ms = _MADE_MS + np.arange(count) * 3_600_000
    yes, no = np.ones(count, np.bool_), np.zeros(count, np.bool_)
    return History(
        devices=np.array(["gw-1"] * count, np.object_),
        begins_ms=at_ms,
        at_ms=at_ms,
        values=rows[:, 0],
        holds=no,
        changed=no,
        full=yes,
        usable=yes,
        labels=labels,
        masked=no,
        fit=yes,
        features=rows,
        grids=np.empty((count, 0)),
    )


def lay_models(folder: Path, conditions: tuple[Condition, ...], model: bytes) -> Models:
    """Installs a bundle with this model for each condition in its slot, and returns the paths."""
    signer, models = Signer.generate(), Models(folder / "models", folder / "trusted.pem")
    models.trusted_key.write_text(signer.public_pem(), encoding="ascii")
    slots = SlotStore(models.folder)
    for condition in conditions:
        bundle = pack(_manifest(condition), model, _golden(condition), "# made", signer)
        sha256 = hashlib.sha256(bundle).hexdigest()
        slots.part(sha256).write_bytes(bundle)
        slots.stage(sha256)
        slots.swap(condition.id, sha256, 1)
    return models


def _manifest(condition: Condition) -> Manifest:
    return Manifest(
        model=f"{condition.id}-bench",
        version="1",
        family=Family.BLEND,
        condition=condition,
        horizon_s=condition.horizon_s,
        features_version=FEATURES_VERSION,
        feature_names=FEATURE_NAMES,
        counter=1,
        created_at=_MADE_MS,
        lineage=Lineage(
            dataset_version="none",
            code_version="bench",
            trained_from="never",
            trained_to="never",
            parameters="{}",
            seed="1",
        ),
    )


def _golden(condition: Condition) -> Golden:
    """Returns golden vectors of the usual size; their probabilities are invented."""
    rng = np.random.default_rng(2)
    at_ms = _MADE_MS + np.arange(_ROWS) * 3_600_000
    centre, spread = np.array([[12.0], [65.0], [101_300.0]]), np.array([[3.0], [9.0], [300.0]])
    grids = centre + spread * rng.uniform(-1, 1, (_ROWS, 3, LAGS))
    made = features(grids, at_ms, condition).values
    return Golden(grids=grids, at_ms=at_ms, features=made, probabilities=np.full(_ROWS, 0.5))
