"""The sections of the cloud's configuration, each a frozen dataclass; `cloud.config` reads them.

Types and ranges only: what needs a second key to judge is checked by `cloud.config`.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from contract.typed import Between, Id, Pattern
from transport.tls import TlsFiles, tls_files

__all__ = [
    "ApiConfig",
    "CaConfig",
    "FleetConfig",
    "HealthConfig",
    "IngestConfig",
    "KibanaConfig",
    "LakeConfig",
    "Period",
    "RegistryConfig",
    "RolloutConfig",
    "SearchConfig",
    "SparkConfig",
    "WarehouseConfig",
    "Writer",
]

Port = Annotated[int, Between(1, 65_535)]
Text = Annotated[str, Pattern(r"[^\x00-\x1f]{1,500}", "1 to 500 characters on one line")]


class Period(StrEnum):
    """How long a piece of time one index or one partition of a derived table covers."""

    DAY = "day"
    MONTH = "month"


class Writer(StrEnum):
    """What the search projection writes with."""

    BULK = "bulk"
    LOGSTASH = "logstash"


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeConfig:
    """Section `[lake]`.

    Attributes:
        root: Folder of the lake; its parent must exist.
        grace_s: A landing file stays at least so long, seconds.
        period: Of indices and of partitions of derived tables, by observed time.
    """

    root: Text
    grace_s: Annotated[float, Between(0, 10**9)] = 600.0
    period: Period = Period.DAY

    @property
    def folder(self) -> Path:
        """The lake's folder."""
        return Path(self.root)


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestConfig:
    """Section `[ingest]`.

    Attributes:
        node: Name of this node; ingest processes that run at once may share it.
        host: The broker.
        port: Its port.
        username: Account on the broker.
        password_file: File that holds its password.
        ca_file: Authorities (PEM) that the broker's certificate must be of; sets TLS on.
        certificate_file: Own certificate (PEM); the broker takes the account's name from it.
        key_file: The certificate's private key (PEM).
        gather_ms: A file is committed at the latest so long after its first block came.
        gather_bytes: And at the latest with so many bytes of payload.
        receive_maximum: Blocks that the broker sends before the first is answered, per lane.
    """

    node: Id
    host: Text = "127.0.0.1"
    port: Port = 1883
    username: Text | None = None
    password_file: Text | None = None
    ca_file: Text | None = None
    certificate_file: Text | None = None
    key_file: Text | None = None
    gather_ms: Annotated[int, Between(1, 60_000)] = 250
    gather_bytes: Annotated[int, Between(1, 2**28)] = 8_000_000
    receive_maximum: Annotated[int, Between(2, 65_535)] = 400

    @property
    def tls(self) -> TlsFiles | None:
        """The files of TLS; None: plain TCP."""
        return tls_files("[ingest]", self.ca_file, self.certificate_file, self.key_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """Section `[search]`.

    Attributes:
        url: Of Elasticsearch, http or https.
        prefix: All indices begin with it.
        username: Account on Elasticsearch.
        password_file: File that holds its password.
        ca_file: For https: authorities (PEM) that the server's certificate must be of; absent:
            those of the system.
        writer: How documents go to Elasticsearch: by its bulk calls, or through Logstash.
        logstash_url: Of the http input of Logstash, http or https; for writer `logstash`.
        logstash_user: Account of that input.
        logstash_password_file: File that holds its password.
        logstash_ca_file: For https: authorities (PEM) that Logstash's certificate must be of;
            absent: those of `ca_file`, or of the system.
    """

    url: Text
    prefix: Id = "dewline"
    username: Text | None = None
    password_file: Text | None = None
    ca_file: Text | None = None
    writer: Writer = Writer.BULK
    logstash_url: Text | None = None
    logstash_user: Text | None = None
    logstash_password_file: Text | None = None
    logstash_ca_file: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KibanaConfig:
    """Section `[kibana]`.

    Attributes:
        url: Of Kibana, http or https, with its base path if it has one.
        space: The space that dashboards are imported into; absent: the default one.
        username: Account on Kibana.
        password_file: File that holds its password.
        api_key_file: File that holds an API key (as Elasticsearch gives it under `encoded`),
            instead of an account.
        ca_file: For https: authorities (PEM) that the server's certificate must be of; absent:
            those of the system.
    """

    url: Text | None = None
    space: Text | None = None
    username: Text | None = None
    password_file: Text | None = None
    api_key_file: Text | None = None
    ca_file: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WarehouseConfig:
    """Section `[warehouse]`.

    Attributes:
        host: Of the MySQL server.
        port: Its port.
        user: Account.
        password_file: File that holds its password; absent: no password.
        database: Name of the database.
        ca_file: Authorities (PEM) that the server's certificate must be of; set: TLS or nothing.
    """

    host: Text = "127.0.0.1"
    port: Port = 3306
    user: Text = "dewline"
    password_file: Text | None = None
    database: Text = "dewline"
    ca_file: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkConfig:
    """Section `[spark]`.

    Attributes:
        jars: Paths of the jars that Spark loads.
        memory: Heap of the driver.
        master: Spark's master.
        shuffle_partitions: Parts that a shuffle makes.
    """

    jars: tuple[Text, ...] = ()
    memory: Text = "1g"
    master: Text = "local[2]"
    shuffle_partitions: Annotated[int, Between(1, 10_000)] = 2

    @property
    def local(self) -> bool:
        """Whether the executors run on this host."""
        return self.master.startswith("local")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryConfig:
    """Section `[registry]`.

    Attributes:
        folder: Where bundles are kept; its parent must exist.
        signing_key: File of the private key that signs bundles and desired states.
    """

    folder: Text
    signing_key: Text | None = None

    @property
    def path(self) -> Path:
        """The registry's folder."""
        return Path(self.folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutConfig:
    """Section `[rollout]`.

    Attributes:
        host: The broker.
        port: Its port.
        username: Account on the broker; it may write only what devices should run.
        password_file: File that holds its password.
        ca_file: Authorities (PEM) that the broker's certificate must be of; sets TLS on.
        certificate_file: Own certificate (PEM); the broker takes the account's name from it.
        key_file: The certificate's private key (PEM).
        poll_s: How often the warehouse is asked for changes, seconds.
    """

    host: Text = "127.0.0.1"
    port: Port = 1883
    username: Text | None = None
    password_file: Text | None = None
    ca_file: Text | None = None
    certificate_file: Text | None = None
    key_file: Text | None = None
    poll_s: Annotated[float, Between(0.05, 3600)] = 1.0

    @property
    def tls(self) -> TlsFiles | None:
        """The files of TLS; None: plain TCP."""
        return tls_files("[rollout]", self.ca_file, self.certificate_file, self.key_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """Section `[api]`.

    Attributes:
        host: Address to listen at.
        port: Port to listen at; 0 takes any that is free and prints it.
        certificate_file: The server's certificate (PEM); set: https, absent: http.
        key_file: The certificate's private key (PEM).
    """

    host: Text = "127.0.0.1"
    port: Annotated[int, Between(0, 65_535)] = 8080
    certificate_file: Text | None = None
    key_file: Text | None = None

    @property
    def certificate(self) -> tuple[str, str] | None:
        """The files of certificate and key; None: plain http."""
        if self.certificate_file is None or self.key_file is None:
            return None
        return self.certificate_file, self.key_file


@dataclass(frozen=True, slots=True, kw_only=True)
class CaConfig:
    """Section `[ca]`.

    Attributes:
        folder: The authority's roots, keys and register; its parent must exist.
        crl_days: A list of the revoked ends so many days after it was written; a broker whose list
            has ended refuses everybody.
    """

    folder: Text
    crl_days: Annotated[int, Between(1, 36_500)] = 3650

    @property
    def path(self) -> Path:
        """The authority's folder."""
        return Path(self.folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthConfig:
    """Section `[health]`.

    Attributes:
        cursor_s: `doctor`: a committed file may wait so long for a projection that follows the
            lake, seconds.
        batch_s: The same for `transform run`, which a timer starts.
        quiet_s: `doctor` warns if nothing has landed for longer, seconds.
        silent_s: The API calls a gateway unhealthy that has not been heard for longer, seconds.
        ledger_s: The ledger is judged on what came within so long, seconds; what came before is
            taken for granted, `ledger proof` looks at all of it.
        answer_s: A server that does not answer within so many seconds counts as dead.
        read_s: `doctor` reads cursors and ledger for at most so long, seconds.
    """

    cursor_s: Annotated[float, Between(0.1, 10**8)] = 900.0
    batch_s: Annotated[float, Between(0.1, 10**8)] = 93_600.0
    quiet_s: Annotated[float, Between(0.1, 10**8)] = 1800.0
    silent_s: Annotated[float, Between(0.1, 10**8)] = 1800.0
    ledger_s: Annotated[float, Between(1, 10**9)] = 86_400.0
    answer_s: Annotated[float, Between(0.1, 600)] = 10.0
    read_s: Annotated[float, Between(0.1, 86_400)] = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetConfig:
    """Section `[fleet]`.

    Attributes:
        conditions_file: File of `[[condition]]` tables, the one that the gateways name too.
    """

    conditions_file: Text
