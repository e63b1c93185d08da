"""The cases, through the pipelines' own text up to the request to Elasticsearch; no server."""

import json
from pathlib import Path

import pytest

from cloud.columns import COLUMNS
from cloud.config import Period
from cloud.logstash.cases import read_cases
from cloud.logstash.envelope import event
from cloud.search.bulk import Document
from cloud.search.names import IndexNames
from cloud.search.templates import mapping_of
from contract.errors import ConfigError
from contract.records import Kind
from deploy.local.logstash_input import events_of

CASES = {case.name: case for case in read_cases(Path(__file__).with_name("cases"), "dewline")}
NAMES = IndexNames("dewline", Period.DAY)


def kind_of(index):
    return next(kind for kind in Kind if index.startswith(NAMES.alias(kind) + "-"))


@pytest.mark.parametrize("name", CASES)
def test_a_case_holds_as_far_as_elasticsearch_s_door(name, pipelines):
    case, double = CASES[name], pipelines()
    for sent in events_of(case.body):
        double.take(sent)
    letters = [letter for letter in case.dead_letters if letter.refused_by == "intake"]
    assert len(double.letters) == len(letters)
    for letter, found in zip(letters, double.letters, strict=True):
        assert found["refused_by"] == "intake"
        assert letter.has(found["reason"], found["document"])
    assert (double.held, double.waiting) == ([], [])
    if len(letters) < len(case.dead_letters):
        return  # what Elasticsearch refuses is tried with a real one
    arrived = {(index, key): fields for index, key, fields in double.documents}
    assert arrived == {(d.index, d.id): d.fields for d in case.documents}


def test_what_is_posted_is_what_the_writer_posts():
    case = CASES["every-kind"]
    for sent, expected in zip(json.loads(case.body), case.documents, strict=True):
        fields = dict(expected.fields) | {"@timestamp": expected.fields["observed_at"]}
        body = json.dumps(fields, separators=(",", ":"))
        assert json.loads(event(Document(expected.index, expected.id, body))) == sent


def test_the_cases_have_every_field_of_every_kind():
    shown = {kind: set() for kind in Kind}
    for document in CASES["every-kind"].documents:
        shown[kind_of(document.index)] |= set(document.fields)
    for kind, columns in COLUMNS.items():
        assert shown[kind] == set(mapping_of(columns)), kind


def test_keys_that_must_not_be_documents_are_known():
    case = CASES["one-bad-among-good"]
    (refused,) = case.refused_ids
    assert refused not in {document.id for document in case.documents}
    assert CASES["every-kind"].refused_ids == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "JSONDecodeError"),
        ('{"about": "x", "events": [], "documents": []}', "dead_letters"),
        ('{"about": "x", "documents": [{"id": "1"}], "dead_letters": []}', "index"),
        ('{"about": "x", "documents": [], "dead_letters": [{"why": "x"}]}', "why"),
    ],
)
def test_a_file_that_is_no_case_is_named(tmp_path, text, said):
    (tmp_path / "odd.json").write_text(text)
    with pytest.raises(ConfigError, match=rf"odd.json: not a valid case: .*{said}"):
        read_cases(tmp_path, "dewline")


def test_a_folder_without_cases_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--cases"):
        read_cases(tmp_path, "dewline")
