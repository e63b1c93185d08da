"""MLflow itself loads exported bundles, and gives the answers that their golden vectors name.

MLflow is installed into an environment of its own, because it brings forty packages. Not among the
tests that are collected: run it by name, with -s to read along.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cloud.training.mlflow import mlflow_files
from models.bundle import unpack
from models.signing import TrustedKeys

MADE = Path(__file__).parents[1] / "models" / "made_earlier"
ASK = """
import json, sys
import mlflow, mlflow.onnx, mlflow.pyfunc, numpy
folder, rows = sys.argv[1], numpy.load(sys.argv[2])
model = mlflow.pyfunc.load_model(folder)
answers = model.predict({"features": rows})
mlflow.onnx.load_model(folder)
print(json.dumps({
    "mlflow": mlflow.__version__,
    "answers": numpy.asarray(answers["probability"]).ravel().tolist(),
    "bundle": model.metadata.metadata["bundle_sha256"],
    "columns": model.metadata.signature.inputs.inputs[0].shape[1],
}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """An interpreter with what the exported folder says that it needs."""
    folder = tmp_path_factory.mktemp("mlflow")
    bundle = unpack((MADE / "dew.dwb").read_bytes(), TrustedKeys.load([MADE / "trusted.pem"]))
    needs = mlflow_files(bundle, "00" * 32)["requirements.txt"].decode()
    needs = needs.replace("mlflow==", "mlflow-skinny==") + "numpy\npandas\n"  # without its server
    (folder / "requirements.txt").write_text(needs)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    pip = [str(folder / "env" / "bin" / "pip"), "install", "-q", "-r"]
    subprocess.run([*pip, str(folder / "requirements.txt")], check=True)
    return folder / "env" / "bin" / "python"


@pytest.mark.parametrize("name", ["dew", "damp"])
def test_mlflow_answers_like_the_gateway(name, python, tmp_path):
    bundle = unpack((MADE / f"{name}.dwb").read_bytes(), TrustedKeys.load([MADE / "trusted.pem"]))
    folder = tmp_path / name
    folder.mkdir()
    for file, data in mlflow_files(bundle, "12" * 32).items():
        (folder / file).write_bytes(data)
    np.save(tmp_path / "rows.npy", bundle.golden.features.astype(np.float32))
    done = subprocess.run(
        [str(python), "-c", ASK, str(folder), str(tmp_path / "rows.npy")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    apart = np.abs(np.array(found["answers"]) - bundle.golden.probabilities).max()
    print(f"{name}: MLflow {found['mlflow']}, {len(found['answers'])} answers, {apart:.1g} apart")
    assert len(found["answers"]) == len(bundle.golden.probabilities) > 10
    assert apart <= 1e-5
    assert found["bundle"] == "12" * 32
    assert found["columns"] == len(bundle.manifest.feature_names)
