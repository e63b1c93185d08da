"""The pipelines that are installed have no fault that can be seen without a Logstash."""

from datetime import date
from importlib import resources
from itertools import product

import pytest
import yaml

from cloud.columns import COLUMNS
from cloud.config import Period
from cloud.health.logstash import PIPELINES as DOCTOR_S
from cloud.logstash import dead_letters
from cloud.logstash.check import check, check_addresses, check_settings
from cloud.logstash.envelope import ID, INDEX
from cloud.logstash.table import PIPELINES, load_table
from cloud.logstash.tree import Plugin, read, walk
from cloud.search.names import IndexNames
from cloud.search.templates import mapping_of
from contract.records import Kind

TABLE = load_table()
RECORD_FIELDS = frozenset(name for columns in COLUMNS.values() for name in mapping_of(columns))
FIELDS = {
    "search": RECORD_FIELDS,
    "elasticsearch": RECORD_FIELDS,
    "dead_letter": dead_letters.FIELDS,
}
TEXTS = {name: (PIPELINES / f"{name}.conf").read_text() for name in FIELDS}


def plugins(name):
    for section in read(TEXTS[name]):
        yield from (step for step in walk(section.steps) if isinstance(step, Plugin))


def one(name, kind, plugin):
    (found,) = [p for p in plugins(name) if (p.kind, p.name) == (kind, plugin)]
    return found


def yml(name):
    return yaml.safe_load((PIPELINES / name).read_text())


@pytest.mark.parametrize("name", FIELDS)
def test_a_pipeline_has_no_fault(name):
    assert check(TEXTS[name], TABLE, FIELDS[name]) == []


def test_pipelines_find_each_other():
    assert check_addresses(TEXTS) == []


def test_settings_are_known():
    assert check_settings(yml("logstash.yml"), TABLE.settings, "logstash.yml") == []
    entries = yml("pipelines.yml")
    for entry in entries:
        assert check_settings(entry, TABLE.pipeline_settings, "pipelines.yml") == []
    files = {entry["path.config"].rpartition("/")[2].removesuffix(".conf") for entry in entries}
    assert files == set(FIELDS) == {p.stem for p in PIPELINES.glob("*.conf")}


def test_every_queue_on_the_way_is_on_disk_with_logstash_s_own_checkpoints():
    for entry in yml("pipelines.yml"):
        assert entry["queue.type"] == "persisted"
        assert not [name for name in entry if name.startswith("queue.checkpoint")]
    assert yml("logstash.yml")["queue.drain"] is False


def test_doctor_looks_for_every_pipeline():
    assert tuple(entry["pipeline.id"] for entry in yml("pipelines.yml")) == DOCTOR_S


def test_every_dead_letter_queue_but_the_last_is_read():
    kept = {e["pipeline.id"] for e in yml("pipelines.yml") if e["dead_letter_queue.enable"]}
    read_from = {p.get("pipeline_id") for p in plugins("dead_letter") if p.kind == "input"} - {None}
    assert kept - {"dewline-dead-letter"} == read_from
    default = yml("logstash.yml")["path.dead_letter_queue"]
    for plugin in plugins("dead_letter"):
        if plugin.name == "dead_letter_queue":
            assert plugin.get("path") == "${DEWLINE_DEAD_LETTER_QUEUE:" + default + "}"


def test_the_input_takes_nothing_without_tls_and_an_account():
    http = one("search", "input", "http")
    assert http.get("ssl_enabled") is True
    for name in ("user", "password", "ssl_certificate", "ssl_key"):
        value = http.get(name)
        assert value.startswith("${DEWLINE_LOGSTASH_")
        assert ":" not in value  # no default: not set is refused


def test_what_elasticsearch_refuses_is_kept_and_what_it_has_is_no_news():
    out = one("elasticsearch", "output", "elasticsearch")
    assert out.get("action") == "create"
    assert out.get("dlq_custom_codes") == (403,)
    assert out.get("silence_errors_in_log") == ("version_conflict_engine_exception",)
    assert [out.get(n) for n in ("data_stream", "manage_template", "ilm_enabled")] == [False] * 3


def test_plug_ins_have_ids_of_their_own():
    ids = [plugin.get("id") for name in FIELDS for plugin in plugins(name)]
    assert len(set(ids)) == len(ids)
    assert None not in ids


@pytest.mark.parametrize(("kind", "period"), list(product(Kind, Period)))
def test_the_intake_takes_every_index_of_dated_records_and_no_other(pipelines, kind, period):
    names = IndexNames("dewline-2", period)
    double = pipelines()
    good = names.index(kind, date(2026, 11, 24))
    bad = [names.unsynced(kind), names.alias(kind), f"x\n{good}", f"{good}\n", good[1:] + "x"]
    bad += [names.forecast(date(2026, 11, 24)), ".kibana", f"{good}.01.02"]
    for index in (good, *bad):
        double.take({INDEX: index, ID: "a:b:1", "observed_at": 0})
    assert [index for index, _, _ in double.documents] == [good]
    assert {letter["reason"] for letter in double.letters} == {"bad _index"}


@pytest.mark.parametrize("index", [["dewline-reading-2013.07.04"], 12, {"a": 1}, True])
def test_an_index_that_is_no_text_is_refused(pipelines, index):
    double = pipelines()
    double.take({INDEX: index, ID: "a:b:1", "observed_at": 0})
    assert [letter["reason"] for letter in double.letters] == ["bad _index"]


@pytest.mark.parametrize(
    ("key", "taken"),
    [
        ("x" * 512, True),
        ("gw-1:aaaaaaaaaaaaa:9007199254740991", True),
        ("x" * 513, False),
        ("ä" * 257, False),
        ("ä", False),
        ("a b", False),
        ("a\nb", False),
        ("a\n", False),
        (0, False),
        (1.5, False),
        (["a"], False),
        ({"a": "b"}, False),
        (True, False),
    ],
)
def test_an_id_is_ascii_text_of_at_most_512_bytes(pipelines, key, taken):
    double = pipelines()
    double.take({INDEX: "dewline-reading-2013.07.04", ID: key, "observed_at": 0})
    assert [key for _, key, _ in double.documents] == ([key] if taken else [])
    assert [letter["reason"] for letter in double.letters] == ([] if taken else ["bad _id"])


def test_no_document_has_a_field_that_the_input_adds():
    removed = {n for p in plugins("search") for n in p.get("remove_field") or ()}
    assert removed == {
        "http",
        "url",
        "user_agent",
        "host",
        "headers",
        "event",
        "[@metadata][input]",
    }
    assert not (removed | {"tags", "message", INDEX, ID}) & RECORD_FIELDS


def test_they_come_with_the_package():
    folder = resources.files("cloud.logstash") / "pipelines"
    assert {"search.conf", "pipelines.yml"} <= {entry.name for entry in folder.iterdir()}
    assert (resources.files("cloud.logstash") / "plugins.toml").is_file()
