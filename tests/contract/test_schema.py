import base64
import json
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from contract import schema, wire
from contract.acks import Ack, encode_ack
from contract.blocks import Block
from contract.document import document_of
from contract.errors import ContractError
from contract.records import Kind
from contract.typed import Between

Examples = dict[str, dict[str, Any]]

BLOCK = Draft202012Validator(schema.block_schema())
ACK = Draft202012Validator(schema.ack_schema())

# What a schema cannot say: sums, columns that fill, a mark's row, a reason for each null, halves of
# surrogate pairs, and line ends (where regular expressions differ).
BEYOND_A_SCHEMA = {
    "counts_short",
    "data_short",
    "depth_33",
    "event_too_late",
    "last_too_large",
    "loss_backwards",
    "mark_row",
    "mark_series",
    "mark_twice",
    "null_uncertain",
    "null_without_flag",
    "null_without_mark",
    "stream_line_end",
    "time_negative",
    "time_null",
    "time_too_large",
    "time_year_10000",
    "too_many",
    "too_many_lists",
    "too_many_series",
    "too_many_spans",
}


def document_in(example: dict[str, Any]) -> Any:
    """The JSON document of an example, or the error that keeps it from being one."""
    try:
        return json.loads(
            wire.inflate(base64.b64decode(example["payload_base64"])).decode("utf-8"),
            parse_constant=int,
        )
    except (ContractError, ValueError, RecursionError) as error:
        return error


def test_the_files_are_what_the_dataclasses_say() -> None:
    for path, text in schema.schema_files().items():
        assert path.read_text(encoding="utf-8") == text, "run python -m contract.schema"
    assert schema.main(["--check"]) == 0


def test_they_are_schemas() -> None:
    Draft202012Validator.check_schema(schema.block_schema())
    Draft202012Validator.check_schema(schema.ack_schema())


def test_every_kind_has_its_definition() -> None:
    assert set(Kind) <= set(schema.block_schema()["$defs"])


def test_valid_examples_pass(examples: Examples) -> None:
    records = {kind: Draft202012Validator(schema.block_schema()["$defs"][kind]) for kind in Kind}
    for name, example in examples.items():
        if name.startswith("valid/"):
            BLOCK.validate(example["document"])
            for entry in example["entries"]:
                records[entry["kind"]].validate(entry["record"])


def test_invalid_examples_fail_but_for_what_a_schema_cannot_say(examples: Examples) -> None:
    documents = {
        name.removeprefix("invalid/"): document_in(example)
        for name, example in examples.items()
        if name.startswith("invalid/")
    }
    passed = {
        name
        for name, document in documents.items()
        if not isinstance(document, Exception) and BLOCK.is_valid(document)
    }
    assert passed == BEYOND_A_SCHEMA


@settings(max_examples=40)
@given(data=st.data())
def test_every_block_passes(data: st.DataObject, blocks: st.SearchStrategy[Block]) -> None:
    BLOCK.validate(json.loads(json.dumps(document_of(data.draw(blocks)))))


@given(data=st.data())
def test_every_ack_passes(data: st.DataObject, any_ack: st.SearchStrategy[Ack]) -> None:
    ACK.validate(json.loads(encode_ack(data.draw(any_ack))))


@pytest.mark.parametrize(
    "ack", [[], {"spans": 1}, {"digests": ["ba78"]}, {"spans": [{"stream_id": "a" * 13}]}]
)
def test_a_bad_ack_fails(ack: object) -> None:
    assert not ACK.is_valid(ack)


def test_a_type_that_does_not_travel_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be part of a message"):
        schema.schema_of(bytes)


def test_equal_bounds_are_written_alike() -> None:
    """The fraction first: `typing` then gives the same object for the whole one."""
    fraction = schema.schema_of(Annotated[float, Between(0.0, 1e7)])
    whole = schema.schema_of(Annotated[float, Between(0, 10**7)])
    assert json.dumps(fraction) == json.dumps(whole)
    assert isinstance(fraction["maximum"], int)
    assert schema.schema_of(Annotated[float, Between(0.5, 1)])["minimum"] == 0.5
