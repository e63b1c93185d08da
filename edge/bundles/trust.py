"""Defines all rules by which a gateway trusts a desired state or a bundle. Does no I/O.

The desired state is the cloud's signed list of the bundles that one device should run. The rules
apply in this order:

| rule | function | used by |
|---|---|---|
| a trusted key signed the desired state, which is for this device and not older than the known one | `trusted_state` | updates |
| this gateway declares the condition | `require_declared` | staging |
| the bundle's counter is above the slot's, or the slot already names the bundle | `require_newer` | staging, slots |
| the file has the announced hash | `require_hash` | staging |
| a trusted key signed the bundle, which is complete and made for these features and this declaration | `opened` | trial, loader |
| the bundle is the announced one | `require_announced` | trial |
| the model gives the golden answers (those that the cloud computed) | `require_answers` | trial |

Functions that open bundles import numpy when they are called, because the updates thread does not
need numpy.
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
    """Imports the libraries that open and run a bundle; call it before memory is limited."""
    import models.bundle  # noqa: F401, PLC0415 - numpy only where a bundle is opened
    from models.inference import require_runtime  # noqa: PLC0415 - as above

    require_runtime()


def trusted_state(
    payload: bytes, trusted: TrustedKeys, device_id: str, known_counter: int
) -> Desired:
    """Returns the desired state in a message: signed, for this device, not older than known.

    Args:
        payload: The bytes of the message.
        trusted: The trusted public keys.
        device_id: This gateway.
        known_counter: Counter of the newest accepted desired state; 0 if there was none.

    Raises:
        DewlineError: The message cannot be decoded, or `unknown_key` or `bad_signature`.
        UpdateRefused: `other_device` or `old_counter`.
    """
    desired = decode_desired(payload, trusted.verify)
    if desired.device_id != device_id:
        raise UpdateRefused(
            "other_device",
            f"the desired state is for {desired.device_id}, this gateway is {device_id}",
        )
    if desired.counter < known_counter:
        raise UpdateRefused(
            "old_counter",
            f"the desired state's counter {desired.counter} is below the accepted {known_counter}",
        )
    return desired


def require_declared(condition_id: str, declared: Collection[str]) -> None:
    """Returns if this gateway declares the condition.

    Raises:
        UpdateRefused: `unsuitable`.
    """
    if condition_id not in declared:
        raise UpdateRefused("unsuitable", f"this gateway declares no condition {condition_id}")


def require_newer(sha256: str, counter: int, slot: Slot | None) -> None:
    """Returns if the counter is above the slot's, or if the slot already names the bundle.

    A bundle that failed and was reverted is accepted again.

    Raises:
        UpdateRefused: `old_counter`.
    """
    if slot is None or counter > slot.counter:
        return
    if counter < slot.counter or sha256 not in (slot.current, slot.previous):
        raise UpdateRefused(
            "old_counter",
            f"the bundle's counter {counter} is not above {slot.counter}, which ran before",
        )


def require_hash(data: bytes, sha256: str) -> None:
    """Returns if these are the announced bytes.

    Raises:
        UpdateRefused: `bad_hash`.
    """
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UpdateRefused("bad_hash", "the server's file does not have the announced sha256")


def opened(data: bytes, trusted: TrustedKeys, condition: Condition) -> "Bundle":
    """Returns the bundle in a file's bytes: signed, complete, made for the condition and features.

    Args:
        data: The file's bytes.
        trusted: The trusted public keys.
        condition: The condition as this gateway declares it.

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
            f"the bundle needs features of version {manifest.features_version}, this gateway has "
            f"{FEATURES_VERSION}: install the dewline release that the model was made for",
        )


def _require_declaration(manifest: "Manifest", condition: Condition) -> None:
    if not manifest.made_for(condition):
        raise UpdateRefused(
            "unsuitable",
            f"the bundle was made for another declaration of {manifest.condition.id} than the "
            f"declaration of {condition.id} on this gateway",
        )


def require_announced(bundle: "Bundle", *, model: str, version: str, counter: int) -> None:
    """Returns if the signed names and counter are equal to the announced ones.

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
            raise UpdateRefused(
                "unsuitable", f"the bundle's {name} is {found}, but {said} was announced"
            )


def require_answers(bundle: "Bundle") -> None:
    """Returns if the model gives the same answers to the golden vectors as in the cloud.

    Runs the model, so call it only in a process that may hang, run out of memory or crash.

    Raises:
        UpdateRefused: `unsuitable`: the file is not a model; `wrong_answer`.
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
