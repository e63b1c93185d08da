"""The pipelines' own text, carried out: no Logstash, but not a copy of them in Python either.

Knows the few plug-ins and conditions that the pipelines use, and stops at anything else. It does
what a Logstash 9.6.0 was seen to do: a bulk call that is refused as a whole, or answered with 429,
is repeated for ever and holds one worker.
"""

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from cloud.logstash import dead_letters
from cloud.logstash.table import PIPELINES
from cloud.logstash.tree import Branch, Pairs, Plugin, read
from cloud.search.bulk import Document, OutcomeKind
from contract.errors import ConfigError
from deploy.local.logstash_input import Intake

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What the http input adds with ECS compatibility, and what every event has.
ADDITIONS = {
    "http": {"method": "POST", "version": "HTTP/1.1"},
    "url": {"path": "/", "port": "8443"},
    "user_agent": {"original": "x"},
    "host": {"ip": "127.0.0.1"},
    "event": {"original": "{}"},
}
ARRIVAL = "2030-01-01T00:00:00.000Z"
WORKERS = 2  # of the output; Logstash has one per core
MOST_ID_BYTES = 512  # above, Elasticsearch refuses the whole bulk call
NO_RIGHT = (
    "security_exception: action [indices:admin/auto_create] is unauthorized for user [logstash] "
    "with effective roles [dewline_logstash] on indices [x], this action is granted by the index "
    "privileges [auto_configure,create_index,manage,all]"
)


def path_of(reference):
    return re.findall(r"\[([^\]]+)\]", reference) or [reference]


def get(event, reference):
    for name in path_of(reference):
        if not isinstance(event, dict) or name not in event:
            return None
        event = event[name]
    return event


def put(event, reference, value):
    *above, last = path_of(reference)
    for name in above:
        event = event.setdefault(name, {})
    event[last] = value


def drop(event, reference):
    *above, last = path_of(reference)
    for name in above:
        event = event.get(name, {})
    return event.pop(last, None)


def filled(event, text):
    """`%{reference}` replaced; one that is not there stays as it is."""

    def value(found):
        here = get(event, found[1])
        return found[0] if here is None else here if isinstance(here, str) else json.dumps(here)

    return re.sub(r"%\{(?!\+)([^}]+)\}", value, re.sub(r"\$\{\w+:([^}]*)\}", r"\1", text))


def holds(event, condition):
    (expression,) = condition  # no `and`, no `or` so far

    def read_word(word):
        return get(event, word) if word.startswith("[") else word

    def there(reference):
        found = get(event, reference)
        return found is not None and str(found).lower() not in ("", "false")  # 0 is there

    match expression:
        case (reference,):
            return there(reference)
        case ("!", reference):
            return not there(reference)
        case (left, "in", right):
            return read_word(left) in (read_word(right) or ())
        case (left, "!~", pattern):
            value = read_word(left)  # only text matches, whatever the pattern is
            matches = isinstance(value, str) and re.search(pattern.replace(r"\z", r"\Z"), value)
            return not matches
    raise NotImplementedError(expression)


def mutate(event, plugin):
    for old, new in (plugin.get("rename") or Pairs(())).items:
        if get(event, old) is not None:
            put(event, new, drop(event, old))


def date(event, plugin):
    field, form = plugin.get("match")
    assert form == "UNIX_MS"
    value = get(event, field)
    if value is None:
        return
    if re.fullmatch(r"-?\d+", str(value)):
        at = EPOCH + timedelta(milliseconds=int(value))
        put(event, plugin.get("target"), at.isoformat(timespec="milliseconds")[:-6] + "Z")
    else:
        event.setdefault("tags", []).extend(plugin.get("tag_on_failure"))


def ruby(event, plugin):
    code = plugin.get("code")
    if "LogStash::Json.dump" in code:
        fields = {name: value for name, value in event.items() if not name.startswith("@")}
        put(event, "[@metadata][document]", json.dumps(fields))
    elif "byteslice" in code:
        shorten(event, code)
    else:
        assert "LogStash::Timestamp.now" in code
        event["@timestamp"] = ARRIVAL


def shorten(event, code):
    """The begin and the end of a text that is too long, with the sizes of the code."""
    found = re.fullmatch(
        r'reason = event\.get\("(.+?)"\)\.to_s; event\.set\("\1", '
        r'reason\.byteslice\(0, (\d+)\)\.scrub\(""\) \+ "(.+?)" \+ '
        r'reason\.byteslice\(-(\d+), \4\)\.scrub\(""\)\) if reason\.bytesize > (\d+)',
        code,
    )
    name, begin, between, end, most = found.groups()
    text = get(event, name).encode()
    if len(text) > int(most):
        parts = (text[: int(begin)], between.encode(), text[-int(end) :])
        put(event, name, b"".join(parts).decode(errors="ignore"))


def fingerprint(event, plugin):
    (source,) = plugin.get("source")
    digest = hashlib.sha256(get(event, source).encode()).hexdigest()
    put(event, plugin.get("target"), digest)


def prune(event, plugin):
    for name in [n for n in event if n != "@metadata"]:
        if not any(re.search(pattern, name) for pattern in plugin.get("whitelist_names")):
            del event[name]


FILTERS = {f.__name__: f for f in (mutate, date, ruby, fingerprint, prune)}


def apply(event, plugin):
    FILTERS[plugin.name](event, plugin)
    for name, text in (plugin.get("add_field") or Pairs(())).items:
        put(event, name, filled(event, text))
    for name in plugin.get("remove_field") or ():
        drop(event, name)


def reached(event, steps):
    """The plug-ins that an event comes by, in order; it may be changed between two."""
    taken = False
    for step in steps:
        if isinstance(step, Plugin):
            yield step
            continue
        assert isinstance(step, Branch)
        taken = taken and step.word != "if"
        if not taken and (step.word == "else" or holds(event, step.condition)):
            taken = True
            yield from reached(event, step.steps)


class Pipelines:
    """Carries out search.conf, elasticsearch.conf and dead_letter.conf, event by event.

    Attributes:
        documents: The documents that Elasticsearch received, in order: index, id, fields.
        letters: What reached the index of dead letters.
        held: Events whose bulk call is repeated for ever; each holds a worker.
        waiting: Events in the queue, with no worker left.
        may_configure: Whether the account has the privilege auto_configure.
    """

    def __init__(self, store=None, prefix="dewline"):
        self.store = store
        self.prefix = prefix
        self.documents = []
        self.letters = []
        self.held = []
        self.waiting = []
        self.may_configure = True
        self.sections = {
            name: {s.kind: s.steps for s in read((PIPELINES / f"{name}.conf").read_text())}
            for name in ("search", "elasticsearch", "dead_letter")
        }

    def take(self, event):
        """One event of the http input."""
        headers = {"input": {"http": {"request": {"headers": {"authorization": "Basic x"}}}}}
        event = {"@timestamp": ARRIVAL, **event, **ADDITIONS, "@version": "1", "@metadata": headers}
        if not isinstance(event["@timestamp"], str):  # as the event's constructor does
            event["_@timestamp"] = event["@timestamp"]
            event |= {"@timestamp": ARRIVAL, "tags": ["_timestampparsefailure"]}
        (out,) = self.passed("search", event)
        (address,) = out.get("send_to")
        assert "Basic" not in json.dumps(event)
        event["@version"] = "1"  # read from a queue
        if address == "dewline-refused":
            self.refuse(event)
        else:
            assert address == "dewline-elasticsearch"
            self.write(event)

    def passed(self, name, event):
        for plugin in reached(event, self.sections[name]["filter"]):
            apply(event, plugin)
        return list(reached(event, self.sections[name]["output"]))

    def write(self, event):
        """The output's next bulk call, if a worker is free."""
        if len(self.held) == WORKERS:
            self.waiting.append(event)
        elif not self.delivered(event):
            self.held.append(event)

    def again(self):
        """The next attempt of each call that is repeated."""
        events, self.held, self.waiting = self.held + self.waiting, [], []
        for event in events:
            self.write(event)

    def delivered(self, event):
        (out,) = self.passed("elasticsearch", event)
        assert out.get("action") == "create"
        index, key = (filled(event, out.get(name)) for name in ("index", "document_id"))
        fields = {name: value for name, value in event.items() if name != "@metadata"}
        answer = self.answer(Document(index, key, json.dumps(fields)))
        if answer is None:
            return False
        status, text = answer
        if status in (200, 409):
            self.documents.append((index, key, fields))
            return True
        if status not in (400, 404, *out.get("dlq_custom_codes")):
            return False
        # The dead letter queue keeps the fields, no metadata. Its reason has the event first.
        reason = (
            f"Could not index event to Elasticsearch. status: {status}, action: "
            f'["create", {{:_id=>"{key}", :_index=>"{index}"}}, {json.dumps(fields)}], '
            f'response: {{"create"=>{{"status"=>{status}, "error"=>{{"reason"=>"{text}"}}}}}}'
        )
        queue = {"reason": reason, "plugin_type": "elasticsearch"}
        self.refuse(fields | {"@metadata": {"dead_letter_queue": queue}})
        return True

    def answer(self, document):
        """Status and text of one item; None if the whole bulk call is refused."""
        if self.store is None:
            return None if len(document.id.encode()) > MOST_ID_BYTES else (200, "")
        try:
            (outcome,) = self.store.bulk_create([document])
        except ConfigError as error:
            if ": 400 " in str(error):
                return None
            raise
        if outcome.kind is OutcomeKind.DONE:
            return 200, ""
        if outcome.kind is OutcomeKind.EXISTS:
            return 409, ""
        status = int(outcome.reason.split()[0])
        if status == 404 and not self.may_configure:
            return 403, NO_RIGHT
        return status, outcome.reason

    def refuse(self, event):
        file, out = self.passed("dead_letter", event)
        assert file.name == "file"
        fields = {name: value for name, value in event.items() if name != "@metadata"}
        self.letters.append(fields)
        if self.store is not None:
            index = filled(event, out.get("index")).replace("dewline", self.prefix, 1)
            assert index == dead_letters.index(self.prefix)
            key = filled(event, out.get("document_id"))
            self.store.bulk_index([Document(index, key, json.dumps(fields))])


@pytest.fixture
def pipelines():
    """`pipelines()`, or with a store and a prefix."""
    return Pipelines


@pytest.fixture
def new_intake():
    """`new_intake(take, answer, manner)`: a stand-in for the http input; closed in the end."""
    made = []

    def make(*args, **named):
        made.append(Intake(*args, **named))
        return made[-1]

    yield make
    for intake in made:
        intake.close()
