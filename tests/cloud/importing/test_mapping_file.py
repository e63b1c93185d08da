"""Mappings: what a file may say, and messages for what it may not."""

import hashlib
import json

import pytest

from cloud.importing.mapping_file import Overrides, read_mapping, ready, ready_names
from contract.errors import ConfigError
from contract.quantities import Quantity

ROOM = """
[time]
columns = ["time"]
[device]
id = "store"
[sensor]
id = "room"
[[value]]
column = "temp"
quantity = "temperature"
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "store"', 'id = "Store"', r"\[?device\]?.*expected 1 to 63"),
        ('id = "store"', "", r"\[device\]: set id or column, or use --device"),
        ('id = "room"', "", r"temp: set sensor here, or \[sensor\], or use --sensor"),
        ('quantity = "temperature"', "", "temp: quantity is missing"),
        ('quantity = "temperature"', 'quantity = "heat"', "expected one of temperature"),
        ('quantity = "temperature"', 'quantity = "temperature"\nunit = "Pa"', "unit 'Pa' of temp"),
        (
            'quantity = "temperature"',
            'quantity = "temperature"\nunits = "C"',
            "unknown key 'units'",
        ),
        ('columns = ["time"]', 'columns = ["time"]\nzone = "Mars/Olympus"', "is not a time zone"),
        ('columns = ["time"]', 'columns = ["time"]\nzone = "../etc"', "is not a time zone"),
        ('id = "store"', 'column = "d"\n[device.values]\na = "A b"', r"\[device.values\] 'a'"),
        (
            'id = "store"',
            'id = "store"\n[quality]\ncolumn = "q"\n[quality.values]\n0 = "fine"',
            "fine",
        ),
        ('id = "store"', 'id = "store"\n[signal]\ncolumn = "e"', r"\[signal.values\] is empty"),
        (
            'id = "store"',
            'id = "store"\n[signal]\ncolumn = "e"\n[signal.values]\na = "attic"',
            "'a': expected <sensor id>/<quantity>",
        ),
        ("[time]", 'extends = "excel"\n[time]', "'excel' is not one of"),
        ("[[value]]", "[[value", "is not TOML"),
        ("[time]", '[csv]\nencoding = "morse"\n[time]', "'morse' is not an encoding"),
        ("[time]", '[csv]\nencoding = "base64"\n[time]', "'base64' is not an encoding"),
    ],
)
def test_a_mistake_is_named(tmp_path, old, new, message):
    path = tmp_path / "m.toml"
    path.write_text(ROOM.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        read_mapping(str(path), Overrides())
    assert str(path) in str(caught.value)


def test_a_mapping_that_is_no_file_names_the_ready_ones():
    with pytest.raises(ConfigError, match=r"no\.toml cannot be read: .* one of elitech, hobo"):
        read_mapping("no.toml", Overrides())


def test_a_mapping_extends_a_ready_one(tmp_path):
    path = tmp_path / "m.toml"
    path.write_text(
        'extends = "home-assistant-history"\n'
        '[signal.values]\n"sensor.a" = "attic/temperature °F"\n',
        encoding="utf-8",
    )
    mapping = read_mapping(str(path), Overrides(device="home"))
    assert mapping.device.id == "home"
    assert mapping.signal.column == "entity_id"
    assert mapping.signal.values == {"sensor.a": "attic/temperature °F"}
    assert "unknown" in mapping.missing


def test_options_replace_keys(tmp_path):
    path = tmp_path / "m.toml"
    path.write_text(ROOM, encoding="utf-8")
    mapping = read_mapping(str(path), Overrides(device="d", sensor="s", zone="UTC"))
    assert (mapping.device.id, mapping.sensor.id, mapping.time.zone) == ("d", "s", "UTC")


def test_the_digest_is_of_what_decides_readings(mapping_of):
    assert mapping_of(ROOM).sha256 == mapping_of("about = 'x'\nsource = 'y'\n" + ROOM).sha256
    assert mapping_of(ROOM).sha256 != mapping_of(ROOM, device="other").sha256
    unit = ROOM + 'unit = "°F"\n'
    assert mapping_of(ROOM).sha256 != mapping_of(unit).sha256


def test_the_digest_does_not_depend_on_keys_with_their_default(mapping_of):
    """So a release with more keys knows the imports of an older one."""
    explicit = ROOM.replace("[time]", '[csv]\ndelimiter = ","\n[time]\nshift_s = 0.0')
    assert mapping_of(ROOM).sha256 == mapping_of(explicit).sha256
    told = {
        "device": {"id": "store"},
        "sensor": {"id": "room"},
        "time": {"columns": ["time"]},
        "value": [{"column": "temp", "quantity": "temperature"}],
    }
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    assert mapping_of(ROOM).sha256 == digest


def test_every_ready_mapping_says_what_it_is_for_and_where_its_form_is_described():
    assert len(dict(ready())) == len(ready_names()) == 8
    for name in ready_names():
        if name.startswith("home"):
            continue  # they name no signals, so they are read by `extends` only
        mapping = read_mapping(name, Overrides(device="d", sensor="s", zone=None))
        assert mapping.source.startswith("https://")
        assert {v.quantity for v in mapping.value} & {Quantity.TEMPERATURE}
    assert all(about for _, about in ready())
