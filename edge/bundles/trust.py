"""Every rule by which a gateway trusts a desired state or a bundle. No I/O: values in, refusal out.

In the order in which a desired state and its bundles meet them:

| rule | function | asked by |
|---|---|---|
| a trusted key signed the desired state; it is for this device and not older | `trusted_state` | updates |
| the condition is declared here | `require_declared` | staging |
| the bundle's counter is above what ran, or it is what ran | `require_newer` | staging, slots |
| the file has the announced hash | `require_hash` | staging |
| a trusted key signed the bundle, it is whole, made for these features and this declaration | `opened` | trial, loader |
| it is the bundle that was announced | `require_announced` | trial |
| its model gives the golden answers | `require_answers` | trial |

What opens bundles needs numpy and imports it only then: the updates thread does without.
"""  # noqa: E501 - a table

import hashlib
from collections.abc import Collection, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from contract.desired import Desired, decode_desired
from edge.bundles.slot import Slot
from edge.errors import UpdateRefused
from models.conditions import Condition
from models.errors import BundleRefused, ModelError
from models.signing import TrustedKeys

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.bundle import Bundle, Manifest

    Floats = NDArray[np.float64]

__all__ = [
    "load_libraries",
    "opened",
    "require_announced",
    "require_answers",
    "require_declared",
    "require_hash",
    "require_newer",
    "trusted_state",
]


def load_libraries() -> None:
    """Imports what opening and asking a bundle needs; call it before memory is limited."""
    import models.bundle  # noqa: F401, PLC0415 - numpy only where a bundle is opened
    from models.inference import require_runtime  # noqa: PLC0415 - as above

    require_runtime()


def trusted_state(
    payload: bytes, trusted: TrustedKeys, device_id: str, known_counter: int
) -> Desired:
    """The desired state in a message: signed, for this device, and not older than a known one.

    Args:
        payload: As it was received.
        trusted: Whose signatures count.
        device_id: This gateway.
        known_counter: Of the newest desired state that was taken; 0 if none was.

    Raises:
        DewlineError: It cannot be read, or `unknown_key` or `bad_signature`.
        UpdateRefused: `other_device` or `old_counter`.
    """
    desired = decode_desired(payload, trusted.verify)
    if desired.device_id != device_id:
        raise UpdateRefused("other_device", f"it is for {desired.device_id}, this is {device_id}")
    if desired.counter < known_counter:
        raise UpdateRefused(
            "old_counter",
            f"its counter {desired.counter} is below {known_counter}, which was taken",
        )
    return desired


def require_declared(condition_id: str, declared: Collection[str]) -> None:
    """Returns if the condition is among those of this gateway.

    Raises:
        UpdateRefused: `unsuitable`.
    """
    if condition_id not in declared:
        raise UpdateRefused(
            "unsuitable", f"no condition {condition_id} is declared on this gateway"
        )


def require_newer(sha256: str, counter: int, slot: Slot | None) -> None:
    """Returns if the bundle is newer than all that ran, or one that the slot names already.

    One that was reverted from may come again.

    Raises:
        UpdateRefused: `old_counter`.
    """
    if slot is None or counter > slot.counter:
        return
    if counter < slot.counter or sha256 not in (slot.current, slot.previous):
        raise UpdateRefused(
            "old_counter", f"its counter {counter} is not above {slot.counter}, which ran before"
        )


def require_hash(data: bytes, sha256: str) -> None:
    """Returns if these are the announced bytes.

    Raises:
        UpdateRefused: `bad_hash`.
    """
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UpdateRefused("bad_hash", "what the server sent has another sha256 than announced")


def opened(data: bytes, trusted: TrustedKeys, condition: Condition) -> "Bundle":
    """The bundle in a file's bytes: signed, whole, made for this condition and these features.

    Args:
        data: The bytes.
        trusted: Whose signatures count.
        condition: As this gateway declares it.

    Raises:
        UpdateRefused: With `models.bundle`'s code, or `unsuitable`.
    """
    from models.bundle import unpack  # noqa: PLC0415 - numpy only where a bundle is opened

    with _refusing():
        bundle = unpack(data, trusted)
    _require_features(bundle.manifest)
    _require_declaration(bundle.manifest, condition)
    return bundle


def _require_features(manifest: "Manifest") -> None:
    from models.features import FEATURES_VERSION  # noqa: PLC0415 - as above

    if not manifest.takes_our_features:
        raise UpdateRefused(
            "unsuitable",
            f"it wants features of version {manifest.features_version}, this program makes "
            f"{FEATURES_VERSION}: install the dewline that the model was made for",
        )


def _require_declaration(manifest: "Manifest", condition: Condition) -> None:
    if not manifest.made_for(condition):
        raise UpdateRefused(
            "unsuitable",
            f"it was made for another declaration of {manifest.condition.id} than the one of "
            f"{condition.id} on this gateway",
        )


def require_announced(bundle: "Bundle", *, model: str, version: str, counter: int) -> None:
    """Returns if the signed names and counter are those that were announced.

    Raises:
        UpdateRefused: `unsuitable`.
    """
    signed = bundle.manifest
    for name, found, said in (
        ("model", signed.model, model),
        ("version", signed.version, version),
        ("counter", signed.counter, counter),
    ):
        if found != said:
            raise UpdateRefused("unsuitable", f"its {name} is {found}, announced was {said}")


def require_answers(bundle: "Bundle") -> None:
    """Returns if the model answers the golden vectors as it did where it was made.

    Runs the model, whatever it does: for a process that may hang, swell or crash.

    Raises:
        UpdateRefused: `unsuitable`: it is no model; `wrong_answer`.
    """
    from models.bundle import check_golden  # noqa: PLC0415 - as above
    from models.features import features  # noqa: PLC0415 - as above
    from models.inference import Inference  # noqa: PLC0415 - as above

    condition = bundle.manifest.condition

    def features_of(
        grids: "NDArray[np.float64]", at_ms: "NDArray[np.int64]"
    ) -> "NDArray[np.float64]":
        return features(grids, at_ms, condition).values

    try:
        inference = Inference(bundle.model)
    except ModelError as error:
        raise UpdateRefused("unsuitable", str(error)) from error
    with _refusing():
        check_golden(bundle.golden, features_of, inference.probability)


@contextmanager
def _refusing() -> Generator[None]:
    try:
        yield
    except BundleRefused as error:
        raise UpdateRefused(error.code, error.text) from error
    except ModelError as error:
        raise UpdateRefused("wrong_answer", str(error)) from error
