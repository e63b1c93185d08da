"""What is refused on the way from a trained model to a running one, rooted in `contract.errors`.

DewlineError
├ ModelError         -   a model cannot be loaded, or its answer is no probability: do without
├ SignatureRefused   -   not signed by somebody trusted: `unknown_key`, `bad_signature`
└ BundleRefused      -   a bundle must not run, with a code: never tried again as it is
"""

from contract.errors import DewlineError

__all__ = ["BundleRefused", "ModelError", "SignatureRefused"]


class ModelError(DewlineError):
    """A model is no use: onnxruntime does not take it, or it answers with no probability."""


class SignatureRefused(DewlineError):
    """Bytes that no trusted key has signed.

    Attributes:
        code: `unknown_key` or `bad_signature`.
        text: What is wrong, without the code.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class BundleRefused(DewlineError):
    """A bundle must not run; what ran before goes on.

    Codes of reading one: `too_large`, `not_a_bundle`, `unknown_key`, `bad_signature`,
    `bad_manifest`, `bad_hash`, `bad_golden`. Of running one: `old_counter`, `unsuitable`,
    `timed_out`, `wrong_answer`.

    Attributes:
        code: Short stable name of the reason; reports group by it.
        text: Why, for a person, without the code.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
