"""What a gateway with `[models]` has beyond one without: the second half of the composition root.

It brings numpy, onnxruntime and cryptography into the process, so `edge.gateway` imports it only
where a configuration asks for models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.bundles.loader import loading
from edge.bundles.models_in_use import ModelsInUse
from edge.bundles.slots import Slots
from edge.bundles.updates import Updates
from edge.configuration.config import ModelsConfig
from models.conditions import Condition
from models.inference import require_runtime
from models.signing import TrustedKeys

__all__ = ["WithModels", "compose"]


@dataclass(frozen=True, slots=True)
class WithModels:
    """The parts.

    Attributes:
        updates: Not started yet.
        in_use: Nothing is loaded yet.
    """

    updates: Updates
    in_use: ModelsInUse


def compose(device_id: str, conditions: Sequence[Condition], config: ModelsConfig) -> WithModels:
    """The parts, joined; reads the trusted keys and the slots.

    Raises:
        ConfigError: A trusted key cannot be read.
        ImportError: onnxruntime is not installed.
    """
    require_runtime()
    trusted = TrustedKeys.load([Path(key) for key in config.trusted_keys])
    slots = Slots(Path(config.folder))
    updates = Updates(device_id, conditions, config, slots, trusted)
    return WithModels(updates, ModelsInUse(conditions, slots, updates.take, loading(trusted)))
