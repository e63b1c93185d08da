"""The registry on a real server and a real folder: once written, never another."""

import hashlib
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.errors import LakeMissing, SchemaOutdated
from cloud.registry import Alias, AliasRow, ModelRow, Registry, RegistryError, bundle_path, in_force
from cloud.warehouse.model_tables import DECISIONS

NEW_YEAR = 1_356_998_400_000  # 2013-01-01T00:00:00Z
DAY_MS = 86_400_000


def row_of(bundle, **changed):
    values = {
        "model": "frost-baseline",
        "version": "2013-01-01-1",
        "condition_id": "frost",
        "family": "baseline",
        "counter": 1,
        "created_at": NEW_YEAR + 1,
        "trained_from": NEW_YEAR - 90 * DAY_MS,
        "trained_to": NEW_YEAR,
        "dataset_version": "17",
        "code_version": "0.1.0",
        "parameters": '{"c":0.1, "class":"\N{DEGREE SIGN}"}',
        "seed": 2**53,
        "sha256": hashlib.sha256(bundle).hexdigest(),
        "size_bytes": len(bundle),
        "parity_max": 1e-7,
    }
    return ModelRow(**values | changed)


def alias_of(row, from_at=NEW_YEAR, alias=Alias.CHAMPION):
    return AliasRow(
        condition_id=row.condition_id,
        alias=alias,
        from_at=from_at,
        model=row.model,
        version=row.version,
    )


@pytest.fixture
def registry(warehouse, tmp_path):
    return Registry(warehouse, tmp_path / "registry")


@pytest.fixture
def recorded(registry):
    """Puts and records a version; its number is its counter, its bundle's bytes tell it too."""

    def record(counter, condition_id="frost"):
        bundle = f"{condition_id} {counter}".encode()
        registry.put(bundle)
        row = row_of(bundle, counter=counter, version=f"v{counter}", condition_id=condition_id)
        row = replace(row, model=condition_id)
        registry.record(row)
        return row

    return record


@pytest.mark.services
def test_a_bundle_is_kept_under_its_sha256_and_may_come_again(registry, tmp_path):
    sha256 = registry.put(b"bundle")
    path = bundle_path(tmp_path / "registry", sha256)
    assert path.name == hashlib.sha256(b"bundle").hexdigest() + ".dwb"
    before = path.stat()
    assert registry.put(b"bundle") == sha256
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert registry.bundle_bytes(sha256) == path.read_bytes() == b"bundle"
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    with pytest.raises(LakeMissing):
        registry.bundle_bytes("0" * 64)


@pytest.mark.services
def test_a_damaged_file_is_told_and_not_taken_for_the_bundle(registry, tmp_path):
    sha256 = registry.put(b"bundle")
    bundle_path(tmp_path / "registry", sha256).write_bytes(b"bundlf")
    for call in (lambda: registry.put(b"bundle"), lambda: registry.bundle_bytes(sha256)):
        with pytest.raises(RegistryError, match="damaged"):
            call()


@pytest.mark.services
def test_a_model_comes_out_as_it_went_in_and_may_come_again(registry):
    row = row_of(b"bundle")
    with pytest.raises(LakeMissing):
        registry.record(row)
    assert registry.find(row.model, row.version) is None
    registry.put(b"bundle")
    registry.record(row)
    registry.record(row)
    assert registry.models() == (row,)
    assert registry.find(row.model, row.version) == row


@pytest.mark.services
def test_a_recorded_version_never_changes_and_no_counter_is_used_twice(registry):
    row = row_of(b"bundle")
    registry.put(b"bundle")
    registry.record(row)
    for other in (
        replace(row, seed=1),
        replace(row, counter=2),
        replace(row, version="2013-01-01-2"),  # the counter is the first's
    ):
        with pytest.raises(RegistryError, match="recorded with other values"):
            registry.record(other)
    with pytest.raises(RegistryError, match="size_bytes"):
        registry.record(replace(row, version="3", counter=3, size_bytes=1))
    assert registry.models() == (row,)


@pytest.mark.services
def test_counters_grow_per_condition(registry, recorded):
    assert registry.next_counter("frost") == 1
    recorded(1)
    recorded(7)
    assert registry.next_counter("frost") == 8
    assert registry.next_counter("mould") == 1


@pytest.mark.services
def test_the_champion_is_the_latest_that_began(registry, recorded):
    one, two = recorded(1), recorded(2)
    registry.set_alias(alias_of(one, NEW_YEAR))
    registry.set_alias(alias_of(two, NEW_YEAR + DAY_MS))
    registry.set_alias(alias_of(recorded(3), NEW_YEAR + 1, Alias.CHALLENGER))
    registry.set_alias(alias_of(recorded(1, "mould"), NEW_YEAR + 2))
    assert registry.champion_at("frost", NEW_YEAR - 1) is None
    assert registry.champion_at("frost", NEW_YEAR) == one
    assert registry.champion_at("frost", NEW_YEAR + DAY_MS - 1) == one
    assert registry.champion_at("frost", NEW_YEAR + DAY_MS) == two
    assert registry.champion_at("heat", NEW_YEAR + DAY_MS) is None
    named = [(r.condition_id, r.version, r.from_at - NEW_YEAR) for r in registry.champions()]
    assert named == [("frost", "v1", 0), ("frost", "v2", DAY_MS), ("mould", "v1", 2)]
    assert len(registry.aliases()) == 4


@pytest.mark.services
def test_an_alias_may_be_set_again_and_never_rewritten(registry, recorded):
    one, two = recorded(1), recorded(2)
    registry.set_alias(alias_of(one))
    registry.set_alias(alias_of(one))
    with pytest.raises(RegistryError, match="already frost v1"):
        registry.set_alias(alias_of(two))
    with pytest.raises(RegistryError, match="not recorded for mould"):
        registry.set_alias(replace(alias_of(two), condition_id="mould"))
    with pytest.raises(RegistryError, match="frost v9 is not recorded"):
        registry.set_alias(replace(alias_of(two), version="v9"))
    assert registry.champions() == (alias_of(one),)


@pytest.mark.services
def test_two_that_record_the_same_at_once_record_it_once(registry):
    registry.put(b"bundle")
    rows = [row_of(b"bundle"), row_of(b"bundle"), row_of(b"bundle", version="other")]
    outcomes = []

    def record(row):
        try:
            registry.record(row)
        except RegistryError:
            outcomes.append("refused")
        else:
            outcomes.append("recorded")

    threads = [threading.Thread(target=record, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(registry.models()) == 1
    assert len(outcomes) == 3
    assert "refused" in outcomes


@pytest.mark.services
def test_decisions_are_read_oldest_first(registry, warehouse):
    bare = {"event_weeks": 3, "windows_total": 90, "decision": "insufficient_evidence"}
    bare |= {"reason": "3 weeks with events, 8 are needed", "condition_id": "frost"}
    with warehouse.begin() as connection:
        for at in (NEW_YEAR + DAY_MS, NEW_YEAR):
            connection.execute(DECISIONS.insert(), bare | {"cycle_at": at})
    assert [d.cycle_at for d in registry.decisions()] == [NEW_YEAR, NEW_YEAR + DAY_MS]
    assert registry.decisions()[0].skill is None


@pytest.mark.services
def test_an_old_schema_is_told_with_what_to_do(empty, tmp_path):
    with pytest.raises(SchemaOutdated, match="warehouse migrate"):
        Registry(empty, tmp_path / "registry").models()


ROWS = st.lists(st.integers(0, 50), unique=True).map(
    lambda times: [
        AliasRow(
            condition_id="frost", alias=Alias.CHAMPION, from_at=t, model="frost", version=f"v{t}"
        )
        for t in times
    ]
)


@given(ROWS, st.integers(-1, 51))
def test_in_force_is_the_nearest_begin_not_after(rows, at):
    found = in_force(rows, "frost", at)
    begun = sorted(r.from_at for r in rows if r.from_at <= at)
    assert (found.from_at if found else None) == (begun[-1] if begun else None)
    assert in_force(rows, "mould", at) is None
