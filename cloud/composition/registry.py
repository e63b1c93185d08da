"""Opens the registry of models, and the key that signs for it, of section `[registry]`."""

from pathlib import Path

from cloud.composition.servers import open_warehouse
from cloud.config import CloudConfig, need
from cloud.registry import Registry
from contract.errors import ConfigError
from models.signing import Signer

__all__ = ["key_path", "open_registry", "open_signer"]


def open_registry(config: CloudConfig) -> Registry:
    """The registry of sections `[registry]` and `[warehouse]`.

    Raises:
        ConfigError: A section or the password's file is missing.
        WarehouseError: The schema is another one, or the server did not answer.
    """
    section = need(config.registry, "registry", config)
    return Registry(open_warehouse(config), section.path)


def open_signer(config: CloudConfig) -> Signer:
    """What signs, with the key of section `[registry]`.

    Raises:
        ConfigError: The key is not named or cannot be read.
    """
    return Signer.load(key_path(config))


def key_path(config: CloudConfig) -> Path:
    """The file of the signing key, which need not exist.

    Raises:
        ConfigError: The section or the key is missing.
    """
    named = need(config.registry, "registry", config).signing_key
    if named is None:
        raise ConfigError(f"{config.source}: registry: key 'signing_key' is missing; needed here")
    return Path(named)
