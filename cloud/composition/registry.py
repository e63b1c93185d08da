"""Opens the registry of models and the signing key of section `[registry]`."""

from pathlib import Path

from cloud.composition.servers import open_warehouse
from cloud.config import CloudConfig, need
from cloud.registry import Registry
from contract.errors import ConfigError
from models.signing import Signer

__all__ = ["key_path", "open_registry", "open_signer"]


def open_registry(config: CloudConfig) -> Registry:
    """Opens the registry of sections `[registry]` and `[warehouse]`.

    Raises:
        ConfigError: A section or the password file is missing.
        WarehouseError: The schema has another version, or the server did not answer.
    """
    section = need(config.registry, "registry", config)
    return Registry(open_warehouse(config), section.path)


def open_signer(config: CloudConfig) -> Signer:
    """Loads the signing key of section `[registry]`.

    Raises:
        ConfigError: Key signing_key is missing, or its file cannot be read.
    """
    return Signer.load(key_path(config))


def key_path(config: CloudConfig) -> Path:
    """Returns the file of the signing key, which need not exist.

    Raises:
        ConfigError: The section or its key signing_key is missing.
    """
    named = need(config.registry, "registry", config).signing_key
    if named is None:
        raise ConfigError(
            f"{config.source}: [registry] signing_key is missing; this command needs it"
        )
    return Path(named)
