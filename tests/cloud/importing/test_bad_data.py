"""Data of the bad kind: the run ends, the reason is counted, and everything else is stored."""

import random

from cloud.plausible import NOTHING_SET_ASIDE, set_aside
from contract.wire import decode
from tests.cloud.importing.plain_mapping import NOW, ROOM

LONG = ROOM.replace('id = "store"', 'column = "device"')
NEW_YEAR = 1_704_067_200  # 2024-01-01T00:00:00Z, seconds
SECONDS = LONG.replace('zone = "UTC"', 'format = "epoch_s"')


def rows(*items):
    return "time,device,temp\n" + "".join(f"{at},{device},{value}\n" for at, device, value in items)


def told(outcome):
    return {r.reason: r.total for r in outcome.refused}


def test_a_year_in_the_future_is_refused_and_nothing_is_set_aside_later(
    lake, run, file_of, mapping_of
):
    """The projections would set such readings aside; an import does not even write them."""
    now = NOW // 1000
    at = [now - 60, now + 86_399, now + 86_401, now + 365 * 86_400, 0, 2**40, -(2**40)]
    outcome = run(file_of(rows(*((t, "gw-1", 1) for t in at))), mapping_of(SECONDS))
    assert (told(outcome), outcome.readings) == ({"implausible_time": 5}, 2)
    for file in lake.files():
        for landed in file.blocks:
            assert set_aside(decode(landed.payload), landed.received_at) == NOTHING_SET_ASIDE


def test_a_time_that_no_calendar_has_is_refused(run, file_of, mapping_of):
    at = [10**18, 10**30, "1e400", -(10**18)]
    outcome = run(file_of(rows(*((t, "gw-1", 1) for t in at))), mapping_of(SECONDS))
    assert outcome.readings == 0
    assert sum(told(outcome).values()) == 4


def test_a_device_that_lies_harms_no_other(lake, run, file_of, mapping_of):
    lies = [(NEW_YEAR + n, "liar", v) for n, v in enumerate(["1e30", "NaN", 400, -400, "", "on"])]
    truth = [(NEW_YEAR + n, "gw-1", n) for n in range(100)]
    outcome = run(file_of(rows(*lies, *truth)), mapping_of(SECONDS))
    found = lake.readings()
    assert len([r for r in found if r[0] == "gw-1"]) == 100
    assert {r[4] for r in found if r[0] == "liar"} == {"bad"}
    assert told(outcome) == {"too_large": 1, "not_a_number": 2}


def test_the_same_key_with_another_value_keeps_the_first(lake, run, file_of, mapping_of):
    items = [(NEW_YEAR + n, "gw-1", n) for n in range(100)]
    again = [(NEW_YEAR + n, "gw-1", n + (n % 2)) for n in range(100)]
    outcome = run(file_of(rows(*items, *again)), mapping_of(SECONDS))
    assert told(outcome) == {"repeated": 50, "conflict": 50}
    found = {(r[2] // 1000 - NEW_YEAR, r[3]) for r in lake.readings()}
    assert found == {(n, float(n)) for n in range(100)}


def test_a_column_of_nulls_is_missing_and_no_fault(run, file_of, mapping_of):
    mapping = mapping_of(SECONDS + '[[value]]\ncolumn = "hum"\nquantity = "humidity"\n')
    text = "time,device,temp,hum\n" + "".join(f"{NEW_YEAR + n},gw-1,{n},\n" for n in range(100))
    outcome = run(file_of(text), mapping)
    assert (outcome.readings, outcome.missing, outcome.refused) == (100, 100, ())


def test_one_device_with_nine_tenths_of_the_rows(lake, run, file_of, mapping_of):
    dice = random.Random(1)
    devices = ["big" if dice.random() < 0.9 else f"gw-{dice.randrange(50)}" for _ in range(60_000)]
    items = [(NEW_YEAR + n, device, 1 + n % 7) for n, device in enumerate(devices)]
    outcome = run(file_of(rows(*items)), mapping_of(SECONDS))
    assert outcome.readings == 60_000
    assert outcome.refused == ()
    streams = {(b[0], b[1]) for b in lake.blocks()}
    assert len(streams) == len(set(devices))
    for device, stream in streams:
        numbers = [(b[2], b[3]) for b in lake.blocks() if b[:2] == (device, stream)]
        assert [first for first, _ in numbers] == [1, *(last + 1 for _, last in numbers[:-1])]


def test_jitter_and_disorder_lose_nothing(lake, run, file_of, mapping_of):
    dice = random.Random(2)
    items = [(NEW_YEAR + 60 * n + dice.randrange(60), "gw-1", n % 9) for n in range(30_000)]
    dice.shuffle(items)
    outcome = run(file_of(rows(*items)), mapping_of(SECONDS))
    assert (outcome.readings, outcome.refused) == (30_000, ())
    found = sorted((r[2] // 1000, "gw-1", int(r[3])) for r in lake.readings())
    assert found == sorted(items)


def test_a_file_that_is_cut_off_keeps_its_whole_rows(run, file_of, mapping_of):
    text = rows(*((NEW_YEAR + n, "gw-1", n) for n in range(10)))[:-12]
    outcome = run(file_of(text), mapping_of(SECONDS))
    assert outcome.readings in (9, 10)
    assert sum(told(outcome).values()) + outcome.readings <= 10
