"""The quarantine on a real server."""

import json
import zlib
from dataclasses import replace

import pytest

from cloud.instants import LAST_INSTANT
from cloud.projections import quarantine_limit
from cloud.projections.quarantine import SEARCH_REFUSED, Quarantine, QuarantineProjection
from cloud.search.bulk import RefusedDocument
from contract.document import document_of
from contract.limits import NEW
from contract.records import ClockFix
from contract.wire import MAX_PAYLOAD_BYTES, encode, inflate

pytestmark = pytest.mark.services


class Clock:
    def utc_ms(self):
        return 1_356_998_400_000

    def monotonic_ms(self):
        return 0


@pytest.fixture
def quarantine(warehouse):
    return Quarantine(warehouse, Clock())


@pytest.fixture
def projection(quarantine):
    return QuarantineProjection(quarantine)


def everything(quarantine):
    return list(quarantine.items(as_of=LAST_INSTANT))


def deflated(document):
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return b"\x01" + deflate.compress(json.dumps(document).encode()) + deflate.flush()


def test_a_readable_block_stays_out(quarantine, projection, gateway):
    projection.apply([gateway.file(gateway.start("a"), gateway.readings("a", 2, 9))])
    assert everything(quarantine) == []


def test_a_block_that_ingest_could_not_read_and_we_can_stays_out(quarantine, projection, gateway):
    projection.apply([gateway.file(payloads=(encode(gateway.start("a")),))])
    assert everything(quarantine) == []


def with_sensors(gateway, total):
    document = document_of(gateway.readings("a", 1, 2))
    return deflated(document | {"sensors": document["sensors"] * total})


def test_a_new_block_beyond_the_limits_is_kept(quarantine, projection, gateway):
    projection.apply([gateway.file(payloads=(with_sensors(gateway, NEW.sensors + 1),))])
    (item,) = everything(quarantine)
    assert item.code == "bad_size"
    assert f"{NEW.sensors + 1} sensors, at most {NEW.sensors}" in item.reason


def test_an_old_block_beyond_the_limits_stays_out(quarantine, projection, gateway):
    """The lake accepted it before there were limits: it has a stream."""
    file = gateway.file(payloads=(with_sensors(gateway, NEW.sensors + 1),))
    (block,) = file.blocks
    old = replace(block, stream_id="aaaaaaaaaaaaa", first=1, last=2 * (NEW.sensors + 1))
    projection.apply([replace(file, blocks=(old,))])
    assert everything(quarantine) == []


def test_garbage_is_kept_byte_by_byte_with_the_reason_and_the_place(
    quarantine, projection, gateway
):
    bodies = (b"", b"\x00\xff" * 50, b"\x01garbage", b"\x01" + bytes(MAX_PAYLOAD_BYTES))
    file = gateway.file(gateway.start("a"), payloads=bodies)
    projection.apply([file])
    found = everything(quarantine)
    assert {i.payload for i in found} == set(bodies)
    assert {i.code for i in found} == {"empty", "bad_dictionary", "bad_deflate", "bad_size"}
    assert {i.position for i in found} == {file.position}
    assert {i.topic for i in found} == {"dewline/v1/ewr-01/up/live"}
    assert quarantine.totals(as_of=LAST_INSTANT) == tuple(sorted((i.code, 1) for i in found))


def test_a_newer_schema_is_kept_for_a_newer_decoder(quarantine, projection, gateway):
    block = gateway.readings("a", 1, 8)
    newer = deflated(document_of(block) | {"schema": 99})
    projection.apply([gateway.file(payloads=(newer,))])
    (item,) = everything(quarantine)
    assert (item.code, json.loads(inflate(item.payload))["schema"]) == ("bad_schema", 99)
    assert "99" in item.reason


def test_the_earliest_delivery_stays_whatever_the_order(quarantine, projection, gateway):
    files = [gateway.file(payloads=(b"junk",), node=f"node-{i}") for i in range(3)]
    for file in (files[1], files[0], files[2], files[0]):
        projection.apply([file])
    (item,) = everything(quarantine)
    assert (item.position, item.received_at) == (
        files[0].position,
        files[0].blocks[0].received_at,
    )


def test_a_document_that_search_refuses_is_kept_under_its_key(quarantine):
    for _ in range(2):
        key = "ewr-01:aaaaaaaaaaaaa:7"
        quarantine.put([RefusedDocument(key, "ewr-01", "mapper: no\x1b[31m field", "{}")])
    (item,) = everything(quarantine)
    assert (item.code, item.record_key, item.payload) == (
        SEARCH_REFUSED,
        "ewr-01:aaaaaaaaaaaaa:7",
        b"{}",
    )
    assert item.reason == "mapper: no?[31m field"
    assert item.position is None


def test_only_what_had_been_received_is_shown_newest_first(quarantine, projection, gateway):
    files = [gateway.file(payloads=(bytes([9, i]),)) for i in range(4)]
    projection.apply(files)
    second = files[1].blocks[0].received_at
    assert [i.payload[1] for i in quarantine.items(as_of=second)] == [1, 0]
    assert [i.payload[1] for i in quarantine.items(as_of=LAST_INSTANT, newest=2)] == [3, 2]
    assert quarantine.totals(as_of=second) == (("bad_dictionary", 2),)


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(quarantine_limit, "ROWS", 10)


def junk(first, last):
    return tuple(b"\x09junk %d" % n for n in range(first, last + 1))


@pytest.mark.usefixtures("short")
def test_a_device_has_so_many_rows_and_the_rest_is_counted(quarantine, projection, gateway):
    files = [gateway.file(payloads=junk(100 * n, 100 * n + 49)) for n in range(4)]
    for file in files:
        projection.apply([file])
    assert len(everything(quarantine)) == 10
    assert quarantine.totals(as_of=LAST_INSTANT) == (("bad_dictionary", 10),)
    assert quarantine.counted(as_of=LAST_INSTANT) == (("ewr-01", 190),)


@pytest.mark.usefixtures("short")
def test_applying_files_again_counts_nothing_twice(quarantine, projection, gateway):
    files = [gateway.file(payloads=junk(100 * n, 100 * n + 49)) for n in range(4)]
    other = gateway.file(payloads=junk(900, 919), node="node-2")
    projection.apply(files)
    for again in (files, files[2:], [files[3]], [other], [other], files):
        projection.apply(again)
    assert len(everything(quarantine)) == 10
    assert quarantine.counted(as_of=LAST_INSTANT) == (("ewr-01", 210),)


@pytest.mark.usefixtures("short")
def test_one_devices_limit_is_not_anothers(quarantine, projection, new_gateway):
    flood, other = new_gateway("flood"), new_gateway("other")
    projection.apply([flood.file(payloads=junk(1, 500)), other.file(payloads=junk(1, 5), node="b")])
    devices = [item.device_id for item in everything(quarantine)]
    assert (devices.count("flood"), devices.count("other")) == (10, 5)
    assert quarantine.counted(as_of=LAST_INSTANT) == (("flood", 490),)


def test_large_blocks_have_fewer_rows(quarantine, projection, gateway, monkeypatch):
    monkeypatch.setattr(quarantine_limit, "BYTES", 1000)
    projection.apply([gateway.file(payloads=tuple(b"\x09" + bytes([n]) * 400 for n in range(9)))])
    assert len(everything(quarantine)) == 3
    assert quarantine.counted(as_of=LAST_INSTANT) == (("ewr-01", 6),)


def refused(device_id, first, last, document="{}"):
    keys = (f"{device_id}:aaaaaaaaaaaaa:{n}" for n in range(first, last + 1))
    return [RefusedDocument(key, device_id, "no such field", document) for key in keys]


@pytest.mark.usefixtures("short")
def test_a_device_has_so_many_refused_documents_and_the_rest_is_counted(quarantine):
    for first in (1, 51, 101):
        quarantine.put(refused("ewr-01", first, first + 49))
    quarantine.put(refused("other", 1, 5))
    devices = [item.device_id for item in everything(quarantine)]
    assert (devices.count("ewr-01"), devices.count("other")) == (10, 5)
    assert quarantine.totals(as_of=LAST_INSTANT) == ((SEARCH_REFUSED, 15),)
    assert quarantine.counted_documents(as_of=LAST_INSTANT) == (("ewr-01", 140),)
    quarantine.put(refused("ewr-01", 1, 10))  # known ones are not counted
    assert quarantine.counted_documents(as_of=LAST_INSTANT) == (("ewr-01", 140),)


@pytest.mark.usefixtures("short")
def test_documents_and_blocks_of_a_device_have_limits_of_their_own(quarantine, projection, gateway):
    projection.apply([gateway.file(payloads=junk(1, 30))])
    quarantine.put(refused("ewr-01", 1, 30))
    assert quarantine.totals(as_of=LAST_INSTANT) == (("bad_dictionary", 10), (SEARCH_REFUSED, 10))
    assert quarantine.counted(as_of=LAST_INSTANT) == (("ewr-01", 20),)
    assert quarantine.counted_documents(as_of=LAST_INSTANT) == (("ewr-01", 20),)


def test_large_documents_have_fewer_rows(quarantine, monkeypatch):
    monkeypatch.setattr(quarantine_limit, "BYTES", 1000)
    quarantine.put(refused("ewr-01", 1, 9, document="x" * 400))
    assert len(everything(quarantine)) == 3
    assert quarantine.counted_documents(as_of=LAST_INSTANT) == (("ewr-01", 6),)


YEAR_1, YEAR_9999 = -62_135_596_800_000, 253_402_300_799_999


def test_a_block_with_implausible_records_is_kept_with_their_number(
    quarantine, projection, gateway
):
    fix = gateway.events("a", 1, ClockFix(utc_at=YEAR_1, uncertainty_ms=20))
    late = replace(gateway.readings("b", 2, 9), utc_at=YEAR_9999 - 10_000)
    ahead = gateway.held("c", 7, ("c", 2**53 - 1, 2**53 - 1))
    good = gateway.readings("d", 1, 4)
    file = gateway.file(fix, late, ahead, good)
    projection.apply([file, file])
    found = {item.payload: item for item in everything(quarantine)}
    assert found.keys() == {encode(block) for block in (fix, late, ahead)}
    assert quarantine.totals(as_of=LAST_INSTANT) == (
        ("implausible_number", 1),
        ("implausible_time", 2),
    )
    reasons = [found[encode(block)].reason for block in (fix, late, ahead)]
    assert "1 record set aside, first number 1: utc_at 0001-01-01T00:00:00Z" in reasons[0]
    assert "8 records set aside, first number 2: time 9999-12-31T" in reasons[1]
    assert "1 record set aside, first number 7: held number 9007199254740991" in reasons[2]
    assert {i.device_id for i in found.values()} == {"ewr-01"}
