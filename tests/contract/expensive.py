"""Makes payloads that are as expensive to decode as their size allows: small, repetitive, legal."""

import json
import random
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from contract import wire
from contract.errors import ContractError
from contract.limits import NEW

__all__ = ["FAMILIES", "Cost", "cost_of", "payload_of", "speed_of_core"]

HEAD = '"schema":1,"clock":"synced","stream":"ynoicv4oqjyxi","first":1,"at":[0,1768460400000]'
ONE = '"events":[["held",0,{}]]'
ATOMS = (
    "[]",
    "{}",
    '{"a":1}',
    "[[[[[[]]]]]]",
    "1",
    "-1",
    "1e9",
    "0.1",
    "2.2250738585072011e-308",
    "1" * 30 + "." + "1" * 30 + "e-5",
    "9" * 4_000,
    "null",
    '""',
    '"x"',
    '"\\u00e9\\ud83c\\udf21"',
    '"' + "x" * 200 + '"',
    '"' + "\\n" * 100 + '"',
    '{"first":1,"at":[],"sensors":{}}',
)
EVENTS = (
    '["held",0,{}]',
    (
        '["status",9,{"phase":"running","version":"0.1.0","previous_stream_id":"ynoicv4oqjyxi",'
        '"previous_last":1,"samples_total":2,"sample_failures_total":3,"committed_total":4,'
        '"queued_blocks":5,"queued_bytes":6}]'
    ),
    (
        '["alert",0,{"alert_id":"0123456789abcdef","condition_id":"a","state":"raised",'
        '"basis":"observed","value":1.5,"probability":0.5}]'
    ),
    (
        '["prediction",0,{"condition_id":"a","model":"b","version":"c","horizon_s":1,'
        '"probability":0.5,"origin":"edge","mode":"active"}]'
    ),
    '["model_report",0,{"model":"a","version":"b","outcome":"c","reason":"' + "x" * 200 + '"}]',
    (
        '["loss",0,{"reason":"budget","lost":{"stream_id":"ynoicv4oqjyxi","first":1,"last":2},'
        '"from_at":1,"to_at":2,"estimated_total":3}]'
    ),
    '["clock_fix",0,{"utc_at":1768460400000,"uncertainty_ms":1}]',
)
SPAN = '{"stream_id":"ynoicv4oqjyxi","first":1,"last":2}'
RECEIPT = '{"output_id":"led","delivered":true}'
UNITS = (("temperature", "Cel"), ("humidity", "%RH"), ("pressure", "Pa"), ("voltage", "V"))

Family = Callable[[random.Random, int], str]


def many(items: list[str]) -> str:
    return "[" + ",".join(items) + "]"


def junk(source: random.Random, size: int) -> str:
    atoms = source.sample(ATOMS, source.randint(1, 3))
    total = max(1, size // sum(map(len, atoms)))
    return f'{ONE},"junk":' + many(atoms * total)


def names(source: random.Random, size: int) -> str:
    """Many fields that are ignored, in one table."""
    value = source.choice(ATOMS)
    return ONE + "".join(f',"{n}":{value}' for n in range(size // (len(value) + 6)))


def sensors(source: random.Random, size: int) -> str:
    series, rows = source.randint(1, 8), source.choice((1, 1, 2, 9))
    quantity, unit = source.choice(UNITS)
    one = f'["{quantity}","{unit}",{source.randrange(10)}]'
    data = ["0"] * rows + [source.choice(("1", "425", "9007199254740991"))] * (rows * series)
    extra = source.choice(("", ',"calibration":"b"', ',"statistic":"mean","span_s":1'))
    item = f'{{"sensor":"a","series":{many([one] * series)},"data":{many(data)}{extra}}}'
    total = min(NEW.sensors, NEW.series // series, max(1, size // len(item)))
    return '"sensors":' + many([item] * total)


def rows(source: random.Random, size: int) -> str:
    total = min(NEW.records, max(1, size // 4))
    value, step = source.choice(("1", "-5", "9007199254740991")), source.choice(("0", "9"))
    data = [step] * total + [value] * total
    counts = f',"counts":{many(["1"] * total)}' if source.randrange(2) else ""
    one = '["temperature","Cel",2]'
    return f'"sensors":[{{"sensor":"a","series":[{one}],"data":{many(data)}{counts}}}]'


def nulls(source: random.Random, size: int) -> str:
    """Each null needs a mark."""
    total = min(NEW.records, max(1, size // 30))
    order = list(range(total))
    if source.randrange(2):
        order.reverse()
    flags = source.choice(('"stuck"', '"jump","stuck"'))
    marks = [f'[0,{row},"bad",[{flags}]]' for row in order]
    one = '["temperature","Cel",2]'
    data = many(["0"] * total + ["null"] * total)
    marked = f'"marks":{many(marks)}'
    return f'"sensors":[{{"sensor":"a","series":[{one}],"data":{data},{marked}}}]'


def flags(source: random.Random, size: int) -> str:
    """One value, one mark, thousands of flags."""
    listed = many(['"' + source.choice(("stuck", "jump", "no_answer")) + '"'] * max(1, size // 8))
    one = '["temperature","Cel",2]'
    marked = f'"marks":[[0,0,"good",{listed}]]'
    return f'"sensors":[{{"sensor":"a","series":[{one}],"data":[0,1],{marked}}}]'


def events(source: random.Random, size: int) -> str:
    chosen = source.sample(EVENTS, source.randint(1, len(EVENTS)))
    total = min(NEW.events, max(1, size * len(chosen) // sum(map(len, chosen))))
    return '"events":' + many([chosen[n % len(chosen)] for n in range(total)])


def parts(source: random.Random, size: int) -> str:
    if source.randrange(2):
        spans = many([SPAN] * min(NEW.parts, max(1, size // len(SPAN))))
        return f'"events":[["held",0,{{"spans":{spans}}}]]'
    receipts = many([RECEIPT] * min(NEW.parts, max(1, size // len(RECEIPT))))
    alert = EVENTS[2].replace('"value"', f'"receipts":{receipts},"value"')
    return f'"events":[{alert}]'


def mixed(source: random.Random, size: int) -> str:
    """A bit of several families; JSON's last field of a name counts, so each has its own."""
    own = {"sensors": (sensors, rows, nulls), "events": (events, parts)}
    share = source.uniform(0.2, 0.8)
    chosen = [source.choice(own["sensors"]), source.choice(own["events"])]
    texts = [family(source, int(size * share / 2)) for family in chosen]
    return ",".join([*texts, junk(source, int(size * (1 - share))).removeprefix(ONE + ",")])


FAMILIES: tuple[Family, ...] = (
    junk, names, sensors, rows, nulls, flags, events, parts, mixed, mixed, mixed,
)  # fmt: skip


YARDSTICK = many(list(EVENTS) * 10)
YARDSTICK_S = 250e-6  # on the machine of docs/benches.md, with nothing else on it


def payload_of(document: str, level: int = 9) -> bytes:
    deflate = zlib.compressobj(level, zlib.DEFLATED, -15, zdict=wire.dictionary(1))
    return b"\x01" + deflate.compress(document.encode()) + deflate.flush()


def made(source: random.Random, size: int) -> tuple[str, bytes]:
    """A family's name, and a payload with a document of about so many bytes."""
    family = source.choice(FAMILIES)
    return family.__name__, payload_of("{" + HEAD + "," + family(source, size) + "}")


@dataclass(frozen=True)
class Cost:
    cpu_s: float
    is_block: bool


def cost_of(payload: bytes) -> Cost:
    """CPU time of one call of the decoder, on the thread's own clock."""
    began_s = time.thread_time()
    try:
        wire.decode(payload)
    except ContractError:
        return Cost(time.thread_time() - began_s, is_block=False)
    return Cost(time.thread_time() - began_s, is_block=True)


def least_cost_of(payload: bytes, limit_s: float, tries: int = 15) -> Cost:
    """The least of several measurements if the first is above the limit: others share the cores.

    Then in seconds of a core as fast as `YARDSTICK_S` says: clock rates of shared machines vary by
    more than two.
    """
    cost = cost_of(payload)
    if cost.cpu_s <= limit_s:
        return cost
    least_s = float("inf")
    for _ in range(tries):
        speed = speed_of_core()
        cost = cost_of(payload)
        least_s = min(least_s, cost.cpu_s * max(speed, speed_of_core()))
        if least_s <= limit_s:
            break
    return Cost(least_s, cost.is_block)


def speed_of_core() -> float:
    """How fast this core is just now, beside one that does the yardstick in `YARDSTICK_S`."""
    rounds = []
    for _ in range(4):
        began_s = time.thread_time()
        _yardstick()
        rounds.append(time.thread_time() - began_s)
    return YARDSTICK_S / min(rounds)


def _yardstick() -> int:
    """Fixed work of the interpreter, of the sort that a decoder does, without the decoder."""
    seen: dict[str, int] = {}
    for _, offset, table in json.loads(YARDSTICK):
        for name in table:
            seen[name] = seen.get(name, 0) + offset
    total = 0
    for number in range(4_000):
        total += number
    return total
