"""The cloud's configuration: strict, and its messages name file, table and key."""

from pathlib import Path

import pytest

from cloud.config import (
    ApiConfig,
    CaConfig,
    CloudConfig,
    Period,
    RolloutConfig,
    Writer,
    fleet_conditions,
    load_config,
    need,
    read_secret,
)
from contract.errors import ConfigError
from transport.tls import TlsFiles

WHOLE = """
[lake]
root = "var/lake"
grace_s = 60
period = "month"
[ingest]
node = "node-1"
port = 18830
username = "ingest"
password_file = "secret"
[search]
url = "http://127.0.0.1:9200"
[warehouse]
port = 3307
[spark]
jars = ["delta.jar"]
[registry]
folder = "var/registry"
signing_key = "var/signing.pem"
[rollout]
username = "rollout"
[api]
port = 0
[ca]
folder = "var/ca"
[fleet]
conditions_file = "conditions.toml"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cloud.toml"


def test_a_whole_file(file: Path) -> None:
    file.write_text(WHOLE)
    config = load_config(file)
    assert config.lake is not None
    assert (config.lake.folder, config.lake.grace_s) == (Path("var/lake"), 60.0)
    assert config.lake.period is Period.MONTH
    assert config.ingest is not None
    assert (config.ingest.gather_ms, config.ingest.port) == (250, 18830)
    assert config.search is not None
    assert config.search.prefix == "dewline"
    assert config.warehouse is not None
    assert config.warehouse.database == "dewline"
    assert config.spark is not None
    assert config.spark.jars == ("delta.jar",)
    assert config.registry is not None
    assert config.registry.path == Path("var/registry")
    assert config.registry.signing_key == "var/signing.pem"
    assert config.rollout == RolloutConfig(username="rollout")
    assert config.api == ApiConfig(host="127.0.0.1", port=0)
    assert config.ca == CaConfig(folder="var/ca", crl_days=3650)
    assert config.ca.path == Path("var/ca")
    assert config.fleet is not None
    assert config.fleet.conditions_file == "conditions.toml"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[lake]\nroot = 'x'\ngrace = 1", "lake: unknown key 'grace'; known keys: root, grace_s"),
        ("[lak]\nroot = 'x'", "unknown key 'lak'; known keys: lake, ingest, search"),
        ("source = 'x'", "unknown key 'source'"),
        ("[lake]\ngrace_s = 1", "lake: key 'root' is missing"),
        ("[lake]\nroot = 'x'\nperiod = 'week'", "expected one of day, month"),
        ("[ingest]\nnode = 'Node 1'", "ingest: node"),
        ("[ingest]\nnode = 'n'\nport = true", "expected a whole number"),
        ("[ingest]\nnode = 'n'\nreceive_maximum = 1", "expected 2 to 65535"),
        ("[lake\n", "is not TOML"),
        ("[registry]\nsigning_key = 'x'", "registry: key 'folder' is missing"),
        ("[rollout]\npoll_s = 0", "expected 0.05 to 3600"),
        ("[api]\nport = 65536", "expected 0 to 65535"),
        (
            "[ingest]\nnode = 'n'\nca_file = 'c'\nkey_file = 'k'",
            "[ingest] key_file: certificate_file is missing: set both or neither",
        ),
        (
            "[rollout]\ncertificate_file = 'c'\nkey_file = 'k'",
            "[rollout] certificate_file: ca_file is missing",
        ),
        ("[api]\ncertificate_file = 'c'", "[api] certificate_file: key_file is missing"),
        (
            "[api]\ndevices_ca_file = 'c'",
            "[api] devices_ca_file and devices_crl_file: set both or neither",
        ),
        (
            "[api]\nservices_ca_file = 'c'\nservices_crl_file = 'c'",
            "[api] services_ca_file: needs https: set certificate_file",
        ),
        (
            "[search]\nurl = 'http://x'\nca_file = 'c'",
            "[search] ca_file: needs a url with https, not http://x",
        ),
        (
            "[search]\nurl = 'http://x'\nusername = 'me'",
            "[search] username and password_file: set both or neither",
        ),
        ("[fleet]\nconditions = 'x'", "fleet: unknown key 'conditions'"),
    ],
)
def test_what_is_wrong_is_named(file: Path, text: str, says: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert says in str(caught.value)
    assert str(file) in str(caught.value)
    assert "bad_field" not in str(caught.value)


def test_tls_is_on_where_an_authority_is_named(file: Path) -> None:
    keys = "ca_file = 'ca.pem'\ncertificate_file = 'c.pem'\nkey_file = 'c.key'\n"
    pair = "certificate_file = 's.pem'\nkey_file = 's.key'\n"
    file.write_text(f"[ingest]\nnode = 'n'\n{keys}[rollout]\n[api]\n{pair}")
    config = load_config(file)
    assert config.ingest is not None
    assert config.ingest.tls == TlsFiles(
        ca_file="ca.pem", certificate_file="c.pem", key_file="c.key"
    )
    assert config.rollout is not None
    assert config.rollout.tls is None
    assert config.api is not None
    assert config.api.certificate == ("s.pem", "s.key")
    assert ApiConfig().certificate is None


def test_missing_things_are_named(file: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_config(file)
    with pytest.raises(ConfigError, match=r"cloud\.toml: section \[lake\] is missing"):
        need(None, "lake", CloudConfig(source="cloud.toml"))
    with pytest.raises(ConfigError, match="password or key file"):
        read_secret(str(file))


def test_a_secret_is_the_first_line(file: Path) -> None:
    file.write_text("pass word \nmore\n")
    assert read_secret(str(file)) == "pass word "
    assert read_secret(None) is None


def test_the_fleets_conditions_are_those_of_its_file(file: Path) -> None:
    named = file.parent / "conditions.toml"
    file.write_text(f'[fleet]\nconditions_file = "{named}"\n')
    with pytest.raises(ConfigError, match=r"conditions\.toml cannot be read"):
        fleet_conditions(load_config(file))
    named.write_text(
        '[[condition]]\nid = "frost"\nsignal = "attic/temperature"\ncomparison = "below"\n'
        "limit = 0.0\nstep_s = 3600\nmax_age_s = 5400\n"
    )
    assert [c.id for c in fleet_conditions(load_config(file))] == ["frost"]
    with pytest.raises(ConfigError, match=r"section \[fleet\] is missing"):
        fleet_conditions(CloudConfig(source="cloud.toml"))


def test_the_way_through_logstash(file: Path) -> None:
    file.write_text(
        '[search]\nurl = "http://e:9200"\nwriter = "logstash"\nlogstash_url = "https://l:8443"\n'
        'logstash_user = "search"\nlogstash_password_file = "p"\nlogstash_ca_file = "ca.pem"\n'
    )
    search = load_config(file).search
    assert search is not None
    assert (search.writer, search.logstash_url) == (Writer.LOGSTASH, "https://l:8443")
    file.write_text('[search]\nurl = "http://e:9200"\n')
    assert need(load_config(file).search, "search", load_config(file)).writer is Writer.BULK


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ('writer = "logstash"', "needs logstash_url"),
        ('writer = "kafka"', "writer"),
        ('logstash_url = "http://l"\nlogstash_user = "u"', "set both or neither"),
        ('logstash_url = "http://l"\nlogstash_password_file = "p"', "set both or neither"),
        ('logstash_url = "http://l"\nlogstash_ca_file = "c"', "logstash_url with https"),
        ('logstash_ca_file = "c"', "logstash_url with https"),
    ],
)
def test_what_does_not_go_together_on_the_way_through_logstash(
    file: Path, keys: str, says: str
) -> None:
    file.write_text(f'[search]\nurl = "http://e:9200"\n{keys}\n')
    with pytest.raises(ConfigError, match=rf"cloud\.toml.*search.*{says}"):
        load_config(file)


SITE = '[[site]]\nid = "{id}"\ntime_zone = "{zone}"\ndevices = {devices}\n'


def sites(*given: tuple[str, str, str]) -> str:
    return "".join(SITE.format(id=i, zone=zone, devices=devices) for i, zone, devices in given)


def test_sites_have_a_time_zone_and_devices(file: Path) -> None:
    file.write_text(sites(("mill", "Europe/Berlin", '["gw-1"]'), ("barn", "UTC", "[]")))
    assert [(s.id, s.time_zone, s.devices) for s in load_config(file).site] == [
        ("mill", "Europe/Berlin", ("gw-1",)),
        ("barn", "UTC", ()),
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([("mill", "Europe/Berlni", "[]")], "site.. mill: time_zone: 'Europe/Berlni' is not"),
        ([("mill", "UTC", "[]"), ("mill", "UTC", "[]")], "another site has this id"),
        (
            [("mill", "UTC", '["gw-1"]'), ("barn", "UTC", '["gw-1"]')],
            "site.. barn: devices: gw-1 is also a device of site mill",
        ),
        ([("mill", "UTC", '["GW"]')], "expected 1 to 63 of a-z"),
    ],
)
def test_a_wrong_site_is_refused_with_what_to_correct(
    file: Path, given: list[tuple[str, str, str]], says: str
) -> None:
    file.write_text(sites(*given))
    with pytest.raises(ConfigError, match=says):
        load_config(file)
