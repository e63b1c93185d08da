"""The pipelines' own text, carried out: no Logstash, but not a copy of them in Python either.

Knows the few plug-ins and conditions that the pipelines use, as their documentation says, and stops
at anything else.
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
            return not re.search(pattern.replace(r"\z", r"\Z"), read_word(left))
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
    if "LogStash::Json.dump" in plugin.get("code"):
        fields = {name: value for name, value in event.items() if not name.startswith("@")}
        put(event, "[@metadata][document]", json.dumps(fields))
    else:
        assert "LogStash::Timestamp.now" in plugin.get("code")
        event["@timestamp"] = ARRIVAL


def fingerprint(event, plugin):
    (source,) = plugin.get("source")
    digest = hashlib.sha256(get(event, source).encode()).hexdigest()
    put(event, plugin.get("target"), digest)


def prune(event, plugin):
    for name in [n for n in event if n != "@metadata"]:
        if not any(re.search(pattern, name) for pattern in plugin.get("whitelist_names")):
            del event[name]


def truncate(event, plugin):
    for name in plugin.get("fields"):
        event[name] = event[name].encode()[: plugin.get("length_bytes")].decode(errors="ignore")


FILTERS = {f.__name__: f for f in (mutate, date, ruby, fingerprint, prune, truncate)}


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
    """

    def __init__(self, store=None, prefix="dewline"):
        self.store = store
        self.prefix = prefix
        self.documents = []
        self.letters = []
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
        (out,) = self.passed("elasticsearch", event)
        assert out.get("action") == "create"
        index, key = (filled(event, out.get(name)) for name in ("index", "document_id"))
        fields = {name: value for name, value in event.items() if name != "@metadata"}
        self.documents.append((index, key, fields))
        if self.store is None:
            return
        document = Document(index, key, json.dumps(fields))
        (outcome,) = self.store.bulk_create([document])
        if outcome.kind not in (OutcomeKind.DONE, OutcomeKind.EXISTS):
            # The dead letter queue keeps the fields and not the metadata.
            told = {"reason": outcome.reason, "plugin_type": "elasticsearch"}
            self.refuse(fields | {"@metadata": {"dead_letter_queue": told}})

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
