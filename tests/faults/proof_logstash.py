"""Documents through the Logstash writer while its intake answers in every way that it can.

Shown: each document is taken at least once, those of a stream come in their order the first time,
and the writer never holds more than one batch. The intake is a stand-in that filters nothing.

    make proof-logstash
    python tests/faults/proof_logstash.py --documents 20000 --batch 100 --seed 1
"""

import argparse
import json
import random
import re
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from cloud.config import Period
from cloud.logstash.envelope import ID, INDEX
from cloud.logstash.http_client import HttpAddress, HttpClient
from cloud.logstash.sender import BatchSender, SenderLimits
from cloud.logstash.writer import LogstashWriter
from cloud.search.bulk import Document
from cloud.search.names import IndexNames
from deploy.local.logstash_input import Answer, Intake, IntakeManner

STREAMS = 7  # far fewer than a batch has documents: else its inner order would not be seen
UTC_AT = 1_372_895_999_000
INDEX_NAME = "dewline-reading-2013.07.04"
TIMEOUT_S = 0.5
# The odds of one request; the slow ones cost their time. Each comes once before they count.
ODDS = {
    Answer.TAKEN: 0.79,
    Answer.BUSY: 0.05,
    Answer.FAILED: 0.03,
    Answer.FAILED_PARTLY: 0.03,
    Answer.UNAVAILABLE: 0.02,
    Answer.CUT: 0.02,
    Answer.CUT_AFTER: 0.03,
    Answer.SLOW: 0.01,
    Answer.LATE: 0.01,
    Answer.FULL: 0.01,
}
PAGE_BYTES = 4096


class Body(str):
    """A document's text that is counted as long as somebody holds it."""

    __slots__ = ()
    alive = most = 0

    def __new__(cls, text):
        Body.alive += 1
        Body.most = max(Body.most, Body.alive)
        return super().__new__(cls, text)

    def __del__(self):
        Body.alive -= 1


def place(number):
    return number % STREAMS, number // STREAMS + 1


def documents(total):
    """Readings of many streams in turn."""
    for number in range(total):
        stream, seq = place(number)
        at = UTC_AT + seq
        yield Document(
            INDEX_NAME,
            f"gw-{stream}:aaaaaaaaaaaaa:{seq}",
            Body(
                f'{{"device_id":"gw-{stream}","stream_id":"aaaaaaaaaaaaa","seq":{seq},'
                f'"event_day":"2013-07-04","observed_at":{at},"@timestamp":{at},"offset_ms":{seq},'
                f'"value":{number / 100!r},"received_at":{at},"sensor_id":"attic",'
                '"quantity":"temperature","quality":"good"}'
            ),
        )


class Taken:
    """What the intake took: each document's count, and whether streams came in order."""

    def __init__(self, total):
        self._lock = threading.Lock()
        self._seen = bytearray(total)
        self._last = [0] * STREAMS
        self.events = self.out_of_order = self.wrong = 0

    def __call__(self, event):
        stream, seq = map(int, re.fullmatch(r"gw-(\d+):a{13}:(\d+)", event[ID]).groups())
        number = (seq - 1) * STREAMS + stream
        right = event["value"] == number / 100 and event[INDEX] == INDEX_NAME
        with self._lock:
            self.events += 1
            self.wrong += not (right and "@timestamp" not in event)
            if not self._seen[number]:
                self._seen[number] = 1
                self.out_of_order += seq < self._last[stream]
                self._last[stream] = seq

    @property
    def missing(self):
        return len(self._seen) - sum(self._seen)


class Draw:
    """Draws an answer for each request."""

    def __init__(self, source):
        self._source = source
        self._lock = threading.Lock()
        self._first = list(Answer)
        source.shuffle(self._first)
        self.counts = Counter()

    def __call__(self):
        with self._lock:
            if self._first:
                answer = self._first.pop()
            else:
                (answer,) = self._source.choices(list(ODDS), list(ODDS.values()))
            self.counts[answer] += 1
            return answer


class Nothing:
    """Elasticsearch, of which this proof needs nothing."""

    def create(self, documents):
        assert not list(documents)

    def delete(self, documents):
        assert not list(documents)

    def ensure_index(self, name):
        assert name == INDEX_NAME


class Progress:
    """The documents, with a line and the process's memory at each tenth."""

    def __init__(self, total):
        self._total = total
        self._begun_s = time.monotonic()
        self.resident_mib = []

    def of(self, source):
        for number, document in enumerate(source):
            if number % (self._total // 10) == 0:
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                self.resident_mib.append(pages * PAGE_BYTES / 2**20)
                print(
                    f"{self.seconds:6.1f} s  {number} documents made, {Body.most} held at most, "
                    f"{self.resident_mib[-1]:.0f} MiB resident",
                    flush=True,
                )
            yield document
            del document  # held by the writer or by nobody

    @property
    def seconds(self):
        return time.monotonic() - self._begun_s


def prove(total, batch, seed):
    """Everything that was seen, as one row."""
    source = random.Random(seed)
    draw, taken, progress = Draw(random.Random(seed + 1)), Taken(total), Progress(total)
    intake = Intake(taken, draw, IntakeManner(slow_s=1.5 * TIMEOUT_S, blocked_s=TIMEOUT_S))
    door = HttpClient(HttpAddress(url=intake.url, timeout_s=TIMEOUT_S))
    limits = SenderLimits(documents=batch, attempts=50, first_pause_s=0.01, largest_pause_s=0.1)
    sender = BatchSender(door, limits, time.sleep, source)
    writer = LogstashWriter(sender, Nothing(), Nothing(), IndexNames("dewline", Period.DAY))
    try:
        writer.create(progress.of(documents(total)))
        seconds = progress.seconds
    finally:
        door.close()
        intake.close()
    return {
        "documents": total,
        "missing": taken.missing,
        "repeated": taken.events - total + taken.missing,
        "wrong": taken.wrong,
        "out_of_order": taken.out_of_order,
        "held_most": Body.most,
        "held_limit": batch,
        "resident_growth_mib": round(progress.resident_mib[-1] - progress.resident_mib[1], 1),
        "requests": intake.requests_total,
        "answers": {answer.value: draw.counts[answer] for answer in Answer},
        "seconds": round(seconds, 1),
        "seed": seed,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    row = prove(args.documents, args.batch, args.seed)
    print(json.dumps(row))
    held = row["held_most"] <= row["held_limit"]
    every = min(row["answers"].values()) > 0 and row["repeated"] > 0
    bad = row["missing"] or row["wrong"] or row["out_of_order"] or not (held and every)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
