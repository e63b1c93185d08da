"""What the stack's files say: cloud.toml, Spark's sizes, the vendors' own configuration."""

import configparser
import re
from pathlib import Path

import pytest
import yaml

from cloud.config import load_config
from deploy.local.artifacts import pinned
from deploy.mosquitto.render import Settings, render

ROOT = Path(__file__).resolve().parents[3]
SECRETS = "/run/secrets/"
GIB = 2**30


def bytes_of(text):
    number, unit = re.fullmatch(r"(\d+)([mg])", text).groups()
    return int(number) * {"m": 2**20, "g": GIB}[unit]


# --- cloud.toml ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def text(folder):
    return (folder / "configuration" / "cloud.toml").read_text()


@pytest.fixture(scope="session")
def config(folder):
    return load_config(folder / "configuration" / "cloud.toml")


def test_cloud_toml_loads_and_names_every_secret_as_it_is_mounted(text, stack, config):
    assert config.search.writer == "logstash"
    named = set(re.findall(rf"{SECRETS}([\w.-]+)", text))
    assert named <= set(stack["secrets"])


def test_who_reads_a_secret_of_cloud_toml_has_it(services, started):
    """The sections that each noun opens, by what its module asks for."""
    broker = {"ca.pem", "ingest.pem", "ingest.key"}
    warehouse, search = {"ca.pem", "mysql_password"}, {"ca.pem", "search_password"}
    needs = {
        "ingest run": broker,
        "search follow": search | warehouse | {"logstash_password"},
        "ledger follow": warehouse,
        "quarantine follow": warehouse,
        "warehouse migrate": warehouse,
        "search setup": search,
        "logstash setup": search,
        "models key": set(),
        "kibana push": {"ca.pem", "kibana_password"},
        "rollout run": warehouse | {"rollout.pem", "rollout.key"},
        "api serve": warehouse
        | {"crl.pem", "services.pem", "services-crl.pem", "api.pem", "api.key", "api_token"},
        "scoring run": warehouse | search,
        "lake fold": set(),
        "transform run": warehouse,
        "cycle run": warehouse,
        "report write": warehouse,
        "doctor": broker | search | warehouse,
    }
    assert set(needs) == {call for call, _ in started}
    for call, name in started:
        assert set(services[name].get("secrets", ())) == needs[call], name


def test_addresses_are_those_of_services(services, config, given_to):
    hosts = {config.ingest.host, config.rollout.host, config.warehouse.host}
    urls = (config.search.url, config.search.logstash_url, config.kibana.url, config.spark.master)
    hosts |= {re.fullmatch(r"\w+://([\w-]+):\d+", url)[1] for url in urls}
    assert hosts <= set(services)
    assert f"listener {config.ingest.port}\n" in "".join(rendered_broker())
    logstash = given_to(services["logstash"])
    assert config.search.logstash_url == f"https://logstash:{logstash['DEWLINE_LOGSTASH_PORT']}"
    assert config.search.url == logstash["DEWLINE_ELASTICSEARCH_URL"]
    assert config.spark.master in services["spark-worker"]["command"][2]
    assert inner_port(services["api"]) == config.api.port


def inner_port(service):
    """The container's side of its one published port."""
    (port,) = service["ports"]
    return int(port.rsplit(":", 1)[1])


def test_accounts_are_the_same_on_both_sides(services, config, folder, given_to):
    mysql, logstash = given_to(services["mysql"]), given_to(services["logstash"])
    assert (config.warehouse.user, config.warehouse.database) == (
        mysql["MYSQL_USER"],
        mysql["MYSQL_DATABASE"],
    )
    assert config.search.logstash_user == logstash["DEWLINE_LOGSTASH_USER"]
    assert config.search.prefix == logstash["DEWLINE_SEARCH_PREFIX"]
    accounts = (folder / "programs" / "accounts.sh").read_text()
    made = set(re.findall(r"^put user/(\w+)", accounts, re.MULTILINE))
    kibana = yaml.safe_load((folder / "configuration" / "kibana.yml").read_text())
    used = {config.search.username, config.kibana.username, kibana["elasticsearch.username"]}
    assert made == used | {logstash["DEWLINE_ELASTICSEARCH_USER"]}


def test_folders_are_volumes_of_those_who_use_them(services, config):
    assert config.lake.folder.parent == Path("/srv/lake")
    assert config.registry.path.parent == Path("/srv/models")
    assert Path(config.registry.signing_key).parent == Path("/srv/signing")
    for name in ("ingest", "search", "ledger", "quarantine", "scoring", "spark-worker"):
        assert "lake:/srv/lake" in services[name]["volumes"], name
    assert "models:/srv/models" in services["cycle"]["volumes"]
    writers = {n for n, s in services.items() if "signing:/srv/signing" in s.get("volumes", ())}
    assert writers == {"folders", "models-key"}, "the others may only read the key that signs"


# --- Spark ---------------------------------------------------------------------------------------


def test_jars_are_the_pinned_ones(config):
    jars = [a.file_name for a in pinned() if a.file_name.endswith(".jar")]
    assert list(config.spark.jars) == [f"/opt/dewline/jars/{jar}" for jar in jars]


def test_two_jobs_fit_beside_each_other(services, given_to):
    """Without a limit the first job, which never ends, would take every core."""
    worker, master = services["spark-worker"], given_to(services["spark-master"])
    each = int(re.search(r"defaultCores=(\d+)", master["SPARK_MASTER_OPTS"])[1])
    cores = int(re.search(r"--cores (\d+)", worker["command"][2])[1])
    memory = re.search(r"--memory (\w+)", worker["command"][2])[1]
    assert cores >= 2 * each
    assert bytes_of(memory) >= 2 * GIB, "an executor takes 1 GiB if nothing is said"
    limit = bytes_of(worker["deploy"]["resources"]["limits"]["memory"])
    assert limit >= bytes_of(memory) + 1.5 * GIB, "Python's workers stand beside the heaps"


def test_heaps_fit_into_limits(services, config, given_to):
    for name, key in (("elasticsearch", "ES_JAVA_OPTS"), ("logstash", "LS_JAVA_OPTS")):
        least, most = re.fullmatch(r"-Xms(\w+) -Xmx(\w+)", given_to(services[name])[key]).groups()
        limit = bytes_of(services[name]["deploy"]["resources"]["limits"]["memory"])
        assert least == most
        assert 2 * bytes_of(most) <= limit, name
    for name in ("scoring", "transform", "cycle"):
        limit = bytes_of(services[name]["deploy"]["resources"]["limits"]["memory"])
        assert limit >= 2 * bytes_of(config.spark.memory), name


# --- the vendors' files ------------------------------------------------------------------------


def rendered_broker():
    settings = Settings(
        folder="/mosquitto/config",
        certificates_folder="/run/secrets",
        data_folder="/mosquitto/data",
        devices_port=8883,
        services_port=8884,
    )
    found = render(settings)
    return found.mosquitto_conf, found.acl_devices, found.acl_services


def test_the_brokers_files_are_rendered_from_its_templates(folder):
    configs = yaml.safe_load((folder / "compose.yml").read_text())["configs"]
    names = ("mosquitto.conf", "acl-devices", "acl-services")
    mounted = tuple((folder / configs[name]["file"]).read_text() for name in names)
    assert mounted == rendered_broker()


def test_the_brokers_files_lie_where_its_configuration_says(services):
    targets = {entry["target"] for entry in services["mosquitto"]["configs"]}
    conf = rendered_broker()[0]
    assert set(re.findall(r"^acl_file (.+)$", conf, re.MULTILINE)) <= targets
    entries = services["mosquitto"]["secrets"]
    mounted = {e if isinstance(e, str) else e["target"] for e in entries}
    named = re.findall(rf"^\w+file {SECRETS}(.+)$", conf, re.MULTILINE)
    assert set(named) <= mounted
    assert inner_port(services["mosquitto"]) == 8883


def mysql_settings(text):
    parser = configparser.ConfigParser(allow_no_value=True, interpolation=None)
    parser.read_string(text)
    return dict(parser["mysqld"])


def test_mysql_is_set_as_on_a_host(folder):
    """But for the addresses, and for certificates, which a host's own may do without."""
    role = ROOT / "deploy" / "ansible" / "roles" / "mysql"
    wanted = mysql_settings((role / "templates" / "dewline.cnf.j2").read_text())
    ours = mysql_settings((folder / "configuration" / "mysql.cnf").read_text())
    own = {"bind-address", "innodb-buffer-pool-size"}
    assert {k: v for k, v in wanted.items() if k not in own}.items() <= ours.items()
    for key in ("ssl-ca", "ssl-cert", "ssl-key"):
        assert ours[key].startswith(SECRETS)


def test_mysql_has_the_certificates_that_it_names(folder, services):
    ours = mysql_settings((folder / "configuration" / "mysql.cnf").read_text())
    named = {v.removeprefix(SECRETS) for v in ours.values() if (v or "").startswith(SECRETS)}
    assert named <= set(services["mysql"]["secrets"])


def test_elasticsearch_is_set_as_on_a_host(folder, services):
    template = ROOT / "deploy/ansible/roles/elasticsearch/templates/elasticsearch.yml.j2"
    ours = yaml.safe_load((folder / "configuration" / "elasticsearch.yml").read_text())
    assert "action.auto_create_index: false" in template.read_text()
    assert ours["action.auto_create_index"] is False
    assert ours["discovery.type"] == "single-node"
    home = "/usr/share/elasticsearch/config/"
    entries = services["elasticsearch"]["secrets"]
    mounted = {e["target"].removeprefix(home) for e in entries if not isinstance(e, str)}
    named = {v for k, v in ours.items() if k.endswith((".certificate", ".key"))}
    assert named <= mounted


def test_kibana_has_the_files_that_it_names(folder, services):
    text = (folder / "configuration" / "kibana.yml").read_text()
    assert set(re.findall(rf"{SECRETS}([\w.]+)", text)) <= set(services["kibana"]["secrets"])


def test_logstash_finds_its_pipelines(services):
    targets = {entry["target"] for entry in services["logstash"]["configs"]}
    listed = yaml.safe_load((ROOT / "cloud/logstash/pipelines/pipelines.yml").read_text())
    assert {pipeline["path.config"] for pipeline in listed} <= targets
    for key in ("DEWLINE_LOGSTASH_CERTIFICATE", "DEWLINE_LOGSTASH_KEY", "DEWLINE_ELASTICSEARCH_CA"):
        name = services["logstash"]["environment"][key].removeprefix(SECRETS)
        assert name in services["logstash"]["secrets"]
