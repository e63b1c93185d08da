"""SlotStore on a real folder: what survives, what is refused, what is tidied away."""

import hashlib
import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bundles.slot_store import Slot, SlotStore
from edge.errors import SlotsUnavailable, UpdateRefused

CONTENTS = [b"baseline", b"second", b"third"]
A, B, C = (hashlib.sha256(content).hexdigest() for content in CONTENTS)
CONTENT = dict(zip((A, B, C), CONTENTS, strict=True))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "models"


@pytest.fixture
def slots(folder):
    return SlotStore(folder)


def put(slots, sha256):
    """As the updates thread does with a verified part."""
    slots.part(sha256).write_bytes(CONTENT[sha256])
    slots.stage(sha256)


def files(folder):
    return {p.name for p in folder.glob("*/*")}


def test_nothing_is_there_at_first_and_looking_makes_nothing(slots, folder):
    assert slots.slot("damp") is None
    assert slots.current("damp") is None
    assert slots.revert("damp") is None
    assert slots.desired_counter == 0
    assert not slots.whole(A)
    slots.collect(())
    assert not folder.exists()


def test_what_was_swapped_in_is_there_after_a_restart(slots, folder):
    put(slots, A)
    assert slots.current("damp") is None  # staged is not current
    slots.swap("damp", A, 1)
    put(slots, B)
    slots.swap("damp", B, 2)
    put(slots, C)
    slots.swap("frost", C, 7)
    slots.take_desired(12)
    again = SlotStore(folder)
    assert again.slot("damp") == Slot(condition_id="damp", current=B, previous=A, counter=2)
    assert again.slot("frost") == Slot(condition_id="frost", current=C, counter=7)
    assert again.desired_counter == 12
    assert again.current("damp").read_bytes() == b"second"
    assert again.whole(A)
    assert list((folder / "part").iterdir()) == []


def test_the_same_bundle_again_keeps_the_previous_one(slots):
    for counter, sha256 in ((1, A), (2, B), (2, B), (3, B)):
        put(slots, sha256)
        slot = slots.swap("damp", sha256, counter)
    assert (slot.current, slot.previous, slot.counter) == (B, A, 3)


def test_an_older_counter_is_refused_even_after_a_revert(slots, folder):
    for counter, sha256 in ((4, A), (5, B)):
        put(slots, sha256)
        slots.swap("damp", sha256, counter)
    put(slots, C)
    with pytest.raises(UpdateRefused, match="counter 4 is not above 5") as refused:
        slots.swap("damp", C, 4)
    assert refused.value.code == "old_counter"
    assert slots.revert("damp") == slots.path(A)
    with pytest.raises(UpdateRefused):
        slots.swap("damp", C, 4)
    slots.collect(())
    assert not slots.whole(C)  # a refused one is nobody's
    put(slots, C)
    slots.swap("frost", C, 4)  # counters are per condition
    assert SlotStore(folder).slot("damp") == Slot(
        condition_id="damp", current=A, previous=B, counter=5
    )


def test_reverting_twice_is_where_it_began_and_the_failed_one_may_come_again(slots):
    put(slots, A)
    slots.swap("damp", A, 1)
    assert slots.revert("damp") is None  # there is nothing before it
    assert slots.slot("damp").current == A
    put(slots, B)
    slots.swap("damp", B, 2)
    assert slots.revert("damp") == slots.path(A)
    assert slots.revert("damp") == slots.path(B)
    slots.revert("damp")
    assert slots.swap("damp", B, 2).previous == A


def test_a_file_that_is_not_there_is_never_named(slots):
    with pytest.raises(UpdateRefused, match=f"bundles/{A}.dwb does not exist") as refused:
        slots.swap("damp", A, 1)
    assert refused.value.code == "missing"
    assert slots.current("damp") is None


def test_a_file_with_a_changed_byte_is_not_whole_and_staging_mends_it(slots):
    put(slots, A)
    slots.path(A).write_bytes(b"baselinf")
    assert not slots.whole(A)
    put(slots, A)
    assert slots.whole(A)
    slots.stage(A)  # without a part: it is there already
    assert slots.whole(A)


def test_only_what_nobody_needs_is_tidied_away(slots, folder):
    put(slots, A)
    slots.swap("damp", A, 1)
    put(slots, B)
    slots.swap("damp", B, 2)
    put(slots, C)  # staged: the sense loop has not come to it yet
    slots.part("d" * 64).write_bytes(b"wanted")
    slots.part("e" * 64).write_bytes(b"no longer wanted")
    (folder / "bundles" / "notes.txt").write_text("a person's")
    kept = {f"{A}.dwb", f"{B}.dwb", f"{C}.dwb", f"{'d' * 64}.part", "notes.txt"}
    slots.collect({"d" * 64})
    assert files(folder) == kept
    slots.swap("damp", C, 3)
    slots.collect(())
    assert files(folder) == {f"{B}.dwb", f"{C}.dwb", "notes.txt"}


def test_what_was_staged_before_a_restart_is_tidied_unless_it_is_desired(slots, folder):
    put(slots, A)
    put(slots, B)
    SlotStore(folder).collect({B})
    assert files(folder) == {f"{B}.dwb"}


DAMAGED = {
    "empty": b"",
    "zeros": bytes(200),
    "not JSON": b"{",
    "another form": b"[]",
    "a path for a digest": json.dumps(
        {"slots": [{"condition_id": "damp", "current": "../../x", "counter": 1}]}
    ).encode(),
    "no counter": json.dumps({"slots": [{"condition_id": "damp", "current": A}]}).encode(),
    "a negative counter": b'{"desired_counter": -1}',
    "nested too deeply": b"[" * 200_000,
    "not UTF-8": b'{"\xff": 1}',
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_kept_and_all_begins_anew(folder, name, caplog):
    put(SlotStore(folder), A)
    (folder / "slots.json").write_bytes(DAMAGED[name])
    slots = SlotStore(folder)
    assert slots.slot("damp") is None
    assert (folder / "slots.json.corrupt").read_bytes() == DAMAGED[name]
    assert "renamed to slots.json.corrupt" in caplog.text
    assert slots.whole(A)  # so that nothing need be fetched again
    slots.swap("damp", A, 1)
    assert SlotStore(folder).slot("damp").current == A


def test_what_a_newer_program_adds_is_no_damage(folder):
    folder.mkdir()
    (folder / "slots.json").write_text('{"desired_counter": 3, "colour": "blue"}')
    assert SlotStore(folder).desired_counter == 3


def test_a_folder_that_cannot_be_made_or_written(tmp_path, disk):
    nowhere = SlotStore(tmp_path / "no" / "where")
    with pytest.raises(SlotsUnavailable, match="No such file"):
        nowhere.part(A)
    slots = SlotStore(tmp_path / "models")
    put(slots, A)
    disk.refuse()
    for attempt in (lambda: slots.swap("damp", A, 1), lambda: slots.take_desired(1)):
        with pytest.raises(SlotsUnavailable, match="too large") as refused:
            attempt()
        assert refused.value.retryable
    disk.take()
    assert slots.current("damp") is None
    assert slots.desired_counter == 0
    slots.swap("damp", A, 1)
    assert SlotStore(tmp_path / "models").slot("damp").current == A


def test_a_place_that_holds_something_else_is_set_aside(folder):
    (folder / "slots.json").mkdir(parents=True)
    slots = SlotStore(folder)
    put(slots, A)
    slots.swap("damp", A, 1)
    assert SlotStore(folder).slot("damp").current == A


def test_the_steps_of_a_swap_are_told_in_their_order(folder):
    steps = []
    slots = SlotStore(folder, steps.append)
    slots.part(A).write_bytes(CONTENT[A])
    slots.stage(A)
    slots.swap("damp", A, 1)
    assert steps == [
        *("part_synced", "part_renamed", "part_staged"),
        *("swap_written", "swap_synced", "swap_renamed", "swap_done"),
    ]


def test_two_threads_lose_nothing_of_each_other(slots, folder):
    for sha256 in (A, B):
        put(slots, sha256)

    def desire():
        for counter in range(1, 31):
            slots.take_desired(counter)

    thread = threading.Thread(target=desire)
    thread.start()
    for counter in range(1, 31):
        slots.swap("damp", (A, B)[counter % 2], counter)
    thread.join(60)
    again = SlotStore(folder)
    assert (again.desired_counter, again.slot("damp").counter) == (30, 30)


MOVES = st.lists(st.tuples(st.sampled_from([A, B, C]), st.integers(1, 6)), max_size=12)


@settings(max_examples=30)
@given(moves=MOVES, reverts=st.sets(st.integers(0, 11)))
def test_law_the_file_on_the_disk_says_what_the_memory_says(tmp_path_factory, moves, reverts):
    """Also: a counter never falls, and what a slot names is always there."""
    folder = tmp_path_factory.mktemp("law") / "models"
    slots, highest = SlotStore(folder), 0
    for index, (sha256, counter) in enumerate(moves):
        put(slots, sha256)
        try:
            slots.swap("damp", sha256, counter)
        except UpdateRefused:
            assert counter <= highest
        else:
            assert counter >= highest
            highest = counter
        if index in reverts:
            slots.revert("damp")
        slots.collect(())
        again = SlotStore(folder)
        assert again.slot("damp") == slots.slot("damp")
        assert again.slot("damp").counter == highest
        assert all(again.whole(s) for s in (again.slot("damp").current,))
        previous = again.slot("damp").previous
        assert previous is None or again.whole(previous)
