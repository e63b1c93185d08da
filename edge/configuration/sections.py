"""The tables of a gateway's configuration file, each a frozen dataclass.

Types and ranges only: what needs a second key to judge is checked by `edge.configuration.config`.
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

BUILD_DATE = "2026-11-01T00:00:00Z"  # the default floor: no earlier clock can be right

DriverName = Annotated[
    str, Pattern(r"[a-z][a-z0-9_]{0,62}", "1 to 63 of a-z, 0-9 and _, beginning with a letter")
]
Port = Annotated[int, Between(1, 65_535)]
PositiveSeconds = Annotated[float, Between(0.001, 1e7)]
BundleUrl = Annotated[
    str,
    Pattern(
        r"https?://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~/-]*)?",
        "http:// or https://, a host, perhaps a port and a path",
    ),
]


class BoardKind(StrEnum):
    """Which board carries the chips."""

    LINUX = "linux"
    SIMULATED = "simulated"


class Profile(StrEnum):
    """Named commit rhythms."""

    LIVE = "live"  # 1 s blocks
    SAVER = "saver"  # 30 s blocks, for flash and metered lines


_RHYTHM_S = {Profile.LIVE: 1.0, Profile.SAVER: 30.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardConfig:
    """`[board]`: the hardware.

    Attributes:
        kind: linux or simulated.
        recording: For a simulated board: CSV file that feeds its chips; absent: a made day.
        recording_max_age_s: An older row of the recording no longer counts: the chip is silent.
        pulseio: How a DHT's pulses are captured: auto, true or false.
    """

    kind: BoardKind = BoardKind.LINUX
    recording: str | None = None
    recording_max_age_s: PositiveSeconds = 1800.0
    pulseio: PulseioMode = PulseioMode.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockConfig:
    """`[clock]`: when UTC is believed.

    Attributes:
        floor: RFC 3339 instant; an earlier wall clock is taken for unset.
    """

    floor: str = BUILD_DATE

    @property
    def floor_ms(self) -> int:
        """The floor, ms since 1970 UTC."""
        return round(datetime.fromisoformat(self.floor).astimezone(UTC).timestamp() * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitConfig:
    """`[commit]`: when the open block closes.

    Attributes:
        profile: live (1 s) or saver (30 s).
        rhythm_s: Own rhythm instead of the profile's, seconds of the sense clock.
        records: The block is committed when another reading might not fit into so many records.
        status_s: A Status record at least this often, seconds of the sense clock.
    """

    profile: Profile = Profile.LIVE
    rhythm_s: PositiveSeconds | None = None
    records: Annotated[int, Between(1, 10_000)] = 1000
    status_s: PositiveSeconds = 900.0

    @property
    def effective_rhythm_s(self) -> float:
        """Seconds after which an open block is committed."""
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
        port: Its port.
        username: The device's id, by which the broker limits its topics; with a certificate
            the broker takes the name from that.
        password_file: File that holds nothing but the password.
        ca_file: Authorities (PEM) that the broker's certificate must be of; sets TLS on.
        certificate_file: This device's certificate (PEM), its name is the device's id.
        key_file: The certificate's private key (PEM).
        window: At most this many blocks wait for the cloud's ack at once.
        ack_timeout_s: A block without an ack is sent again after this time, doubled each time.
        retry_max_s: Longest wait between two connections or two sendings, seconds.
        stable_s: A connection that lasted so long resets the back-off, seconds.
        drain_s: At an orderly stop the queue is sent for at most this long, seconds.
        held_s: A Held record at least this often, real seconds.
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
        """The files of TLS; None: plain TCP."""
        return tls_files("[uplink]", self.ca_file, self.certificate_file, self.key_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOutputConfig:
    """`[alert_output]`: one GPIO pin that is on while any alert is open.

    Attributes:
        id: Name in the alert's receipts.
        pin: BCM number.
        active_high: Level that means on.
    """

    id: Id = "led"
    pin: Annotated[int, Between(0, 63)]
    active_high: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsConfig:
    """`[models]`: the bundles that forecast.

    Attributes:
        url: Address under which the cloud serves bundles, such as `https://cloud.example.org`.
        ca_file: For https: authorities (PEM) that the server's certificate must be of; absent:
            those of the system.
        folder: Holds the bundles and the note of which ones run; made if its parent exists.
        trusted_keys: Files with the public keys (PEM) whose signatures count.
        fetch_timeout_s: An attempt to fetch ends after so long; the next goes on where it stopped.
        verify_timeout_s: A bundle that is not through its trial by then is refused, seconds.
        verify_memory_mib: Address space of the process that tries a bundle, MiB.
        retry_max_s: Longest wait between two attempts to fetch, seconds.
    """

    url: BundleUrl
    folder: str
    trusted_keys: tuple[str, ...]
    ca_file: str | None = None
    fetch_timeout_s: PositiveSeconds = 120.0
    verify_timeout_s: PositiveSeconds = 60.0
    verify_memory_mib: Annotated[int, Between(256, 65_536)] = 512
    retry_max_s: PositiveSeconds = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorConfig:
    """`[[sensor]]`: one chip in one role.

    Attributes:
        id: Its role, such as `attic`.
        driver: Name of a module in `firmware_bridge.chips`.
        interval_s: Seconds between two readings.
        decimals: Own number of decimals per quantity instead of the contract's.
        options: The driver's own keys.
    """

    id: Id
    driver: DriverName
    interval_s: Annotated[float, Between(0.01, 86_400)]
    decimals: dict[str, int] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
