"""Whether a bundle's file may run on this gateway, as far as that can be told without running it.

The one place of the edge where a bundle is opened: for its trial in the child process, and again at
each load into the gateway, since files rot and declarations change.
"""

from pathlib import Path

from contract.desired import MAX_BUNDLE_BYTES
from edge.errors import UpdateRefused
from models.bundle import Bundle, unpack
from models.conditions import Condition
from models.errors import BundleRefused
from models.features import FEATURES_VERSION
from models.signing import TrustedKeys

__all__ = ["admit"]


def admit(path: Path, trusted: TrustedKeys, condition: Condition) -> Bundle:
    """The bundle in a file; it is signed, whole, and made for this condition and these features.

    Args:
        path: The file.
        trusted: Whose signatures count.
        condition: As this gateway declares it.

    Raises:
        UpdateRefused: With `models.bundle`'s code, or `missing` or `unsuitable`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BUNDLE_BYTES + 1)
        bundle = unpack(data, trusted)
    except OSError as error:
        raise UpdateRefused("missing", f"{path.name}: {error.strerror}") from error
    except BundleRefused as error:
        raise UpdateRefused(error.code, error.text) from error
    _require_suitable(bundle, condition)
    return bundle


def _require_suitable(bundle: Bundle, condition: Condition) -> None:
    manifest = bundle.manifest
    if not manifest.takes_our_features:
        raise UpdateRefused(
            "unsuitable",
            f"it wants features of version {manifest.features_version}, this program makes "
            f"{FEATURES_VERSION}: install the dewline that the model was made for",
        )
    if not manifest.made_for(condition):
        raise UpdateRefused(
            "unsuitable",
            f"it was made for another declaration of {manifest.condition.id} than the one of "
            f"{condition.id} on this gateway",
        )
