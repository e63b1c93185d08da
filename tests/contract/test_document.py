import json
from pathlib import Path
from typing import Any

import pytest

from contract.blocks import Block, Mark, SensorColumns, Series, TimedEvent
from contract.document import document_of, parse_document
from contract.errors import ContractError
from contract.limits import NEW, STORED, Limits
from contract.quantities import Flag, Quality, Quantity
from contract.records import Phase, Status
from tests.contract.damage import SEEDS, damaged, outcome

STREAM = "ynoicv4oqjyxi"
BLOCK = Block(
    stream_id=STREAM,
    first=41,
    offset_ms=5_000,
    utc_at=1_768_460_400_000,
    sensors=(
        SensorColumns(
            sensor_id="attic",
            series=(Series(Quantity.TEMPERATURE, 2), Series(Quantity.HUMIDITY, 1)),
            offsets_ms=(5_000, 6_000, 7_001),
            columns=((425, -5, None), (813, 812, 812)),
            marks=(Mark(0, 2, Quality.BAD, (Flag.NO_ANSWER, Flag.RETRIED)),),
            calibration="two-point-2026-01",
        ),
    ),
    events=(TimedEvent(7_001, Status(phase=Phase.STOP, version="0.1.0", queued_blocks=2)),),
)
DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "clock": "synced",
    "stream": STREAM,
    "first": 41,
    "at": [5_000, 1_768_460_400_000],
    "sensors": [
        {
            "sensor": "attic",
            "series": [["temperature", "Cel", 2], ["humidity", "%RH", 1]],
            "data": [0, 1_000, 1_001, 425, -5, None, 813, 812, 812],
            "marks": [[0, 2, "bad", ["no_answer", "retried"]]],
            "calibration": "two-point-2026-01",
        }
    ],
    "events": [
        [
            "status",
            2_001,
            {
                "phase": "stop",
                "version": "0.1.0",
                "samples_total": 0,
                "sample_failures_total": 0,
                "committed_total": 0,
                "queued_blocks": 2,
                "queued_bytes": 0,
            },
        ]
    ],
}


def refusal(document: object) -> ContractError:
    with pytest.raises(ContractError) as caught:
        parse_document(document)
    return caught.value


def test_a_block_written_by_hand_is_this_document_both_ways() -> None:
    assert document_of(BLOCK) == DOCUMENT
    assert list(document_of(BLOCK)) == list(DOCUMENT)  # the dictionary expects this order
    assert parse_document(DOCUMENT) == BLOCK


def test_an_unsynced_block_has_no_utc() -> None:
    document = DOCUMENT | {"clock": "unsynced", "at": [5_000]}
    block = parse_document(document)
    assert (block.utc_at, block.observed_at(6_000)) == (None, None)
    assert document_of(block) == document


def test_unknown_fields_and_items_change_nothing() -> None:
    sensor = DOCUMENT["sensors"][0]
    wider = DOCUMENT | {
        "weather": None,
        "sensors": [sensor | {"colour": "red", "series": [[*s, "more"] for s in sensor["series"]]}],
        "events": [[*DOCUMENT["events"][0], "more"]],
    }
    assert parse_document(wider) == BLOCK


def test_a_whole_number_is_not_a_fraction_that_happens_to_be_whole() -> None:
    assert refusal(DOCUMENT | {"first": 41.0}).code == "bad_field"


def test_the_text_names_the_place_and_what_was_expected() -> None:
    sensor = DOCUMENT["sensors"][0]
    kelvin = DOCUMENT | {"sensors": [sensor | {"series": [["temperature", "K", 2]]}]}
    assert str(refusal(kelvin)) == (
        "bad_unit: sensors[0]: temperature: expected unit Cel, found 'K'"
    )
    late = DOCUMENT | {"events": [["status", 0, {"phase": "later", "version": "1"}]]}
    assert str(refusal(late)) == (
        "bad_field: events[0] status: phase: expected one of start, running, stop, found 'later'"
    )
    assert "sensors[0]: series: expected a list" in str(
        refusal(DOCUMENT | {"sensors": [sensor | {"series": "temperature"}]})
    )


def test_a_text_stays_short_whatever_was_found() -> None:
    long = "x" * 100_000
    sensor = DOCUMENT["sensors"][0]
    for document in (
        {"schema": long},
        DOCUMENT | {"stream": long},
        DOCUMENT | {"first": 10**4_000},
        DOCUMENT | {"sensors": [sensor | {"series": [[long, long, long]]}]},
        DOCUMENT | {"sensors": [sensor | {"marks": [[0, 0, long, []]]}]},
        DOCUMENT | {"events": [[long, 0, {}]]},
        DOCUMENT | {"events": [["held", 10**4_000, {}]]},
    ):
        assert len(str(refusal(document))) < 500


@pytest.mark.parametrize("limits", [NEW, STORED])
def test_a_block_holds_so_many_records_and_no_more(limits: Limits) -> None:
    def document(rows: int) -> dict[str, Any]:
        sensor = {
            "sensor": "attic",
            "series": [["temperature", "Cel", 2]],
            "data": [0] * rows + [425] * rows,
        }
        return DOCUMENT | {"sensors": [sensor], "events": []}

    most = limits.records
    assert parse_document(document(most), limits).records_total == most
    with pytest.raises(ContractError, match=f"bad_size: block: {most + 1} records"):
        parse_document(document(most + 1), limits)


RECORDED = Path(__file__).with_name("recorded_errors.txt").read_text("utf-8").splitlines()


def test_errors_have_the_recorded_texts() -> None:
    """Of documents that are damaged in one or two places; see damage.py."""
    assert len(RECORDED) == SEEDS
    assert sum(line.startswith("block ") for line in RECORDED) > 100
    assert [outcome(damaged(seed)) for seed in range(SEEDS)] == RECORDED


def test_the_latest_time_of_a_synced_block_is_a_date() -> None:
    latest = 253_402_300_799_999
    sensor = DOCUMENT["sensors"][0]
    document = DOCUMENT | {"at": [5_000, latest - 2_001], "sensors": [sensor]}
    assert parse_document(document).observed_at(7_001) == latest
    assert refusal(document | {"at": [5_000, latest - 2_000]}).code == "bad_field"


def test_a_document_is_json() -> None:
    assert json.loads(json.dumps(document_of(BLOCK), allow_nan=False)) == DOCUMENT
