"""The verbs against a real Elasticsearch; a stand-in carries out the pipelines' text.

Not a test of Logstash, which is not available here, but of the command that is run on one.
"""

import json
import secrets
import shutil
import threading
from itertools import count
from pathlib import Path

import pytest

from cloud.cli import main, parser_of
from cloud.logstash import dead_letters
from cloud.logstash.http_client import HttpAddress, HttpClient
from cloud.search.bulk import Document
from cloud.search.client import SearchClient
from cloud.search.query import EVERYTHING
from deploy.local.logstash_input import Answer, IntakeManner

CASES = Path(__file__).with_name("cases")
ACCOUNT = ("search", "geheim")


class Site:
    def __init__(self, elasticsearch, folder, new_intake, pipelines):
        self.prefix = f"t{secrets.token_hex(4)}"
        self.store = SearchClient(elasticsearch.url)
        self.double = pipelines(self.store, self.prefix)
        self.intake = new_intake(self.double.take, manner=IntakeManner(account=ACCOUNT))
        self.config = folder / "cloud.toml"
        (folder / "password").write_text(ACCOUNT[1] + "\n")
        self.config.write_text(
            f'[search]\nurl = "{elasticsearch.url}"\nprefix = "{self.prefix}"\n'
            f'logstash_user = "{ACCOUNT[0]}"\nlogstash_password_file = "{folder}/password"\n'
        )

    def run(self, *words):
        return main(["--config", str(self.config), "logstash", *words])

    def check(self, *words):
        return self.run("check", "--url", self.intake.url, "--cases", str(CASES), *words)


@pytest.fixture
def site(elasticsearch, tmp_path, new_intake, pipelines):
    made = Site(elasticsearch, tmp_path, new_intake, pipelines)
    yield made
    made.store.close()


@pytest.mark.services
def test_all_cases_hold_and_nothing_stays_behind(site, capsys):
    assert site.run("setup") == 0
    assert site.prefix in capsys.readouterr().out
    for _ in range(2):  # what an earlier run left would hide what this one loses
        assert site.check("--limit", "20") == 0
        shown = capsys.readouterr().out
        assert f"0 of {len(list(CASES.glob('*.json')))} cases fail" in shown
    assert site.double.documents
    for places in ([f"{site.prefix}-check-*"], [dead_letters.alias(site.prefix)]):
        site.store.refresh(places)
        assert site.store.find(places, EVERYTHING, after_seq=-1) == []


@pytest.mark.services
def test_a_pipeline_that_changes_what_it_should_not_is_found(site, capsys):
    write = site.double.write

    def worse(event):
        event.pop("sensor_id", None)
        write(event)

    site.double.write = worse
    assert site.check("--limit", "1", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert "sensor_id is None, expected 'attic'" in told["faults"]["every-kind"][0]
    good = {"every-kind", "long-id", "numbers", "one-bad-among-good", "twice", "two-values"}
    assert set(told["faults"]) == good
    assert told["failed"] == len(good)


@pytest.mark.services
def test_a_pipeline_that_loses_and_one_that_writes_what_is_refused(site, capsys, tmp_path):
    folder = tmp_path / "cases"
    folder.mkdir()
    for name in ("bad-date", "twice", "unknown-field"):
        shutil.copy(CASES / f"{name}.json", folder)
    index = json.loads((folder / "twice.json").read_text().replace("PREFIX", "x"))["documents"][0]

    def careless(event):
        """Takes any date, and drops what Elasticsearch refuses."""
        if "colour" not in event:
            event["observed_at"] = 1_372_896_000_000
            take(event)

    take, site.intake.take = site.double.take, careless
    words = ["check", "--url", site.intake.url, "--cases", str(folder), "--limit", "2"]
    assert site.run(*words) == 1
    shown = capsys.readouterr().out
    assert index["index"].startswith("x-")
    assert "expected no document" in shown
    assert "no dead letter of intake with reason 'bad date" in shown
    refused = "no dead letter of elasticsearch with reason 'strict_dynamic_mapping_exception'"
    assert refused in shown
    assert "holds  twice" in shown
    assert "2 of 3 cases fail" in shown


@pytest.mark.services
def test_an_intake_that_answers_otherwise(site, capsys):
    site.intake.manner = IntakeManner(status=401)
    assert site.check("--limit", "0") == 1
    assert "the intake answers 401, expected 200" in capsys.readouterr().out


@pytest.mark.services
def test_beside_another_program_that_posts_for_long(site, capsys, wait_until):
    """As `search follow` may: the check gets 429 for a while, and posts again."""
    site.intake.manner = IntakeManner(account=ACCOUNT, blocked_s=0.05)
    site.intake.has_space.clear()
    other = threading.Thread(target=post, args=(site.intake.url, b"[]"))
    other.start()
    wait_until(site.intake.blocked)
    requests = count(1)

    def answer():
        if next(requests) == 4:
            site.intake.has_space.set()
        return Answer.TAKEN

    site.intake.answer = answer
    assert site.check("--limit", "20") == 0
    assert "0 of " in capsys.readouterr().out
    other.join()
    assert next(requests) > len(list(CASES.glob("*.json"))) + 3


@pytest.mark.services
def test_a_queue_that_stays_full_is_named(site, capsys):
    site.intake.manner = IntakeManner(status=429)
    assert site.check("--limit", "0") == 1
    shown = capsys.readouterr().out
    assert "the intake answers 429, expected 200: its queue is full, or another prog" in shown


def post(url, body):
    client = HttpClient(HttpAddress(url=url, user=ACCOUNT[0], password=ACCOUNT[1]))
    status = client.post(body)
    client.close()
    return status


@pytest.mark.services
def test_too_many_old_dead_letters_to_tell_the_new_ones(site, capsys):
    assert site.run("setup") == 0
    index = dead_letters.index(site.prefix)
    letter = '{"reason":"bad JSON","refused_by":"intake","document":"x"}'
    site.store.bulk_index([Document(index, str(n), letter) for n in range(1000)])
    site.store.refresh([index])
    assert site.check() == 2
    assert "1000 dead letters or more" in capsys.readouterr().err


@pytest.mark.services
def test_nobody_there(site, capsys):
    site.intake.close()
    assert site.check() == 1
    assert "no answer" in capsys.readouterr().err


def test_the_help_says_what_ran_on_a_real_one(capsys):
    words = ["--config", "x", "logstash", "check", "--help"]
    with pytest.raises(SystemExit):
        parser_of(words).parse_args(words)
    assert "Logstash 9.6.0" in " ".join(capsys.readouterr().out.split())


def test_without_an_address_or_without_cases_it_says_what_to_do(tmp_path, capsys):
    config = tmp_path / "cloud.toml"
    config.write_text('[search]\nurl = "http://127.0.0.1:1"\n')
    words = ["--config", str(config), "logstash", "check"]
    assert main([*words, "--cases", str(CASES)]) == 2
    assert "logstash_url is missing" in capsys.readouterr().err
    assert main([*words, "--url", "http://127.0.0.1:1", "--cases", str(tmp_path)]) == 2
    assert "--cases" in capsys.readouterr().err
