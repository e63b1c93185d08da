"""Updates against a real web server and the real trial process: what arrives, what never does."""

import logging
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from contract.records import ModelReport
from edge.bundles.slot_store import SlotStore
from edge.bundles.updates import Refused, Staged, Updates
from edge.configuration.config import ModelsConfig
from models.conditions import Condition

DEVICE = "gw-1"


class Gateway:
    """Updates, and what the sense loop would do with their news."""

    def __init__(self, folder, web, bundles, conditions):
        self.folder, self.told, self.steps = folder, [], []
        config = ModelsConfig(
            url=web.url + "/",
            folder=str(folder),
            trusted_keys=(str(bundles.key),),
            retry_max_s=0.1,
            verify_timeout_s=60.0,
        )
        self.slots = SlotStore(folder, self.steps.append)
        self.updates = Updates(DEVICE, conditions, config, self.slots, bundles.signer.trusted())
        self.updates.start()

    def news(self):
        """What has been told so far, after swapping in what was staged."""
        for news in self.updates.take():
            self.told.append(news)
            if isinstance(news, Staged):
                self.slots.swap(news.condition_id, news.sha256, news.counter)
        return self.told


@dataclass
class Site:
    """A gateway and what is around it."""

    folder: Path
    web: object
    bundles: object
    damp: Condition
    frost: Condition
    running: Gateway | None = None

    def start(self):
        """A new gateway on the same folder; the one before is stopped."""
        self.stop()
        conditions = (self.damp, self.frost)
        self.running = Gateway(self.folder, self.web, self.bundles, conditions)
        return self.running

    def stop(self):
        if self.running is not None:
            self.running.updates.stop()

    def publish(self, *made):
        for one in made:
            self.web.files[f"/bundles/{one.sha256}.dwb"] = one.data

    def make(self, *args, **keys):
        return self.bundles.make(*(args or (self.damp,)), **keys)

    def desired(self, *made, **keys):
        return self.bundles.desired(made, **keys)


@pytest.fixture
def wait_until(wait_until):
    """The trial runs at the lowest priority: on a busy machine it may take its time."""
    return lambda condition: wait_until(condition, 120.0)


@pytest.fixture
def site(tmp_path, web, bundles, damp, frost):
    site = Site(tmp_path / "models", web, bundles, damp, frost)
    yield site
    site.stop()


def test_what_is_desired_is_fetched_tried_and_staged(site, wait_until):
    made = [site.make(), site.make(site.frost, version="7", counter=3)]
    site.publish(*made)
    one = site.start()
    one.updates.offer(site.desired(*made))
    wait_until(lambda: len(one.news()) == 2)
    assert one.told == [
        Staged(condition_id="damp", model="m-damp", version="1", sha256=made[0].sha256, counter=1),
        Staged(
            condition_id="frost", model="m-frost", version="7", sha256=made[1].sha256, counter=3
        ),
    ]
    assert one.slots.current("damp").read_bytes() == made[0].data
    assert one.slots.desired_counter == 1
    assert [path for path, _ in site.web.asked] == [f"/bundles/{m.sha256}.dwb" for m in made]


def test_the_same_told_again_does_nothing_before_and_after_a_restart(site, wait_until):
    made = site.make()
    site.publish(made)
    payload = site.desired(made)
    one = site.start()
    one.updates.offer(payload)
    one.updates.offer(payload)
    wait_until(one.news)
    two = site.start()
    two.updates.offer(payload)
    time.sleep(0.3)
    assert (len(one.news()), two.news()) == (1, [])
    assert len(site.web.asked) == 1
    assert two.steps == []


def test_a_bundle_whose_file_was_damaged_is_fetched_again(site, wait_until):
    made = site.make()
    site.publish(made)
    one = site.start()
    one.updates.offer(site.desired(made))
    wait_until(one.news)
    path = one.slots.current("damp")
    path.write_bytes(made.data[:-1] + b"\xff")
    two = site.start()
    two.updates.offer(site.desired(made))
    wait_until(two.news)
    assert path.read_bytes() == made.data


def test_a_model_is_replaced_and_the_one_before_the_previous_is_tidied_away(site, wait_until):
    made = [site.make(version=str(n), counter=n) for n in (1, 2, 3)]
    site.publish(*made)
    one = site.start()
    for number, bundle in enumerate(made, 1):
        one.updates.offer(site.desired(bundle, counter=number))
        wait_until(lambda n=number: len(one.news()) == n)
    one.updates.offer(site.desired(made[2], counter=4))
    wait_until(lambda: "collected" in one.steps)
    kept = {p.stem for p in (one.folder / "bundles").iterdir()}
    assert kept == {made[1].sha256, made[2].sha256}
    slot = one.slots.slot("damp")
    assert (slot.current, slot.previous) == (made[2].sha256, made[1].sha256)


# --- the network ---------------------------------------------------------------------------------


def test_a_thin_line_that_breaks_off_gets_there_piece_by_piece(site, wait_until):
    made = site.make()
    site.publish(made)
    site.web.cut_bytes = len(made.data) // 3
    one = site.start()
    one.updates.offer(site.desired(made))
    wait_until(one.news)
    begins = list(range(0, len(made.data), site.web.cut_bytes))
    assert [begin for _, begin in site.web.asked] == begins
    assert isinstance(one.told[0], Staged)


def test_a_fetch_goes_on_after_a_restart(site, wait_until):
    made = site.make()
    site.web.files[f"/bundles/{made.sha256}.dwb"] = made.data
    site.web.cut_bytes = 1000
    one = site.start()
    one.updates.offer(site.desired(made))
    wait_until(lambda: len(site.web.asked) >= 2)
    one.updates.stop()
    seen, site.web.cut_bytes = len(site.web.asked), None
    two = site.start()
    two.updates.offer(site.desired(made))
    wait_until(two.news)
    assert site.web.asked[seen][1] >= 1000
    assert two.slots.whole(made.sha256)


def test_a_server_that_is_not_there_yet_is_asked_again(site, wait_until, caplog):
    made = site.make()
    one = site.start()
    one.updates.offer(site.desired(made))
    wait_until(lambda: len(site.web.asked) >= 3)
    assert one.news() == []
    site.publish(made)
    wait_until(one.news)
    said = [r.getMessage() for r in caplog.records if "HTTP 404" in r.getMessage()]
    assert len(said) == 1  # once, not at each attempt


def test_a_part_that_rotted_is_begun_anew(site, wait_until):
    """As after a power cut: the right length so far, the wrong bytes."""
    made = site.make()
    site.publish(made)
    one = site.start()
    one.slots.part(made.sha256).write_bytes(bytes(1000))
    one.updates.offer(site.desired(made))
    wait_until(one.news)
    assert [begin for _, begin in site.web.asked] == [1000, 0]
    assert isinstance(one.told[0], Staged)


def test_a_newer_desired_state_takes_the_place_of_the_one_being_fetched(site, wait_until):
    old = site.make(version="1", counter=1)
    new = site.make(version="2", counter=2)
    site.publish(new)  # the old one will never be there
    one = site.start()
    one.updates.offer(site.desired(old, counter=1))
    wait_until(lambda: len(site.web.asked) >= 2)
    one.updates.offer(site.desired(new, counter=2))
    wait_until(one.news)
    assert [news.version for news in one.told] == ["2"]
    asked = len(site.web.asked)
    time.sleep(0.3)
    assert len(site.web.asked) == asked


def test_one_that_cannot_be_had_does_not_keep_the_others(site, wait_until):
    made = [site.make(), site.make(site.frost)]
    site.publish(made[1])
    one = site.start()
    one.updates.offer(site.desired(*made))
    wait_until(one.news)
    assert [news.condition_id for news in one.told] == ["frost"]


def test_a_disk_that_is_full_is_tried_again(site, wait_until, disk):
    made = site.make()
    site.publish(made)
    one = site.start()
    disk.refuse()
    one.updates.offer(site.desired(made))
    time.sleep(0.5)
    assert one.news() == []
    disk.take()
    wait_until(one.news)
    assert isinstance(one.told[0], Staged)


def test_a_stop_does_not_wait_for_a_server(site, wait_until):
    made = site.make()
    site.publish(made)
    site.web.paused.clear()
    one = site.start()
    one.updates.offer(site.desired(made))
    wait_until(lambda: site.web.asked)
    began_s = time.monotonic()
    one.updates.stop()
    assert time.monotonic() - began_s < 10  # the server is silent for 30 s


# --- desired states that are refused -------------------------------------------------------------


def refused_states(site, made):
    good = site.desired(made)
    return {
        "not JSON": b"\xff",
        "nothing": b"{}",
        "for another device": site.desired(made, device="gw-2"),
        "signed by somebody": site.desired(made, signer=site.bundles.stranger),
        "changed on the way": good.replace(b"gw-1", b"gw-3"),
        "too long": good + b" " * 70_000,
        "an older counter": site.desired(made, counter=4),
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("not JSON", "bad_desired: desired state is not JSON"),
        ("nothing", "key 'desired' is missing"),
        ("for another device", "the desired state is for gw-2, this gateway is gw-1"),
        ("signed by somebody", "unknown_key: signed by key"),
        ("changed on the way", "bad_signature: the signature of key"),
        ("too long", "at most 65536"),
        ("an older counter", "counter 4 is below the accepted 5"),
    ],
)
def test_a_desired_state_that_is_refused_changes_nothing(site, wait_until, caplog, name, said):
    made = site.make()
    site.publish(made)
    one = site.start()
    one.updates.offer(site.desired(counter=5))
    wait_until(lambda: one.slots.desired_counter == 5)
    two = site.start()  # what was taken before a restart counts
    two.updates.offer(refused_states(site, made)[name])
    wait_until(lambda: two.updates.refused_total == 1)
    assert said in caplog.text
    assert (two.news(), site.web.asked) == ([], [])
    two.updates.offer(site.desired(made, counter=6))
    wait_until(two.news)
    assert isinstance(two.told[0], Staged)


# --- bundles that are refused --------------------------------------------------------------------


def test_a_refused_bundle_is_told_once_and_tried_again_only_when_something_else_is_desired(
    site, wait_until, caplog
):
    caplog.set_level(logging.INFO)
    bad = site.make(signer=site.bundles.stranger)
    later = site.make(site.frost)
    site.publish(bad)
    one = site.start()
    payload = site.desired(bad, later, counter=1)
    one.updates.offer(payload)
    wait_until(
        lambda: len([a for a in site.web.asked if later.sha256 in a[0]]) >= 3
    )  # passes go on
    one.updates.offer(payload)
    wait_until(lambda: len(site.web.asked) >= 8)
    assert len([a for a in site.web.asked if bad.sha256 in a[0]]) == 1
    (refused,) = one.news()
    assert isinstance(refused, Refused)
    assert refused.code == "unknown_key"
    assert not (one.folder / "part" / f"{bad.sha256}.part").exists()
    ModelReport(model="m", version="1", outcome="refused", reason=refused.reason)
    one.updates.offer(site.desired(bad, counter=2))
    wait_until(lambda: len(one.news()) == 2)
    assert one.told[1] == refused
    assert one.slots.current("damp") is None


def test_what_ran_before_goes_on_when_its_successor_is_refused(site, wait_until):
    """Every hostile bundle in turn: each with its own code, and the good one stays."""
    good = site.make(version="1", counter=5)
    hostile = {
        "bad_hash": site.make(version="2", counter=6),
        "wrong_size": site.make(version="3", counter=6),
        "unknown_key": site.make(version="4", counter=6, signer=site.bundles.stranger),
        "wrong_answer": site.make(version="5", counter=6, shift=1e-3),
        "old_counter": site.make(version="6", counter=4),
        "unsuitable": site.make(
            replace(site.damp, limit=site.damp.limit + 1), version="7", counter=6
        ),
    }
    site.publish(good, *hostile.values())
    flipped, short = hostile["bad_hash"], hostile["wrong_size"]
    middle = len(flipped.data) // 2
    site.web.files[f"/bundles/{flipped.sha256}.dwb"] = (
        flipped.data[:middle] + bytes([flipped.data[middle] ^ 1]) + flipped.data[middle + 1 :]
    )
    site.web.files[f"/bundles/{short.sha256}.dwb"] = short.data[:middle]
    one = site.start()
    one.updates.offer(site.desired(good, counter=1))
    wait_until(one.news)
    for counter, (code, made) in enumerate(hostile.items(), 2):
        one.updates.offer(site.desired(made, counter=counter))
        wait_until(lambda n=counter: len(one.news()) == n)
        assert one.told[-1].code == code, one.told[-1]
        assert one.slots.slot("damp").current == good.sha256
        assert one.slots.whole(good.sha256)
    reasons = [news.reason for news in one.told[1:]]
    assert len(set(reasons)) == len(hostile)
    assert all(reason.isprintable() and len(reason) <= 200 for reason in reasons)
    assert not list((one.folder / "part").iterdir())


def test_a_condition_that_is_not_declared_here(site, wait_until):
    made = site.make(replace(site.damp, id="elsewhere"))
    site.publish(made)
    one = site.start()
    one.updates.offer(site.desired(made))
    wait_until(one.news)
    assert one.told[0].reason == "unsuitable: this gateway declares no condition elsewhere"
    assert site.web.asked == []


def test_one_that_was_reverted_from_may_come_again(site, wait_until):
    made = [site.make(version=str(n), counter=n) for n in (1, 2)]
    other = site.make(version="3", counter=2)
    site.publish(*made, other)
    one = site.start()
    for number, bundle in enumerate(made, 1):
        one.updates.offer(site.desired(bundle, counter=number))
        wait_until(lambda n=number: len(one.news()) == n)
    one.slots.revert("damp")
    two = site.start()
    two.updates.offer(site.desired(made[1], counter=2))
    wait_until(two.news)
    assert two.slots.slot("damp").current == made[1].sha256
    assert len(site.web.asked) == 2  # it was still there
    two.updates.offer(site.desired(other, counter=3))
    wait_until(lambda: len(two.news()) == 2)
    assert two.told[1].code == "old_counter"


def test_the_gateways_process_needs_no_numpy_for_all_this():
    """A gateway that waits for its first model stays small."""
    script = (
        "import sys, edge.bundles.updates; "
        "print([m for m in ('numpy', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "[]"
