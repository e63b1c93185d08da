"""Defines section `[api]` of the cloud's configuration; the other ones are in `cloud.sections`."""

from dataclasses import dataclass
from typing import Annotated

from cloud.sections import Text
from contract.typed import Between

__all__ = ["ApiConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """Section `[api]`.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0: any free port, which `api serve` prints.
        certificate_file: The server's certificate (PEM); set: https, absent: http.
        key_file: The certificate's private key (PEM).
        devices_ca_file: Authority of the devices (PEM, `ca.pem` of `ca init`). A device may read
            bundles and its own health.
        devices_crl_file: Revocation list of that authority (PEM, `crl.pem`).
        services_ca_file: Authority of the services (PEM, `services.pem`). A service may read
            bundles and the health of all devices.
        services_crl_file: Revocation list of that authority (PEM, `services-crl.pem`).
        token_file: File of tokens that may read bundles and the health of all devices, one a line.
        bundles_token_file: File of tokens that may read bundles only, one a line; for gateways
            without a certificate.
        anonymous_bundles: Whether everybody may read bundles, as in release 0.1; only until all
            gateways are updated.
        connections: Largest number of connections. If there are more, the oldest one without a
            request is closed.
        connections_per_address: The same for one IPv4 address, or one /64 network of IPv6. Behind a
            proxy, set it to the value of `connections`.
        requests_per_client: Largest number of requests of one device (for tokens and services, of
            one address) that are answered at the same time.
        request_s: Longest time until a connection has sent a whole request, seconds.
        transfer_s: Longest time of one answer, seconds; a gateway continues at the same byte.
    """

    host: Text = "127.0.0.1"
    port: Annotated[int, Between(0, 65_535)] = 8080
    certificate_file: Text | None = None
    key_file: Text | None = None
    devices_ca_file: Text | None = None
    devices_crl_file: Text | None = None
    services_ca_file: Text | None = None
    services_crl_file: Text | None = None
    token_file: Text | None = None
    bundles_token_file: Text | None = None
    anonymous_bundles: bool = False
    connections: Annotated[int, Between(10, 100_000)] = 400
    connections_per_address: Annotated[int, Between(2, 100_000)] = 40
    requests_per_client: Annotated[int, Between(1, 10_000)] = 4
    request_s: Annotated[float, Between(0.1, 3600)] = 15.0
    transfer_s: Annotated[float, Between(1, 86_400)] = 300.0

    @property
    def certificate(self) -> tuple[str, str] | None:
        """The files of certificate and key; None for plain http."""
        return _both(self.certificate_file, self.key_file)

    @property
    def devices(self) -> tuple[str, str] | None:
        """The files of the devices' authority and its revocation list; None without."""
        return _both(self.devices_ca_file, self.devices_crl_file)

    @property
    def services(self) -> tuple[str, str] | None:
        """The files of the services' authority and its revocation list; None without."""
        return _both(self.services_ca_file, self.services_crl_file)


def _both(first: str | None, second: str | None) -> tuple[str, str] | None:
    return None if first is None or second is None else (first, second)
