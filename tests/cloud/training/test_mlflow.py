"""A bundle as a folder for MLflow. `make proof-mlflow` loads such a folder with MLflow itself."""

import json
from pathlib import Path

from cloud.training.mlflow import mlflow_files
from models.bundle import unpack
from tests.models.test_bundle import FILE, MANIFEST, TRUSTED

ROOT = Path(__file__).parents[3]


def table_of(files, name):
    return json.loads(files[name])


def test_the_folder_names_the_model_its_input_and_its_origin():
    data = FILE
    bundle = unpack(data, TRUSTED)
    files = mlflow_files(bundle, "ab" * 32)
    assert files["model.onnx"] == bundle.model
    assert files["card.md"].decode() == bundle.card
    table = table_of(files, "MLmodel")
    assert table["flavors"]["python_function"]["loader_module"] == "mlflow.onnx"
    (given,) = json.loads(table["signature"]["inputs"])
    (answer,) = json.loads(table["signature"]["outputs"])
    assert (given["name"], given["tensor-spec"]["shape"]) == ("features", [-1, 3])
    assert (answer["name"], answer["tensor-spec"]["shape"]) == ("probability", [-1, 1])
    assert table["metadata"]["condition"]["id"] == MANIFEST.condition.id
    assert table["metadata"]["feature_names"] == list(MANIFEST.feature_names)
    assert table["metadata"]["bundle_sha256"] == "ab" * 32
    assert table["utc_time_created"] == "2013-03-31 00:00:00.000000"


def test_the_same_bundle_gives_the_same_bytes_and_another_one_another_id():
    bundle = unpack(FILE, TRUSTED)
    assert mlflow_files(bundle, "ab" * 32) == mlflow_files(bundle, "ab" * 32)
    ids = {table_of(mlflow_files(bundle, s * 32), "MLmodel")["model_uuid"] for s in ("ab", "cd")}
    assert len(ids) == 2


def test_the_packages_are_those_of_the_lock_file():
    locked = (ROOT / "requirements" / "spark.txt").read_text().split()
    files = mlflow_files(unpack(FILE, TRUSTED), "ab" * 32)
    _, *needs = files["requirements.txt"].decode().split()
    assert len(needs) == 2
    assert set(needs) <= set(locked)
