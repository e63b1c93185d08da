"""Reads mappings from TOML files, and lists those that come with the program.

A mapping may begin with `extends = "NAME"`: it has the keys of the ready mapping of that name, and
its own keys replace or extend them. `--device`, `--sensor` and `--zone` do the same for one key.
"""

import codecs
import re
import tomllib
from collections.abc import Iterator
from collections.abc import Mapping as Table
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cloud.importing.mapping import Mapping, ValueKeys
from cloud.importing.units import conversion, known_units
from contract.errors import ConfigError, ContractError
from contract.quantities import Flag, Quality, Quantity
from contract.signals import Signal
from contract.typed import Id, build, pattern_of

__all__ = ["MappedSignal", "Overrides", "mapped_signal", "read_mapping", "ready", "ready_names"]

_SUFFIX = ".toml"
_ID = re.compile(pattern_of(Id).regex)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Keys from the command line; None keeps the mapping's key.

    Attributes:
        device: `[device] id`.
        sensor: `[sensor] id`.
        zone: `[time] zone`.
    """

    device: str | None = None
    sensor: str | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class MappedSignal:
    """A signal and the unit of its values; an empty unit is the quantity's own."""

    signal: Signal
    unit: str


def ready_names() -> tuple[str, ...]:
    """Returns the names of the mappings that come with the program."""
    folder = files("cloud.importing") / "mappings"
    names = (item.name for item in folder.iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


def ready() -> Iterator[tuple[str, str]]:
    """Yields name and purpose of each mapping that comes with the program."""
    for name in ready_names():
        yield name, str(_ready_table(name).get("about", ""))


def read_mapping(wanted: str, overrides: Overrides) -> Mapping:
    """Returns the mapping of a TOML file, or the ready one of this name.

    Raises:
        ConfigError: A key is wrong; the message names file, section, key and expected value.
    """
    if wanted in ready_names():
        table, where = _ready_table(wanted), f"mapping {wanted}"
    else:
        table, where = _file_table(Path(wanted)), wanted
    base = table.pop("extends", None)
    if base is not None:
        if base not in ready_names():
            raise ConfigError(
                f"{where}: extends: {base!r} is not one of {', '.join(ready_names())}"
            )
        table = _joined(_ready_table(base), table)
    table = _joined(table, _from(overrides))
    try:
        mapping = build(Mapping, table, where)
    except ContractError as error:
        raise ConfigError(str(error).removeprefix(f"{error.code}: ")) from error
    _check(mapping, where)
    return mapping


def _ready_table(name: str) -> dict[str, Any]:
    resource = files("cloud.importing") / "mappings" / f"{name}{_SUFFIX}"
    return tomllib.loads(resource.read_text("utf-8"))


def _file_table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror or error}. A mapping is a TOML file, or one "
            f"of {', '.join(ready_names())}"
        ) from error
    except ValueError as error:  # not UTF-8, or not TOML
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _joined(base: Table[str, Any], own: Table[str, Any]) -> dict[str, Any]:
    """Returns `base` with the keys of `own`; tables are joined key by key, lists are replaced."""
    joined = dict(base)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(joined.get(key), dict)
        joined[key] = _joined(joined[key], value) if both else value
    return joined


def _from(overrides: Overrides) -> dict[str, Any]:
    wanted = (("device", "id", overrides.device), ("sensor", "id", overrides.sensor))
    tables = {section: {key: value} for section, key, value in wanted if value is not None}
    return tables | ({"time": {"zone": overrides.zone}} if overrides.zone is not None else {})


def mapped_signal(text: object, where: str) -> MappedSignal:
    """Returns the signal and unit of a text such as `attic/temperature °F`.

    Raises:
        ConfigError: The text is not such a text.
    """
    name, _, unit = text.partition(" ") if isinstance(text, str) else ("", "", "")
    try:
        signal = Signal.parse(name)
    except ValueError:
        raise ConfigError(f"{where}: expected {Signal.says}, found {text!r}") from None
    _check_unit(signal.quantity, unit, where)
    return MappedSignal(signal, unit)


def _check(mapping: Mapping, where: str) -> None:
    _check_zone(mapping.time.zone, where)
    _check_encoding(mapping.csv.encoding, where)
    _check_ids(mapping.device.values, f"{where}: [device.values]")
    _check_ids(mapping.sensor.values, f"{where}: [sensor.values]")
    if mapping.device.id is None and mapping.device.column is None:
        raise ConfigError(f"{where}: [device]: set id or column, or use --device")
    if not mapping.value:
        raise ConfigError(f"{where}: [[value]]: name at least one column of values")
    if mapping.signal is not None:
        _check_signals(mapping.signal.values, where)
    for value in mapping.value:
        _check_value(mapping, value, f"{where}: [[value]] {value.column}")
    for text, quality in (mapping.quality.values if mapping.quality else {}).items():
        _check_quality(quality, f"{where}: [quality.values] {text!r}")


def _check_encoding(name: str, where: str) -> None:
    try:
        is_text = codecs.lookup(name)._is_text_encoding  # noqa: SLF001  # no public name exists
    except LookupError:
        is_text = False
    if not is_text:
        raise ConfigError(f"{where}: [csv] encoding: {name!r} is not an encoding, such as cp1252")


def _check_ids(values: Table[str, Any], where: str) -> None:
    for text, name in values.items():
        if not isinstance(name, str) or _ID.fullmatch(name) is None:
            raise ConfigError(f"{where} {text!r}: expected {pattern_of(Id).says}")


def _check_zone(zone: str | None, where: str) -> None:
    if zone in (None, "header"):
        return
    try:
        ZoneInfo(str(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            f"{where}: [time] zone: {zone!r} is not a time zone. Write a name such as "
            "Europe/Berlin, or Etc/GMT-1 for a clock that is always one hour ahead of UTC"
        ) from error


def _check_signals(values: Table[str, Any], where: str) -> None:
    if not values:
        raise ConfigError(
            f"{where}: [signal.values] is empty. Name the texts to import in a mapping of your "
            'own, such as "sensor.attic_temperature" = "attic/temperature"'
        )
    for text, name in values.items():
        mapped_signal(name, f"{where}: [signal.values] {text!r}")


def _check_value(mapping: Mapping, value: ValueKeys, where: str) -> None:
    if mapping.signal is None:
        sensor = mapping.sensor
        if value.quantity is None:
            raise ConfigError(f"{where}: quantity is missing")
        if value.sensor is None and sensor.id is None and sensor.column is None:
            raise ConfigError(f"{where}: set sensor here, or [sensor], or use --sensor")
    if value.quantity is not None:
        _check_unit(value.quantity, value.unit, where)
    for name, table, kind in (("when", value.when, str), ("numbers", value.numbers, int | float)):
        for text, item in table.items():
            if not isinstance(item, kind) or isinstance(item, bool):
                raise ConfigError(f"{where}: {name}: {text!r}: unexpected {item!r}")


def _check_unit(quantity: Quantity, unit: str, where: str) -> None:
    if conversion(quantity, unit) is None:
        known = known_units(quantity)
        raise ConfigError(f"{where}: unit {unit!r} of {quantity} is not one of {known}")


def _check_quality(text: object, where: str) -> None:
    words = text.split() if isinstance(text, str) else []
    flags = {flag.value for flag in Flag}
    if not words or words[0] not in set(Quality) or not set(words[1:]) <= flags:
        known = f"{', '.join(Quality)}; flags: {', '.join(Flag)}"
        raise ConfigError(f"{where}: expected a quality and flags, found {text!r}; known: {known}")
