"""Defines the cloud's errors. A loop repeats after a retryable error (+) and ends otherwise (-).

DewlineError
├ LakeError          +   the lake's store failed: no ack is sent, no cursor moves
│ ├ LakeExists       -   a path that is created only once exists already
│ └ LakeMissing      -   a path that should exist does not
├ ProjectionError    +   a target did not store everything: the cursor stays, the batch is repeated
├ WarehouseError     +   MySQL did not answer, or the connection ended
│ └ SchemaOutdated   -   the schema is not this program's: run `warehouse migrate`
├ BrokerError        +   the broker cannot be reached, or is busy
│ └ BrokerRefused    -   the broker refuses credentials or rights: the operator must act
├ KibanaError        +   Kibana did not answer, or is busy
│ └ KibanaRefused    -   Kibana did not import every object: the message names them
├ AuthorityError     -   a certificate cannot be issued or revoked: the message says what to do
└ HistoryError       -   a file cannot be imported: the message names file, line and what to do
"""

from typing import ClassVar

from contract.errors import DewlineError

__all__ = [
    "AuthorityError",
    "BrokerError",
    "BrokerRefused",
    "HistoryError",
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
    """The path exists already; a caller that finds equal bytes there has nothing left to do."""

    retryable: ClassVar[bool] = False


class LakeMissing(LakeError):
    """The path does not exist."""

    retryable: ClassVar[bool] = False


class ProjectionError(DewlineError):
    """A projection's target did not store the whole batch; the cursor was not moved."""

    retryable: ClassVar[bool] = True


class WarehouseError(DewlineError):
    """MySQL did not answer, or the connection ended; the transaction was rolled back."""

    retryable: ClassVar[bool] = True


class SchemaOutdated(WarehouseError):
    """The schema lacks migrations of this program: run `dewline-cloud warehouse migrate`."""

    retryable: ClassVar[bool] = False


class BrokerError(DewlineError):
    """The broker cannot be reached; connect again later."""

    retryable: ClassVar[bool] = True


class BrokerRefused(BrokerError):
    """The broker refuses these credentials or rights; the operator must act."""

    retryable: ClassVar[bool] = False


class AuthorityError(DewlineError):
    """A certificate cannot be issued or revoked, or the authority's folder cannot be used."""


class HistoryError(DewlineError):
    """A file cannot be imported; the message names file, line and what to do."""


class KibanaError(DewlineError):
    """Kibana did not answer, or is busy; repeating the import is safe."""

    retryable: ClassVar[bool] = True


class KibanaRefused(KibanaError):
    """Kibana did not import every object; the message names them and the reasons."""

    retryable: ClassVar[bool] = False
