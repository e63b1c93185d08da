"""Renders the broker's files for this machine from the same templates as Ansible.

The templates are in the folder of this module. Their variables are the fields of `Settings` with
the prefix `mosquitto_`.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import jinja2

__all__ = ["FOLDER", "Rendered", "Settings", "environment", "render"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Holds a broker's settings; a port of 0 disables its listener, "" means all addresses.

    Attributes:
        folder: Folder of access rules and passwords.
        certificates_folder: Folder of ca.pem, services.pem, crl.pem, services-crl.pem, and the
            broker's server.pem and server.key.
        data_folder: Folder of the broker's data.
        log_dest: Destination of the log.
        devices_port: TLS port for gateways.
        devices_address: Address of that listener.
        services_port: TLS port for the cloud's processes.
        services_address: Address of that listener.
        passwords_port: Port without TLS for all accounts with passwords.
        passwords_address: Address of that listener.
    """

    folder: str
    certificates_folder: str
    data_folder: str
    log_dest: str = "stderr"
    devices_port: int = 0
    devices_address: str = ""
    services_port: int = 0
    services_address: str = ""
    passwords_port: int = 0
    passwords_address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """Holds the texts of the broker's files, named like the files with `_` for `.` and `-`."""

    mosquitto_conf: str
    acl_devices: str
    acl_services: str
    acl_passwords: str


def environment() -> jinja2.Environment:
    """Returns a Jinja environment with Ansible's settings, so that both render the same text."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # a configuration file, not a web page
    )


def render(settings: Settings) -> Rendered:
    """Returns the texts of the broker's files."""
    templates = environment()
    values = {f"mosquitto_{name}": value for name, value in asdict(settings).items()}

    def text(name: str) -> str:
        return templates.get_template(f"{name}.j2").render(values)

    return Rendered(
        mosquitto_conf=text("mosquitto.conf"),
        acl_devices=text("acl-devices"),
        acl_services=text("acl-services"),
        acl_passwords=text("acl-passwords"),
    )
