"""The cloud's errors, rooted in `contract.errors`; loops look only at `retryable`.

DewlineError
├ LakeError          +   the store did not answer or refused: nothing is acked, nothing moves on
│ ├ LakeExists       -   a path that may be created once is there already
│ └ LakeMissing      -   a path that should be there is not
├ ProjectionError    +   a target did not take everything: the cursor stays, the batch comes again
├ WarehouseError     +   MySQL did not answer or broke off
│ └ SchemaOutdated   -   the migrations of this program were not run: `warehouse migrate`
├ BrokerError        +   the broker is away or refuses
│ └ BrokerRefused    -   credentials or rights: an operator is needed
├ KibanaError        +   Kibana did not answer, or not now
│ └ KibanaRefused    -   it did not take every object: the text names them
└ AuthorityError     -   a certificate cannot be issued or revoked: the text says what to do
"""

from typing import ClassVar

from contract.errors import DewlineError

__all__ = [
    "AuthorityError",
    "BrokerError",
    "BrokerRefused",
    "KibanaError",
    "KibanaRefused",
    "LakeError",
    "LakeExists",
    "LakeMissing",
    "ProjectionError",
    "SchemaOutdated",
    "WarehouseError",
]


class LakeError(DewlineError):
    """The lake's store failed; the same call may succeed later."""

    retryable: ClassVar[bool] = True


class LakeExists(LakeError):
    """The path is taken. Whoever creates it once compares the bytes: equal means done already."""

    retryable: ClassVar[bool] = False


class LakeMissing(LakeError):
    """Nothing stands at the path."""

    retryable: ClassVar[bool] = False


class ProjectionError(DewlineError):
    """A projection's target did not take the whole batch; the cursor was not moved."""

    retryable: ClassVar[bool] = True


class WarehouseError(DewlineError):
    """MySQL did not answer or broke off; nothing of the transaction stays."""

    retryable: ClassVar[bool] = True


class SchemaOutdated(WarehouseError):
    """The warehouse lacks migrations of this program: run `dewline-cloud warehouse migrate`."""

    retryable: ClassVar[bool] = False


class BrokerError(DewlineError):
    """The broker is away; connect again later."""

    retryable: ClassVar[bool] = True


class BrokerRefused(BrokerError):
    """The broker refuses these credentials or rights; an operator is needed."""

    retryable: ClassVar[bool] = False


class AuthorityError(DewlineError):
    """A certificate cannot be issued or revoked, or the authority's folder cannot be used."""


class KibanaError(DewlineError):
    """Kibana did not answer, or not now; importing again does no harm."""

    retryable: ClassVar[bool] = True


class KibanaRefused(KibanaError):
    """Kibana did not take every object; the text names them and why."""

    retryable: ClassVar[bool] = False
