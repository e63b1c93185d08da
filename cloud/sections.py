"""Defines the sections of the cloud's configuration as dataclasses; `cloud.config` reads them.

The types check each key by itself; `cloud.config` checks keys against each other.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from contract.typed import Between, Id, Pattern
from transport.tls import TlsFiles, tls_files

__all__ = [
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
    "SiteConfig",
    "SparkConfig",
    "WarehouseConfig",
    "Writer",
]

Port = Annotated[int, Between(1, 65_535)]
Text = Annotated[str, Pattern(r"[^\x00-\x1f]{1,500}", "1 to 500 characters on one line")]


class Period(StrEnum):
    """Time span of one index of readings, or of one partition of a derived table."""

    DAY = "day"
    MONTH = "month"


class Writer(StrEnum):
    """Way in which the search projection writes documents."""

    BULK = "bulk"
    LOGSTASH = "logstash"


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeConfig:
    """Section `[lake]`.

    Attributes:
        root: Folder of the lake; its parent must exist.
        grace_s: Minimum age of a landing file before the fold deletes it, seconds.
        period: Observed time that one partition of a derived table covers.
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
        node: Name of this node; several ingest processes may share it.
        host: Name or address of the broker.
        port: Port of the broker.
        username: Account on the broker.
        password_file: File with the account's password.
        ca_file: CA certificates (PEM) that may sign the broker's certificate; turns TLS on.
        certificate_file: Own certificate (PEM); the broker takes the account's name from it.
        key_file: The certificate's private key (PEM).
        gather_ms: Maximum time from a file's first block to its commit, milliseconds.
        gather_bytes: Payload bytes at which a file is committed earlier.
        receive_maximum: Blocks that the broker sends before it waits for an answer, per lane.
        device_window: Blocks of one device that wait in a lane; at least a gateway's `window`.
        device_messages_per_s: Messages per second and lane that one device may send for ever.
        device_bytes_per_s: Payload bytes per second and lane that one device may send for ever.
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
    device_window: Annotated[int, Between(2, 65_535)] = 100
    device_messages_per_s: Annotated[float, Between(0.1, 10**6)] = 500.0
    device_bytes_per_s: Annotated[float, Between(1, 10**9)] = 2_000_000.0

    @property
    def tls(self) -> TlsFiles | None:
        """The files of TLS; None for plain TCP."""
        return tls_files("[ingest]", self.ca_file, self.certificate_file, self.key_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """Section `[search]`.

    Attributes:
        url: Address of Elasticsearch, http or https.
        prefix: First part of the name of every index.
        period: Observed time that one index of readings, or of the cloud's forecasts, covers.
            Other kinds have one index a year.
        keep_days: Days that Elasticsearch keeps at least; `search` deletes indices whose whole
            period is older. Absent: everything is kept.
        username: Account on Elasticsearch.
        password_file: File with the account's password.
        ca_file: For https: CA certificates (PEM) that may sign the server's certificate; absent:
            those of the system.
        writer: How documents go to Elasticsearch: by bulk calls, or through Logstash.
        logstash_url: Address of Logstash's http input, http or https; for writer `logstash`.
        logstash_user: Account of that input.
        logstash_password_file: File with the password of `logstash_user`.
        logstash_ca_file: For https: CA certificates (PEM) that may sign Logstash's certificate;
            absent: those of `ca_file`, or of the system.
        logstash_api_url: Address of Logstash's API, such as `http://127.0.0.1:9600`, for `doctor`.
    """

    url: Text
    prefix: Id = "dewline"
    period: Period = Period.MONTH
    keep_days: Annotated[int, Between(1, 36_500)] | None = None
    username: Text | None = None
    password_file: Text | None = None
    ca_file: Text | None = None
    writer: Writer = Writer.BULK
    logstash_url: Text | None = None
    logstash_user: Text | None = None
    logstash_password_file: Text | None = None
    logstash_ca_file: Text | None = None
    logstash_api_url: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KibanaConfig:
    """Section `[kibana]`.

    Attributes:
        url: Address of Kibana, http or https, with its base path if it has one.
        space: Space into which dashboards are imported; absent: the default space.
        username: Account on Kibana.
        password_file: File with the account's password.
        api_key_file: File with an API key (the value `encoded` in Elasticsearch's answer), instead
            of an account.
        ca_file: For https: CA certificates (PEM) that may sign the server's certificate; absent:
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
        host: Name or address of the MySQL server.
        port: Port of the MySQL server.
        user: Account on the MySQL server.
        password_file: File with the account's password; absent: no password.
        database: Name of the database.
        ca_file: CA certificates (PEM) that may sign the server's certificate; if set, only TLS
            connections are made.
        readings_days: Days for which MySQL keeps single readings; absent: for ever. The lake and
            the summaries keep everything.
        minutes_days: Days for which MySQL keeps summaries of a minute; absent: for ever.
    """

    host: Text = "127.0.0.1"
    port: Port = 3306
    user: Text = "dewline"
    password_file: Text | None = None
    database: Text = "dewline"
    ca_file: Text | None = None
    readings_days: Annotated[int, Between(1, 36_500)] | None = None
    minutes_days: Annotated[int, Between(1, 36_500)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkConfig:
    """Section `[spark]`.

    Attributes:
        jars: Paths of the jars that Spark loads.
        memory: Heap size of the driver.
        master: Address of Spark's master.
        shuffle_partitions: Number of partitions that a shuffle makes.
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
        folder: Folder of the bundles; its parent must exist.
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
        host: Name or address of the broker.
        port: Port of the broker.
        username: Account on the broker; it may publish desired states only.
        password_file: File with the account's password.
        ca_file: CA certificates (PEM) that may sign the broker's certificate; turns TLS on.
        certificate_file: Own certificate (PEM); the broker takes the account's name from it.
        key_file: The certificate's private key (PEM).
        poll_s: Time between two queries for changed desired states, seconds.
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
        """The files of TLS; None for plain TCP."""
        return tls_files("[rollout]", self.ca_file, self.certificate_file, self.key_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaConfig:
    """Section `[ca]`.

    Attributes:
        folder: Folder of the authority's roots, keys and register; its parent must exist.
        crl_days: Days until a revocation list (CRL) expires; a broker with an expired list refuses
            every client.
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
        cursor_s: `doctor`: maximum time that a committed file may wait for a projection that
            follows the lake, seconds.
        batch_s: `doctor`: the same for `transform run`, which a timer starts, seconds.
        quiet_s: `doctor` warns if no block has landed for longer, seconds.
        silent_s: The API reports a gateway as unhealthy after this time without a block, seconds.
        ledger_s: The ledger is checked on blocks received within this time, seconds; older blocks
            count as stored. `ledger proof` checks all of them.
        answer_s: Time limit for a server's answer, seconds; a slower server counts as down.
        read_s: `doctor`: time limit for reading cursors and ledger, seconds.
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
        conditions_file: File of `[[condition]]` tables, the same as on the gateways.
    """

    conditions_file: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """A table `[[site]]`: a place with devices, which share its local days.

    Attributes:
        id: Name of the site.
        time_zone: Time zone of the site's local days, such as `Europe/Berlin`.
        devices: Ids of the devices at the site; a device has at most one site.
    """

    id: Id
    time_zone: Text
    devices: tuple[Id, ...]
