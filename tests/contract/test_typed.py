import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.errors import ContractError
from contract.records import RECORD_TYPES, Kind
from contract.typed import Between, Id, Pattern, Seq, StreamId, UtcMs, build, plain
from tests.contract import interpreted


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    number: Annotated[int, Between(0, 27)]
    active_low: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lamp:
    lamp_id: Id
    colour: Colour
    pins: tuple[Pin, ...] = ()
    limit: Annotated[float, Between(-40.0, 85.0)] | None = None
    note: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


SMALL = {"lamp_id": "door", "colour": "red"}
LARGE = SMALL | {
    "pins": [{"number": 17}, {"number": 27, "active_low": True}],
    "limit": 60,
    "note": "hall",
    "extra": {"any": [1]},
}


def refusal(table: object) -> str:
    with pytest.raises(ContractError) as caught:
        build(Lamp, table, "lamps.toml: [lamp]")
    assert caught.value.code == "bad_field"
    return str(caught.value)


def test_a_table_becomes_values_down_to_the_last_level() -> None:
    assert build(Lamp, LARGE, "lamp") == Lamp(
        lamp_id="door",
        colour=Colour.RED,
        pins=(Pin(number=17), Pin(number=27, active_low=True)),
        limit=60.0,
        note="hall",
        extra={"any": [1]},
    )
    assert build(Lamp, SMALL | {"limit": None}, "lamp") == Lamp(lamp_id="door", colour=Colour.RED)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lamp_id": 5}, "lamp_id: expected a text, found 5"),
        ({"lamp_id": "Door"}, "lamp_id: expected 1 to 63 of a-z, 0-9 and -"),
        ({"lamp_id": "door\n"}, "lamp_id: expected 1 to 63 of a-z, 0-9 and -"),
        ({"lamp_id": "-door"}, "lamp_id: expected 1 to 63 of a-z, 0-9 and -"),
        ({"lamp_id": None}, "lamp_id: expected a text, found None"),
        ({"colour": "green"}, "colour: expected one of red, blue, found 'green'"),
        ({"colour": ["red"]}, "colour: expected one of red, blue, found ['red']"),
        ({"pins": {"number": 17}}, "pins: expected a list"),
        ({"pins": [{"number": 17}, 3]}, "pins[1]: expected a table, found 3"),
        ({"pins": [{"number": True}]}, "pins[0]: number: expected a whole number, found True"),
        ({"pins": [{"number": 17.0}]}, "pins[0]: number: expected a whole number, found 17.0"),
        ({"pins": [{"number": 28}]}, "pins[0]: number: expected 0 to 27, found 28"),
        ({"pins": [{}]}, "pins[0]: key 'number' is missing"),
        ({"pins": [{"number": 1, "active_low": 1}]}, "expected true or false, found 1"),
        ({"limit": True}, "limit: expected a finite number, found True"),
        ({"limit": float("nan")}, "limit: expected a finite number, found nan"),
        ({"limit": float("inf")}, "limit: expected a finite number, found inf"),
        ({"limit": 10**400}, "limit: expected a finite number"),
        ({"limit": "60"}, "limit: expected a finite number, found '60'"),
        ({"limit": 85.1}, "limit: expected -40 to 85, found 85.1"),
        ({"extra": []}, "extra: expected a table, found []"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(changes: dict[str, Any], says: str) -> None:
    text = refusal(SMALL | changes)
    assert text.startswith("bad_field: lamps.toml: [lamp]: ")
    assert says in text


def test_an_unknown_key_is_refused_with_the_known_ones_or_ignored() -> None:
    assert refusal(SMALL | {"color": "red"}).endswith(
        "unknown key 'color'; known keys: lamp_id, colour, pins, limit, note, extra"
    )
    pins = {"pins": [{"number": 1, "pull": "up"}]}
    assert "unknown key 'pull'; known keys: number, active_low" in refusal(SMALL | pins)
    built = build(Lamp, SMALL | pins | {"color": 1}, "lamp", ignore_unknown=True)
    assert built.pins == (Pin(number=1),)


def test_a_missing_key_and_a_missing_table_are_named() -> None:
    assert refusal({"colour": "red"}).endswith("key 'lamp_id' is missing")
    assert refusal([SMALL]).endswith(
        "expected a table, found [{'lamp_id': 'door', 'colour': 'red'}]"
    )
    assert refusal(None).endswith("expected a table, found None")


@given(value=st.integers() | st.floats() | st.booleans())
def test_a_number_within_its_bounds_is_taken_and_no_other(value: float) -> None:
    good = type(value) is int and 0 <= value <= 27
    try:
        assert build(Pin, {"number": value}, "pin") == Pin(number=int(value))
    except ContractError:
        assert not good
    else:
        assert good


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (Id, ["a", "0", "a-", "a" * 63], ["", "a" * 64, "A", "ä", "a_b", "a/b", "٣"]),
        (StreamId, ["a" * 13, "ynoicv4oqjyxi"], ["a" * 12, "a" * 14, "1" * 13, "A" * 13]),
        (Seq, [1, 2**53 - 1], [0, -1, 2**53]),
        (UtcMs, [-62_135_596_800_000, 0, 253_402_300_799_999], [-62_135_596_800_001, 2**53]),
        (Annotated[str, Pattern("a|b", "a or b")], ["a", "b"], ["ab", "c"]),
    ],
)
def test_the_shared_types_at_their_edges(hint: Any, good: list[Any], bad: list[Any]) -> None:
    one = dataclass(frozen=True)(type("One", (), {"__annotations__": {"x": hint}}))
    assert [build(one, {"x": value}, "one").x for value in good] == good  # type: ignore[attr-defined]
    for value in bad:
        with pytest.raises(ContractError):
            build(one, {"x": value}, "one")


@pytest.mark.parametrize("kind", list(Kind))
@given(data=st.data())
def test_a_record_is_the_same_after_its_plain_form(
    kind: Kind, data: st.DataObject, strategy_of: Callable[[Any], st.SearchStrategy[Any]]
) -> None:
    record = data.draw(strategy_of(RECORD_TYPES[kind]))
    table = json.loads(json.dumps(plain(record), allow_nan=False))
    if kind is Kind.READING:
        table.setdefault("value", None)  # a reading travels in columns, its null in `data`
    assert build(RECORD_TYPES[kind], table, "record") == record


def outcome(builder: Callable[..., Any], cls: Any, table: object, *, ignore: bool) -> object:
    """What was built, or the error's text. As text, because NaN and -0.0 would compare wrongly."""
    try:
        return repr(builder(cls, table, "file: [table]", ignore_unknown=ignore))
    except ContractError as error:
        return str(error)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.sampled_from((0, 1, 27, 28, 2**53 - 1, 2**53, 10**308))
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(("red", "door", "a" * 13, "0" * 16, "start", "observed", "x" * 201)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@settings(max_examples=150)
@given(data=st.data())
def test_compiled_checks_say_what_interpreted_ones_say(
    data: st.DataObject, strategy_of: Callable[[Any], st.SearchStrategy[Any]]
) -> None:
    """A right table, and the same with each field missing and with each field wrong."""
    cls = data.draw(st.sampled_from((Lamp, *RECORD_TYPES.values())))
    whole = LARGE if cls is Lamp else plain(data.draw(strategy_of(cls)))
    wrong = data.draw(st.lists(ANYTHING, min_size=3, max_size=3))
    tables = [whole]
    for name in (*whole, "more"):
        tables.append({key: value for key, value in whole.items() if key != name})
        tables += [whole | {name: value} for value in wrong]
    for table in tables:
        for ignore in (False, True):
            expected = outcome(interpreted.build, cls, table, ignore=ignore)
            assert outcome(build, cls, table, ignore=ignore) == expected


@settings(max_examples=100)
@given(table=ANYTHING, ignore=st.booleans())
def test_compiled_checks_refuse_anything_in_the_same_words(table: object, ignore: bool) -> None:
    for where in (
        table,
        SMALL | {"pins": table},
        SMALL | {"extra": table},
        LARGE | {"limit": table},
    ):
        expected = outcome(interpreted.build, Lamp, where, ignore=ignore)
        assert outcome(build, Lamp, where, ignore=ignore) == expected


def test_plain_leaves_out_what_holds_nothing() -> None:
    assert plain(build(Lamp, SMALL, "lamp")) == SMALL | {"note": "", "extra": {}}
    assert plain(build(Lamp, LARGE, "lamp")) == LARGE | {
        "pins": [
            {"number": 17, "active_low": False},
            {"number": 27, "active_low": True},
        ]
    }
