"""Writes a bundle as an MLflow model, so that other tools can load it, compare it and serve it.

The folder has the layout that `mlflow.onnx.save_model` writes (MLflow 3): the ONNX file, `MLmodel`,
and the packages that it needs. `MLmodel` is JSON, which is YAML too. Gateways do not read it: they
run only signed bundles. `make proof-mlflow` loads the folder with MLflow itself.
"""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from contract.typed import plain
from models.bundle import Bundle, Manifest

__all__ = ["mlflow_files"]

# Constants, so that the files do not depend on the host; a test compares them with the lock file.
_MLFLOW, _ONNX, _ONNXRUNTIME = "3.17.2", "1.23.2", "1.32.0"
_PYTHON = "3.11"
_FLAVORS = {
    "onnx": {
        "code": None,
        "data": "model.onnx",
        "onnx_version": _ONNX,
        "providers": ["CPUExecutionProvider"],
    },
    "python_function": {
        "data": "model.onnx",
        "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
        "loader_module": "mlflow.onnx",
        "python_version": _PYTHON,
    },
}
_NAMESPACE = uuid.UUID("6d0a7b0e-5f5e-5d2b-9a53-0d1c8f3f7d61")


def mlflow_files(bundle: Bundle, sha256: str) -> Mapping[str, bytes]:
    """Returns the files of the MLflow model, by name: the same bytes for the same bundle.

    Args:
        bundle: The verified bundle.
        sha256: SHA-256 of the bundle's file; it goes into the metadata.
    """
    requirements = [f"mlflow=={_MLFLOW}", f"onnx=={_ONNX}", f"onnxruntime=={_ONNXRUNTIME}"]
    files = {
        "MLmodel": _json(_model_table(bundle, sha256)),
        "conda.yaml": _json(_conda_table(requirements)),
        "python_env.yaml": _json({"python": _PYTHON, "dependencies": ["-r requirements.txt"]}),
        "requirements.txt": ("\n".join(requirements) + "\n").encode(),
        "card.md": bundle.card.encode(),
    }
    return files | {"model.onnx": bundle.model}


def _model_table(bundle: Bundle, sha256: str) -> dict[str, object]:
    manifest = bundle.manifest
    created = datetime.fromtimestamp(manifest.created_at / 1000, tz=UTC)
    return {
        "flavors": _FLAVORS,
        "metadata": _metadata(manifest, sha256),
        "mlflow_version": _MLFLOW,
        "model_size_bytes": len(bundle.model),
        "model_uuid": uuid.uuid5(_NAMESPACE, sha256).hex,
        "signature": {
            "inputs": _tensor("features", len(manifest.feature_names)),
            "outputs": _tensor("probability", 1),
            "params": None,
        },
        "utc_time_created": created.strftime("%Y-%m-%d %H:%M:%S.%f"),
    }


def _metadata(manifest: Manifest, sha256: str) -> dict[str, object]:
    return {
        "bundle_sha256": sha256,
        "model": manifest.model,
        "version": manifest.version,
        "family": manifest.family.value,
        "condition": plain(manifest.condition),
        "horizon_s": manifest.horizon_s,
        "features_version": manifest.features_version,
        "feature_names": list(manifest.feature_names),
        "lineage": plain(manifest.lineage),
    }


def _tensor(name: str, columns: int) -> str:
    """Returns a signature of rows of float32; MLflow wants it as JSON in a text."""
    spec = {"dtype": "float32", "shape": [-1, columns]}
    return json.dumps([{"name": name, "type": "tensor", "tensor-spec": spec}])


def _conda_table(requirements: list[str]) -> dict[str, object]:
    return {
        "name": "dewline-model",
        "channels": ["conda-forge"],
        "dependencies": [f"python={_PYTHON}", "pip", {"pip": requirements}],
    }


def _json(table: object) -> bytes:
    return (json.dumps(table, indent=2, allow_nan=False) + "\n").encode()
