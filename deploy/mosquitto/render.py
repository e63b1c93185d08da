"""Renders the broker's files for this machine, as Ansible renders them for others.

The templates stand beside this module and are the only text of mosquitto.conf and its rules. Their
variables are the fields of `Settings` after `mosquitto_`.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import jinja2

__all__ = ["FOLDER", "Rendered", "Settings", "environment", "render"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What differs between brokers; a port of 0 leaves its listener out, no address means all.

    Attributes:
        folder: Holds the rules, and the passwords.
        certificates_folder: Holds ca.pem, services.pem, crl.pem, services-crl.pem, and the
            broker's own server.pem and server.key.
        data_folder: The broker's own.
        log_dest: Where it logs.
        devices_port: Port for gateways, TLS.
        devices_address: Address to listen at.
        services_port: Port for the cloud's processes, TLS.
        services_address: Address to listen at.
        passwords_port: Port for everybody, in the clear.
        passwords_address: Address to listen at.
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
    """The broker's files, by their names with `_` for what Python cannot spell."""

    mosquitto_conf: str
    acl_devices: str
    acl_services: str
    acl_passwords: str


def environment() -> jinja2.Environment:
    """Returns Jinja as Ansible sets it up, so that both render the same text."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # a configuration file, no web page
    )


def render(settings: Settings) -> Rendered:
    """Returns the broker's files."""
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
