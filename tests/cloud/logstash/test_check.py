"""Faults that are planted into the real pipelines are found, each by its name."""

import re

import pytest

from cloud.columns import COLUMNS
from cloud.logstash.check import check, check_addresses, check_settings
from cloud.logstash.table import PIPELINES, load_table
from cloud.search.templates import mapping_of

TABLE = load_table()
FIELDS = frozenset(name for columns in COLUMNS.values() for name in mapping_of(columns))
SEARCH = (PIPELINES / "search.conf").read_text()
OUT = (PIPELINES / "elasticsearch.conf").read_text()


def planted(text, old, new):
    assert text.count(old) >= 1, old
    return text.replace(old, new, 1)


def faults(text, fields=FIELDS):
    return [(fault.name, fault.text) for fault in check(text, TABLE, fields)]


FAULTS = {
    "unknown option": (
        (SEARCH, "ssl_enabled => true", 'ssl_enable => true\n    color => "red"'),
        ["http: ssl_enable ", "http: color "],
    ),
    "removed option": (
        (SEARCH, "ssl_enabled => true", 'ssl => true\n    tls_min_version => "1.2"'),
        ["http: ssl ", "http: tls_min_version "],
    ),
    "newer option": (
        (OUT, "dlq_custom_codes => [403]", 'drop_error_types => ["x"]'),
        ["elasticsearch: drop_error_types "],
    ),
    "not bundled": (
        (SEARCH, "  http {", '  mqtt { host => "x" }\n  http {'),
        ["input mqtt"],
    ),
    "no table": (
        (SEARCH, "  http {", "  stdin { }\n  http {"),
        ["input stdin"],
    ),
    "missing option": (
        (OUT, 'address => "dewline-elasticsearch"', ""),
        ["input pipeline: address"],
    ),
    "data stream": (
        (OUT, "manage_template => false", 'data_stream_type => "logs"'),
        ["data_stream_type is not allowed with data_stream => false"],
    ),
    "missing field": (
        (SEARCH, '"observed_at", "UNIX_MS"', '"observed_when", "UNIX_MS"'),
        ["date: observed_when"],
    ),
    "unbalanced brace": (
        (SEARCH, "filter {", "filter {{"),
        ["line"],
    ),
    "syntax": (
        (SEARCH, "port =>", "port ="),
        ["(line:"],
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_by_its_name(name):
    (text, old, new), said = FAULTS[name]
    assert faults(text) == []
    found = faults(planted(text, old, new))
    assert [fault for fault, _ in found] == [name] * len(said)
    for part, (_, text_of_fault) in zip(said, found, strict=True):
        assert part in text_of_fault


@pytest.mark.parametrize(
    "option", sorted(TABLE.plugins["output", "elasticsearch"].removed - {"ssl"})
)
def test_each_option_that_9_refuses_is_named(option):
    found = faults(planted(OUT, "data_stream => false", f'data_stream => false {option} => "x"'))
    assert [name for name, _ in found] == ["removed option"]


def test_data_stream_left_out_is_a_fault_and_so_is_an_index_beside_it():
    left_out = faults(planted(OUT, "data_stream => false", ""))
    assert [name for name, _ in left_out] == ["data stream"]
    true = faults(planted(OUT, "data_stream => false", "data_stream => true"))
    assert [name for name, _ in true] == ["data stream"]


@pytest.mark.parametrize(
    "reference",
    [
        'add_field => { "colour" => "x" }',
        'rename => { "seq" => "colour" }',
        'add_field => { "[@metadata][x]" => "%{[colour][deep]}" }',
        'replace => { "seq" => "%{colour}" }',
    ],
)
def test_a_field_that_the_template_lacks_is_found_wherever_it_is_named(reference):
    text = planted(OUT, 'remove_field => ["@version"]', reference)
    assert [text.split()[2] for name, text in faults(text) if name == "missing field"] == ["colour"]


def test_a_field_in_a_condition_or_in_ruby_is_found():
    text = planted(OUT, "filter {", 'filter {\n  if [colour] == "red" { mutate { } }\n')
    assert faults(text) == [("missing field", "if: colour is not in the index template")]
    text = planted(OUT, "filter {", "filter {\n  ruby { code => 'event.set(\"colour\", 1)' }\n")
    assert [name for name, _ in faults(text)] == ["missing field"]


def test_a_template_without_a_field_that_the_pipeline_uses():
    found = faults(SEARCH, FIELDS - {"observed_at"})
    assert {name for name, _ in found} == {"missing field"}


def test_braces_in_texts_patterns_and_comments_do_not_count():
    line = "# {\n  mutate { id => \"}{\" add_field => { '[@metadata][x]' => '}' } }\n"
    assert faults(planted(OUT, "filter {", "filter {\n  " + line)) == []
    unclosed = faults(OUT.rstrip()[:-1])
    assert re.search(r"line \d+: \{ has no matching \}", unclosed[0][1])
    assert "} has no matching {" in faults(OUT + "}")[0][1]


def test_a_codec_is_looked_at_with_options_and_without():
    unknown = planted(SEARCH, "response_code => 200", 'codec => json { targett => "x" }')
    assert [name for name, _ in faults(unknown)] == ["unknown option"]
    foreign = planted(SEARCH, "response_code => 200", "codec => protobuf")
    assert [name for name, _ in faults(foreign)] == ["not bundled"]


def test_addresses_that_do_not_meet():
    assert check_addresses({"search": SEARCH, "elasticsearch": OUT})[0].name == "address"
    twice = check_addresses({"a": OUT, "b": OUT})
    assert [fault.text for fault in twice] == [
        "dewline-elasticsearch: more than one pipeline has an input with this address",
        "dewline-elasticsearch: no pipeline sends to this address",
    ]


def test_a_setting_that_nobody_knows():
    (fault,) = check_settings(["queue.type", "queue.typ"], TABLE.settings, "logstash.yml")
    assert (fault.name, "queue.typ:" in fault.text) == ("unknown setting", True)


def test_every_plugin_of_the_table_says_where_it_is_from_and_is_bundled():
    for key, plugin in TABLE.plugins.items():
        assert plugin.source.startswith("https://www.elastic.co/docs/reference/logstash/")
        assert key in TABLE.bundled
        assert not plugin.options & (plugin.removed | plugin.newer)
        named = plugin.required | plugin.fields | plugin.moves | plugin.first
        assert named <= plugin.options
