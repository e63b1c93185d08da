"""The broker's templates: what they ask for, which listeners come out, whom the rules know."""

import re
from dataclasses import fields

import pytest
from jinja2 import meta

from cloud.ca.authority import SERVICES
from deploy.mosquitto.render import FOLDER, Settings, environment, render

WHOLE = Settings(
    folder="/etc/mosquitto",
    certificates_folder="/etc/mosquitto/certificates",
    data_folder="/var/lib/mosquitto",
    devices_port=8883,
    services_port=8884,
    services_address="10.0.0.5",
    passwords_port=1883,
    passwords_address="127.0.0.1",
)


def listeners(text: str) -> dict[str, list[str]]:
    """Lines of each listener by its first, without comments."""
    parts = re.split(r"^(?=listener )", re.sub(r"^(#.*)?\n", "", text, flags=re.MULTILINE), flags=8)
    return {lines[0]: lines[1:] for lines in (part.splitlines() for part in parts[1:])}


def test_the_templates_ask_for_the_settings_and_nothing_else() -> None:
    templates = environment()
    asked: set[str] = set()
    for path in FOLDER.glob("*.j2"):
        asked |= meta.find_undeclared_variables(templates.parse(path.read_text()))
    assert asked == {f"mosquitto_{f.name}" for f in fields(Settings)}


def test_a_listener_for_each_port() -> None:
    found = listeners(render(WHOLE).mosquitto_conf)
    assert list(found) == ["listener 8883", "listener 8884 10.0.0.5", "listener 1883 127.0.0.1"]
    both = {"require_certificate true", "use_identity_as_username true", "allow_anonymous false"}
    devices, services, passwords = (set(lines) for lines in found.values())
    assert both <= devices & services
    assert "use_username_as_clientid true" in devices - services
    assert "cafile /etc/mosquitto/certificates/ca.pem" in devices
    assert "cafile /etc/mosquitto/certificates/services.pem" in services
    assert "password_file /etc/mosquitto/passwords" in passwords - devices - services


@pytest.mark.parametrize("kept", ["devices_port", "services_port", "passwords_port"])
def test_a_port_of_0_leaves_its_listener_out(kept: str) -> None:
    places = {name: name for name in ("folder", "certificates_folder", "data_folder")}
    (first,) = listeners(render(Settings(**places, **{kept: 4711})).mosquitto_conf)
    assert first == "listener 4711"


def test_the_rules_know_the_services_that_certificates_are_issued_for() -> None:
    rendered = render(WHOLE)
    assert re.findall(r"^user (.+)$", rendered.acl_services, re.MULTILINE) == list(SERVICES)
    assert "pattern" not in rendered.acl_services
    assert all(line.startswith("pattern ") for line in rendered.acl_devices.splitlines())
    assert rendered.acl_passwords == f"{rendered.acl_services}\n{rendered.acl_devices}"
