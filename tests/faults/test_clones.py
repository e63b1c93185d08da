"""A restored outbox and a cloned card: nothing is overwritten, nothing dropped, a fork is told."""

import shutil

import pytest

pytestmark = [pytest.mark.broker, pytest.mark.services]


def test_an_old_copy_is_started_again(small_site, wait_until):
    cloud = small_site.cloud
    gateway = small_site.gateway("gw-1")
    gateway.start()  # nothing ingests yet: the outbox fills
    wait_until(lambda: gateway.committed.records > 200, 30, "some records")
    gateway.kill()
    _copy_outbox(gateway.folder, small_site.folder / "backup")
    cloud.start("ingest", "run")
    cloud.start("ledger", "follow")
    gateway.start()
    wait_until(lambda: len({s for s, _, _ in gateway.committed.spans}) == 2, 30, "a second run")
    wait_until(lambda: gateway.committed.records > 600, 30, "it runs on")
    gateway.stop()
    _copy_outbox(small_site.folder / "backup", gateway.folder)  # the backup is restored
    gateway.start()
    restored_at = gateway.committed.records
    wait_until(lambda: gateway.committed.records > restored_at + 200, 30, "the old copy runs")
    gateway.stop()

    _assert_all_stored_once(small_site, wait_until, [gateway])
    ledger = small_site.ledger()
    assert ledger["totals"]["forks"] >= 1
    assert ledger["totals"]["repeated"] >= 1  # the blocks that the backup still held came again
    # stored beats declared lost: what the restored copy's successor could not know is not a loss
    assert ledger["totals"]["lost"] == 0


def test_two_copies_at_once_under_one_name(small_site, wait_until):
    cloud = small_site.cloud
    first = small_site.gateway("gw-2", name="card")
    first.start()
    wait_until(lambda: first.committed.records > 200, 30, "some records")
    first.kill()
    second = small_site.gateway("gw-2", name="clone")
    _copy_outbox(first.folder, second.folder)
    cloud.start("ingest", "run")
    cloud.start("ledger", "follow")
    first.start()
    second.start()  # the same client id: each evicts the other
    wait_until(lambda: first.committed.records > 700, 60, "the card runs on")
    wait_until(lambda: second.committed.records > 500, 60, "the clone runs on")
    first.stop()
    second.stop()

    _assert_all_stored_once(small_site, wait_until, [first, second])
    assert small_site.ledger()["totals"]["forks"] >= 1
    for copy in (first, second):  # the broker was up all the time: they did evict each other
        assert (copy.folder / "log").read_text().count("uplink: connected") > 1


def _copy_outbox(source, target) -> None:
    target.mkdir(exist_ok=True)
    for suffix in ("", "-wal", "-shm"):
        (target / f"outbox.db{suffix}").unlink(missing_ok=True)
        if (source / f"outbox.db{suffix}").exists():
            shutil.copy(source / f"outbox.db{suffix}", target / f"outbox.db{suffix}")


def _assert_all_stored_once(site, wait_until, gateways) -> None:
    device = gateways[0].device
    spans = [span for gateway in gateways for span in gateway.committed.spans]

    def complete() -> bool:
        keys = site.lake_keys()
        return all(set(range(f, n + 1)) <= keys.get((device, s), set()) for s, f, n in spans)

    wait_until(complete, 60, "every committed record in the lake")
    site.cloud.wait_projected(("ledger",), 60)
    totals = site.ledger()["totals"]
    assert (totals["unexplained"], totals["doubled"]) == (0, 0)
