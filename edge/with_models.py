"""Builds the additional parts of a gateway with `[models]`; a part of the composition root.

This module loads numpy, onnxruntime and cryptography, so `edge.gateway` imports it only if the
configuration has `[models]`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.bundles.loader import loading
from edge.bundles.models_in_use import ModelsInUse
from edge.bundles.slot_store import SlotStore
from edge.bundles.updates import Updates
from edge.configuration.config import ModelsConfig
from models.conditions import Condition
from models.inference import require_runtime
from models.signing import TrustedKeys

__all__ = ["WithModels", "compose"]


@dataclass(frozen=True, slots=True)
class WithModels:
    """Holds the parts for models.

    Attributes:
        updates: Fetches bundles; not started yet.
        in_use: The models in use; none is loaded yet.
    """

    updates: Updates
    in_use: ModelsInUse


def compose(device_id: str, conditions: Sequence[Condition], config: ModelsConfig) -> WithModels:
    """Creates and connects the parts; reads the trusted keys and the slots.

    Raises:
        ConfigError: A trusted key cannot be read.
        ImportError: onnxruntime is not installed.
    """
    require_runtime()
    trusted = TrustedKeys.load([Path(key) for key in config.trusted_keys])
    slots = SlotStore(Path(config.folder))
    updates = Updates(device_id, conditions, config, slots, trusted)
    return WithModels(updates, ModelsInUse(conditions, slots, updates.take, loading(trusted)))
