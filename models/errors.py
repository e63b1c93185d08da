"""Defines the errors of models and bundles, derived from `contract.errors`.

DewlineError
├ ModelError         -   a model cannot be loaded, or its answer is not a probability
├ SignatureRefused   -   no trusted key signed the bytes: `unknown_key`, `bad_signature`
└ BundleRefused      -   a bundle must not run; the code names the reason. Do not retry it
"""

from contract.errors import DewlineError

__all__ = ["BundleRefused", "ModelError", "SignatureRefused"]


class ModelError(DewlineError):
    """Reports that onnxruntime cannot load a model, or that its answer is not a probability."""


class SignatureRefused(DewlineError):
    """Reports bytes that no trusted key has signed.

    Attributes:
        code: `unknown_key` or `bad_signature`.
        text: The reason as a message, without the code.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class BundleRefused(DewlineError):
    """Reports that a bundle must not run; the bundle that ran before continues.

    Codes when a bundle is read: `too_large`, `not_a_bundle`, `unknown_key`, `bad_signature`,
    `bad_manifest`, `bad_hash`, `bad_golden`. Codes when a bundle is tried: `old_counter`,
    `unsuitable`, `timed_out`, `wrong_answer`.

    Attributes:
        code: Short stable name of the reason; reports are grouped by code.
        text: The reason as a message, without the code.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
