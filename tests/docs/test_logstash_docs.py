"""docs/logstash.md names every variable, refusal and limit that pipelines and writer have."""

import re
from pathlib import Path

from cloud.logstash import dead_letters
from cloud.logstash.http_client import HttpAddress
from cloud.logstash.sender import _PASSING, SenderLimits
from cloud.logstash.table import PIPELINES

TEXT = (Path(__file__).parents[2] / "docs" / "logstash.md").read_text(encoding="utf-8")
FLAT = " ".join(TEXT.split())  # sentences as they are read, wherever their lines end
PIPELINE_TEXTS = {path.name: path.read_text() for path in sorted(PIPELINES.iterdir())}
VARIABLE = re.compile(r"\$\{(\w+)(?::([^}]*))?\}")


def test_every_variable_is_in_the_table_with_its_default():
    found = dict(v for text in PIPELINE_TEXTS.values() for v in VARIABLE.findall(text))
    rows = re.findall(r"^ *\| (`DEWLINE_[^|]+) \| (.+) \|$", TEXT, re.MULTILINE)
    assert {n for names, _ in rows for n in re.findall(r"\w+", names)} == set(found)
    for names, meaning in rows:
        for name in re.findall(r"\w+", names):
            default = found[name]
            assert ("must be" in meaning) == (default == ""), name
            assert default in meaning or name == "DEWLINE_DEAD_LETTER_QUEUE"


def test_limits_and_answers_are_those_of_the_writer():
    limits = SenderLimits()
    held = f"at most {limits.documents:,} documents or about {limits.characters // 10**6} MB"
    assert held in FLAT
    assert limits.attempts == 8
    assert "after eight attempts" in FLAT
    assert f"{', '.join(map(str, _PASSING))}, a closed connection" in FLAT


def test_every_file_has_its_place():
    assert set(PIPELINE_TEXTS) == {
        *("search.conf", "elasticsearch.conf", "dead_letter.conf"),
        *("pipelines.yml", "logstash.yml"),
    }
    for place in re.findall(r'path\.config: "(\S+)/[^/]+"', PIPELINE_TEXTS["pipelines.yml"]):
        assert f"`{place}/`" in TEXT


def test_rights_are_those_of_the_role():
    roles = Path(__file__).parents[2] / "deploy/ansible/roles/elasticsearch/templates/roles.yml.j2"
    part = roles.read_text().partition("dewline_logstash:")[2].partition("\n#")[0]
    for names, rights in re.findall(r'names: \["(.+?)"\]\s+privileges: \[(.+?)\]', part):
        name = names.replace("{{ elasticsearch_search_prefix }}", "<prefix>")
        kind = "indices" if name.endswith("*") else "index"
        shown = ", ".join(f"`{right}`" for right in rights.split(", "))
        assert f"| {kind} `{name}` | {shown} |" in TEXT
    assert "cluster: [monitor]" in part
    assert "| cluster | `monitor` |" in TEXT


def test_the_time_limits_are_those_of_client_and_role():
    assert f"after {HttpAddress(url='http://h').timeout_s:g} seconds" in FLAT
    role = Path(__file__).parents[2] / "deploy/ansible/roles/logstash/defaults/main.yml"
    (stop_s,) = re.findall(r"^logstash_stop_s: (\d+)$", role.read_text(), re.MULTILINE)
    assert f"with {stop_s} seconds" in FLAT


def test_what_the_page_says_of_ids_is_the_condition():
    (most,) = re.findall(r"\[_id\] !~ /\\A\[!-~\]\{1,(\d+)\}\\z/", PIPELINE_TEXTS["search.conf"])
    assert f"1 to {most} visible ASCII characters" in FLAT


def test_every_refusal_is_in_the_table():
    refused = re.findall(r'\[@metadata\]\[refused\]" => "([^"]+)"', PIPELINE_TEXTS["search.conf"])
    row = re.search(r"^\| `intake` \| (.+?) \|", TEXT, re.MULTILINE)[1].replace("`", "")
    assert len(refused) == 8
    for reason in refused:
        for word in re.sub(r":.*|%\{tags\}", "", reason).split():
            assert word in row, reason
    assert dead_letters.index("<prefix>") in TEXT
