import json
import random

import pytest

from cloud.errors import ProjectionError
from cloud.logstash.envelope import ID
from cloud.logstash.sender import BatchSender, SenderLimits
from cloud.search.bulk import Document
from contract.errors import ConfigError

SEED = 20130101
PASSING = (408, 429, 500, 502, 503, 504)


class ScriptedDoor:
    """Answers as it is told and then with 200; an answer may be an error."""

    def __init__(self, *answers, most=None):
        self.answers = list(answers)
        self.most = most
        self.bodies = []

    def post(self, body):
        ids = [event[ID] for event in json.loads(body)]
        self.bodies.append(ids)
        if self.most is not None and len(ids) > self.most:
            return 413
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer


def sender(http_input, pauses, **limits):
    return BatchSender(http_input, SenderLimits(**limits), pauses.append, random.Random(SEED))


def some(total):
    return [Document("i", str(n), f'{{"seq":{n}}}') for n in range(total)]


@pytest.mark.parametrize("answer", [*PASSING, ProjectionError("cut")])
def test_the_same_batch_comes_again_after_what_may_pass(answer):
    http_input, pauses = ScriptedDoor(answer, answer), []
    sender(http_input, pauses).send(some(3))
    assert http_input.bodies == [["0", "1", "2"]] * 3
    assert len(pauses) == 2
    assert all(0 <= pause <= bound for pause, bound in zip(pauses, (0.2, 0.4), strict=True))


def test_patience_ends_with_words_and_the_last_reason():
    http_input, pauses = ScriptedDoor(*[429] * 9), []
    with pytest.raises(ProjectionError, match=r"3 documents .* 4 attempts, the first is 0: .*429"):
        sender(http_input, pauses, attempts=4).send(some(3))
    assert (len(http_input.bodies), len(pauses)) == (4, 3)
    assert ProjectionError.retryable


@pytest.mark.parametrize(
    ("status", "words"), [(429, "queue is full, or another program"), (503, "fails: read its log")]
)
def test_an_answer_that_may_pass_has_its_own_message(status, words):
    with pytest.raises(ProjectionError, match=rf"Logstash answers {status}: .*{words}"):
        sender(ScriptedDoor(*[status] * 9), [], attempts=2).send(some(1))


def test_pauses_stop_growing():
    http_input, pauses = ScriptedDoor(*[503] * 19), []
    sender(http_input, pauses, attempts=20, first_pause_s=1.0, largest_pause_s=4.0).send(some(1))
    assert max(pauses) <= 4.0
    assert max(pauses) > 2.0


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "logstash_user and logstash_password_file"),
        (403, "refuses this account"),
        (404, "is this the http input's address"),
        (302, "expected 200"),
        (202, "expected 200"),
        (400, "expected 200"),
    ],
)
def test_what_somebody_must_mend_is_said_at_once(status, words):
    http_input, pauses = ScriptedDoor(status), []
    with pytest.raises(ConfigError, match=rf"Logstash answers {status}: .*{words}"):
        sender(http_input, pauses).send(some(2))
    assert (len(http_input.bodies), pauses) == (1, [])


def test_a_certificate_that_is_refused_is_not_asked_again():
    http_input, pauses = ScriptedDoor(ConfigError("certificate")), []
    with pytest.raises(ConfigError, match="certificate"):
        sender(http_input, pauses).send(some(2))
    assert (len(http_input.bodies), pauses) == (1, [])


def test_a_batch_that_is_too_large_is_halved_and_keeps_its_order():
    http_input, pauses = ScriptedDoor(most=3), []
    sender(http_input, pauses).send(some(10))
    taken = [ids for ids in http_input.bodies if len(ids) <= 3]
    assert [i for ids in taken for i in ids] == [str(n) for n in range(10)]
    assert pauses == []


def test_one_document_that_is_too_large_is_said():
    with pytest.raises(ConfigError, match=r"document as large as 0 .*max_content_length"):
        sender(ScriptedDoor(413), []).send(some(1))


def test_nothing_is_not_posted():
    http_input = ScriptedDoor()
    sender(http_input, []).send([])
    assert http_input.bodies == []
