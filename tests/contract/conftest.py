"""Strategies derived from the dataclasses: a new field or kind is tested the day it is written."""

import dataclasses
import json
import types
import typing
import zlib
from collections.abc import Callable
from enum import Enum
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import strategies as st

from contract import wire
from contract.acks import Ack
from contract.blocks import Block, Mark, SensorColumns, Series, TimedEvent
from contract.quantities import Flag, Quality, Quantity
from contract.records import EVENT_TYPES, Span, Statistic
from contract.typed import LARGEST, LATEST_UTC_MS, Between, Id, Pattern, StreamId, UtcMs

Strategy = st.SearchStrategy[Any]


@cache
def values(hint: Any) -> Strategy:
    """Every value that a type of the contract allows."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return constrained(arguments[0], arguments[1:])
    if origin in (types.UnionType, typing.Union):
        return st.one_of([st.none() if a is types.NoneType else values(a) for a in arguments])
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=4).map(tuple)
    if dataclasses.is_dataclass(hint):
        return spans() if hint is Span else tables(hint)
    if hint is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    assert hint is bool or issubclass(hint, Enum)
    return st.sampled_from([False, True] if hint is bool else list(hint))


def tables(cls: Any) -> Strategy:
    hints = typing.get_type_hints(cls, include_extras=True)
    return st.builds(cls, **{name: values(hint) for name, hint in hints.items()})


@st.composite
def spans(draw: st.DrawFn) -> Span:
    first = draw(st.integers(1, LARGEST))
    last = draw(st.integers(first, LARGEST))
    return Span(stream_id=draw(values(StreamId)), first=first, last=last)


def constrained(hint: Any, constraints: tuple[Any, ...]) -> Strategy:
    [constraint] = constraints
    if isinstance(constraint, Pattern):
        return st.from_regex(constraint.regex, fullmatch=True)
    assert isinstance(constraint, Between)
    if hint is int:
        return st.integers(int(constraint.low), int(constraint.high))
    return st.floats(constraint.low, constraint.high)


@st.composite
def sensor_columns(draw: st.DrawFn, offset_ms: int) -> SensorColumns:
    series = draw(
        st.lists(
            st.builds(Series, st.sampled_from(Quantity), st.integers(0, 9)), min_size=1, max_size=3
        )
    )
    steps = draw(st.lists(st.integers(0, 10**9), min_size=1, max_size=5))
    scaled = st.one_of(st.none(), st.integers(-LARGEST, LARGEST), st.integers(-100, 100))
    rows = len(steps)
    columns = tuple(tuple(draw(st.lists(scaled, min_size=rows, max_size=rows))) for _ in series)
    thinned = draw(st.booleans())
    return SensorColumns(
        sensor_id=draw(values(Id)),
        series=tuple(series),
        offsets_ms=tuple(accumulate(steps, initial=offset_ms))[1:],
        columns=columns,
        marks=draw(marks(columns)),
        calibration=draw(values(Id | None)),
        statistic=draw(st.sampled_from(Statistic)) if thinned else None,
        span_s=draw(st.floats(0, 1e9)) if thinned else None,
        counts=tuple(range(rows)) if thinned else (),
    )


@st.composite
def marks(draw: st.DrawFn, columns: tuple[tuple[int | None, ...], ...]) -> tuple[Mark, ...]:
    found = []
    for index, column in enumerate(columns):
        for row, value in enumerate(column):
            flags = tuple(draw(st.lists(st.sampled_from(Flag), max_size=2, unique=True)))
            if value is None:
                found.append(Mark(index, row, Quality.BAD, flags or (Flag.NO_ANSWER,)))
            elif flags:
                found.append(Mark(index, row, draw(st.sampled_from(Quality)), flags))
    return tuple(found)


EVENTS = st.one_of([values(cls) for cls in EVENT_TYPES])


@st.composite
def any_block(draw: st.DrawFn) -> Block:
    offset_ms = draw(st.integers(0, 10**11))
    later = st.integers(0, 10**9).map(lambda ms: offset_ms + ms)
    sensors = draw(st.lists(sensor_columns(offset_ms), max_size=3))
    events = draw(
        st.lists(st.builds(TimedEvent, later, EVENTS), min_size=0 if sensors else 1, max_size=3)
    )
    utc_at = draw(values(UtcMs | None))
    return Block(
        stream_id=draw(values(StreamId)),
        first=draw(st.integers(1, LARGEST - 1_000)),
        offset_ms=offset_ms,
        utc_at=None if utc_at is None else min(utc_at, LATEST_UTC_MS - 10**11),
        sensors=tuple(sensors),
        events=tuple(events),
    )


@pytest.fixture(scope="session")
def strategy_of() -> Callable[[Any], Strategy]:
    return values


@pytest.fixture(scope="session")
def any_ack() -> Strategy:
    return values(Ack)


@pytest.fixture(scope="session")
def blocks() -> Strategy:
    return any_block()


@pytest.fixture(scope="session")
def packed() -> Callable[[object], bytes]:
    """A payload with any document inside: bytes as they are, anything else as JSON."""

    def pack(document: object) -> bytes:
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        deflate = zlib.compressobj(1, zlib.DEFLATED, -15, zdict=wire.dictionary(1))
        return b"\x01" + deflate.compress(raw) + deflate.flush()

    return pack


@pytest.fixture(scope="session")
def examples() -> dict[str, dict[str, Any]]:
    """Every example by its folder and name, such as `valid/held`."""
    folder = Path(__file__).parents[2] / "contract" / "examples"
    return {
        f"{path.parent.name}/{path.stem}": json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*/*.json"))
    }
