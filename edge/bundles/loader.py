"""Loads a bundle's file into a forecaster.

Its imports load numpy and onnxruntime, so only a gateway with `[models]` imports this module.
"""

from pathlib import Path

from edge.bundles.models_in_use import Load, Unusable
from edge.bundles.slot_store import read_bundle
from edge.bundles.trust import opened
from edge.errors import UpdateRefused
from edge.forecasting.forecaster import Forecaster
from models.conditions import Condition
from models.errors import ModelError
from models.inference import Inference
from models.signing import TrustedKeys

__all__ = ["loading"]

_VERSION_DIGITS = 16  # digits of the file's sha256 that stand for a version that cannot be read


def loading(trusted: TrustedKeys) -> Load:
    """Returns a function that loads bundles signed with one of these keys.

    Each call verifies the file again: the disk may damage files, and keys or declarations may
    have changed.
    """

    def load(path: Path, condition: Condition) -> Forecaster | Unusable:
        try:
            bundle = opened(read_bundle(path), trusted, condition)
        except UpdateRefused as error:
            return Unusable(
                model="unreadable",
                version=path.stem[:_VERSION_DIGITS],
                reason=f"{error.code}: {error}",
            )
        manifest = bundle.manifest
        try:
            inference = Inference(bundle.model)
        except ModelError as error:
            return Unusable(model=manifest.model, version=manifest.version, reason=str(error))
        return Forecaster(condition, manifest.model, manifest.version, inference)

    return load
