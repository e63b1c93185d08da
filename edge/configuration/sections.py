"""Defines the tables of a gateway's configuration file, each as a frozen dataclass.

Only types and ranges are checked here. `edge.configuration.config` checks rules between keys.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from contract.typed import Between, Id, Pattern
from firmware_bridge.linux import PulseioMode
from transport.tls import TlsFiles, tls_files

__all__ = [
    "BUILD_DATE",
    "AlertOutputConfig",
    "BoardConfig",
    "BoardKind",
    "ClockConfig",
    "CommitConfig",
    "ModelsConfig",
    "OutboxConfig",
    "Profile",
    "SensorConfig",
    "UplinkConfig",
]

BUILD_DATE = "2026-11-01T00:00:00Z"  # the default floor: an earlier clock must be wrong

DriverName = Annotated[
    str, Pattern(r"[a-z][a-z0-9_]{0,62}", "1 to 63 of a-z, 0-9 and _, beginning with a letter")
]
Port = Annotated[int, Between(1, 65_535)]
PositiveSeconds = Annotated[float, Between(0.001, 1e7)]
BundleUrl = Annotated[
    str,
    Pattern(
        r"https?://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~/-]*)?",
        "http:// or https://, then a host, an optional port and an optional path",
    ),
]


class BoardKind(StrEnum):
    """Names the kinds of boards that carry the chips."""

    LINUX = "linux"
    SIMULATED = "simulated"


class Profile(StrEnum):
    """Names the commit rhythms."""

    LIVE = "live"  # 1 s blocks
    SAVER = "saver"  # 30 s blocks, for flash and metered lines


_RHYTHM_S = {Profile.LIVE: 1.0, Profile.SAVER: 30.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardConfig:
    """`[board]`: the hardware.

    Attributes:
        kind: linux: real chips; simulated: chips without hardware.
        recording: For a simulated board: CSV file with the values that its chips measure. If
            absent, the values follow a generated day.
        recording_max_age_s: Longest time, seconds, for which a row of the recording is used.
            After that time the chip does not answer.
        pulseio: Whether the pulses of a DHT are captured with pulseio: auto, true or false.
    """

    kind: BoardKind = BoardKind.LINUX
    recording: str | None = None
    recording_max_age_s: PositiveSeconds = 1800.0
    pulseio: PulseioMode = PulseioMode.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockConfig:
    """`[clock]`: when the gateway trusts the system clock.

    Attributes:
        floor: Date and time (RFC 3339). A system clock before the floor counts as not set.
    """

    floor: str = BUILD_DATE

    @property
    def floor_ms(self) -> int:
        """Returns the floor, ms since 1970 UTC."""
        return round(datetime.fromisoformat(self.floor).astimezone(UTC).timestamp() * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitConfig:
    """`[commit]`: when the open block is committed.

    Attributes:
        profile: Time between commits: live (1 s) or saver (30 s).
        rhythm_s: Time between commits instead of the profile's, seconds of the sense clock.
        records: Largest number of records in a block. The block is committed before another
            reading could exceed this number.
        status_s: Longest time between two Status records, seconds of the sense clock.
    """

    profile: Profile = Profile.LIVE
    rhythm_s: PositiveSeconds | None = None
    records: Annotated[int, Between(1, 10_000)] = 1000
    status_s: PositiveSeconds = 900.0

    @property
    def effective_rhythm_s(self) -> float:
        """Returns the seconds after which an open block is committed."""
        return self.rhythm_s or _RHYTHM_S[self.profile]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxConfig:
    """`[outbox]`: the durable queue.

    Attributes:
        path: SQLite file; its folder must exist.
    """

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkConfig:
    """`[uplink]`: the broker.

    Attributes:
        host: Name or address of the broker.
        port: Port of the broker.
        username: The device's id; the broker allows the topics of this device only. Not needed
            with a certificate, which contains the id.
        password_file: File that contains only the password.
        ca_file: CA certificates (PEM); one of them must have signed the broker's certificate.
            This key enables TLS.
        certificate_file: This device's certificate (PEM); its name is the device's id.
        key_file: The certificate's private key (PEM).
        window: Largest number of blocks that wait for the cloud's ack at the same time.
        ack_timeout_s: Time after which a block without an ack is sent again, seconds. The time
            doubles at each repetition. While the cloud acks nothing, one block at a time is sent
            again, each after this time.
        retry_max_s: Longest wait before the gateway connects again or sends a block again, seconds.
        stable_s: Seconds that a connection must last to reset the wait before the next one.
        drain_s: Longest time for which the queue is still sent after a stop request, seconds.
        held_s: Longest time between two Held records, seconds of real time.
    """

    host: str
    port: Port = 1883
    username: Id | None = None
    password_file: str | None = None
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    window: Annotated[int, Between(2, 1000)] = 64
    ack_timeout_s: PositiveSeconds = 10.0
    retry_max_s: PositiveSeconds = 120.0
    stable_s: PositiveSeconds = 30.0
    drain_s: Annotated[float, Between(0, 3600)] = 10.0
    held_s: PositiveSeconds = 900.0

    @property
    def tls(self) -> TlsFiles | None:
        """Returns the files of TLS; None for plain TCP."""
        return tls_files("[uplink]", self.ca_file, self.certificate_file, self.key_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOutputConfig:
    """`[alert_output]`: one GPIO pin that is on while any alert is open.

    Attributes:
        id: Name of the output in the alert's receipts.
        pin: BCM number of the pin.
        active_high: true if a high level means on, false if a low level means on.
    """

    id: Id = "led"
    pin: Annotated[int, Between(0, 63)]
    active_high: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsConfig:
    """`[models]`: the bundles (signed files with one model each) that forecast conditions.

    Attributes:
        url: Address of the cloud's bundles, such as `https://cloud.example.org`.
        ca_file: For https: CA certificates (PEM); one of them must have signed the server's
            certificate. If absent, the system's CA certificates are used.
        certificate_file: For https: this device's certificate (PEM), by which the cloud knows it.
            If absent, that of `[uplink]` is used.
        key_file: The certificate's private key (PEM).
        token_file: For https: file that contains only a token of the cloud's
            `bundles_token_file`, for a device without a certificate.
        folder: Folder of the bundles, and of the file that names the ones in use. The gateway
            creates the folder if its parent exists.
        trusted_keys: Files with public keys (PEM). A bundle must be signed with one of them.
        fetch_timeout_s: Longest time of one attempt to fetch, seconds. The next attempt continues
            at the same byte.
        verify_timeout_s: Longest time of a bundle's trial, seconds. A slower bundle is refused.
        verify_memory_mib: Memory limit (address space) of the process that tries a bundle, MiB.
        retry_max_s: Longest wait between two attempts to fetch, seconds.
    """

    url: BundleUrl
    folder: str
    trusted_keys: tuple[str, ...]
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    token_file: str | None = None
    fetch_timeout_s: PositiveSeconds = 120.0
    verify_timeout_s: PositiveSeconds = 60.0
    verify_memory_mib: Annotated[int, Between(256, 65_536)] = 512
    retry_max_s: PositiveSeconds = 600.0

    @property
    def tls(self) -> TlsFiles:
        """Returns the files of TLS, for https; without ca_file the system's authorities."""
        return TlsFiles(
            ca_file=self.ca_file, certificate_file=self.certificate_file, key_file=self.key_file
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorConfig:
    """`[[sensor]]`: one chip in one role.

    Attributes:
        id: Role of the sensor, such as `attic`.
        driver: Name of a module in `firmware_bridge.chips`.
        interval_s: Seconds between two readings.
        decimals: Number of decimals per quantity, instead of the contract's.
        options: The driver's own keys.
    """

    id: Id
    driver: DriverName
    interval_s: Annotated[float, Between(0.01, 86_400)]
    decimals: dict[str, int] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
