"""Parses a pipeline's text into sections, plug-ins and conditions; only this file uses the parser.

The parser is installed with extra `dev`: only tests and the check of pipelines need it, because
Logstash has its own parser.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from logstash_pipeline_parser import Pipeline as Parser
from logstash_pipeline_parser.tree import ParseError

from contract.errors import ConfigError

__all__ = ["Branch", "Pairs", "Plugin", "Section", "read", "walk"]


@dataclass(frozen=True, slots=True)
class Pairs:
    """A hash; its pairs keep their order."""

    items: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Plugin:
    """A use of a plug-in; a value is a text, number, boolean, tuple, `Pairs` or codec's Plugin."""

    kind: str
    name: str
    options: tuple[tuple[str, Any], ...]

    def get(self, name: str) -> Any:
        """Return the option's value; None if the option is not set."""
        return dict(self.options).get(name)


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`, `else if` or `else` with its steps; the condition is nested tuples of words."""

    word: str
    condition: tuple[Any, ...]
    steps: "tuple[Plugin | Branch, ...]"


@dataclass(frozen=True, slots=True)
class Section:
    """`input`, `filter` or `output`."""

    kind: str
    steps: tuple[Plugin | Branch, ...]


def read(text: str) -> tuple[Section, ...]:
    """Return the sections of a pipeline.

    Raises:
        ConfigError: The text has a syntax error; the message names where the parser stopped.
    """
    parser = Parser(text)
    for name in list(parser.get_types()):
        parser.remove_type(name)  # without types, the parser leaves a path as text
    try:
        raw = parser.parse()
    except ParseError as error:
        raise ConfigError(f"syntax error: {_reason(str(error))}") from error
    return tuple(Section(kind, _steps(kind, steps)) for kind, steps in raw)


def _reason(text: str) -> str:
    """Return the parser's line with a position; its last line if there is none."""
    lines = [line.removeprefix("ParseException: ") for line in text.strip().splitlines()]
    return next((line for line in lines if "(line:" in line), lines[-1])


def walk(steps: tuple[Plugin | Branch, ...]) -> Iterator[Plugin | Branch]:
    """Yield every branch and plug-in, also inside branches, and codecs with options."""
    for step in steps:
        yield step
        if isinstance(step, Branch):
            yield from walk(step.steps)
        else:
            yield from (value for _, value in step.options if isinstance(value, Plugin))


def _steps(kind: str, raw: list[Any]) -> tuple[Plugin | Branch, ...]:
    return tuple(_step(kind, name, rest) for name, rest in raw)


def _step(kind: str, name: str, rest: list[Any]) -> Plugin | Branch:
    if name == "else":
        return Branch(name, (), _steps(kind, rest))
    if name in ("if", "else if"):
        *condition, (steps,) = rest
        return Branch(name, tuple(_words(word) for word in condition), _steps(kind, steps))
    return Plugin(kind, name, _options(rest))


def _options(raw: list[Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((str(name), _value(value)) for name, (value,) in raw)


def _value(raw: Any) -> Any:
    if not isinstance(raw, list):
        return raw if isinstance(raw, bool | int | float) else str(raw)
    if len(raw) == 2 and isinstance(raw[0], str) and isinstance(raw[1], list):
        return Plugin("codec", raw[0], _options(raw[1]))
    if raw and all(isinstance(entry, list) and len(entry) == 2 for entry in raw):
        return Pairs(_options(raw))
    return tuple(_value(entry) for entry in raw)


def _words(raw: Any) -> Any:
    return tuple(_words(word) for word in raw) if isinstance(raw, list) else raw
