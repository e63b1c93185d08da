"""Checking a configuration: what the operator should know before the gateway starts.

Touches neither hardware nor network. Looks at folders and files that the configuration names.
"""

import os
from pathlib import Path

from contract.errors import ConfigError
from contract.quantities import Quantity
from edge.configuration.config import GatewayConfig
from edge.sensing.hardware import driver_config, quantities_of
from models.conditions import MODEL_INPUTS, forecastable, inputs_of, signals_of
from transport.tls import TlsFiles, client_context

__all__ = ["check"]

_NEEDED = (Quantity.TEMPERATURE, Quantity.HUMIDITY)  # without these a window is not usable


def check(config: GatewayConfig) -> list[str]:
    """Remarks, one for each thing that should be mended; an empty list is all well.

    Touches neither hardware nor network.

    Raises:
        ConfigError: A driver is unknown or its keys are wrong.
    """
    remarks = _check_quantities(config)
    folder = Path(config.outbox.path).parent
    if not os.access(folder, os.W_OK):
        remarks.append(f"[outbox] path: {folder} cannot be written to")
    if config.uplink is None:
        remarks.append("[uplink] is absent: readings are kept, never sent")
    elif config.uplink.password_file and not os.access(config.uplink.password_file, os.R_OK):
        remarks.append(f"[uplink] password_file: {config.uplink.password_file} cannot be read")
    if config.board.recording and not os.access(config.board.recording, os.R_OK):
        remarks.append(f"[board] recording: {config.board.recording} cannot be read")
    return remarks + _check_tls(config) + _check_models(config)


def _check_tls(config: GatewayConfig) -> list[str]:
    """Remarks and no errors: what cannot be sent is measured and kept all the same."""
    used: list[tuple[TlsFiles, str]] = []
    if config.uplink is not None and config.uplink.tls is not None:
        used.append((config.uplink.tls, "[uplink]"))
    if config.models is not None and config.models.ca_file is not None:
        used.append((TlsFiles(ca_file=config.models.ca_file), "[models]"))
    remarks = []
    for files, where in used:
        try:
            client_context(files, where)
        except ConfigError as error:
            remarks.append(str(error))
    return remarks


def _check_quantities(config: GatewayConfig) -> list[str]:
    measured = {s.id: quantities_of(s, driver_config(s)) for s in config.sensor}
    remarks = [
        f"[[sensor]] {sensor.id}: decimals: it does not measure {name}"
        for sensor in config.sensor
        for name in sensor.decimals
        if name not in measured[sensor.id]
    ]
    for condition in config.condition:
        for signal in signals_of(condition):
            if signal.quantity not in measured[signal.sensor_id]:
                missing = f"{signal.sensor_id} measures no {signal.quantity}"
                remarks.append(f"[[condition]] {condition.id}: {missing}")
    return remarks


def _check_models(config: GatewayConfig) -> list[str]:
    models = config.models
    if models is None:
        return []
    remarks = [
        f"[models] trusted_keys: {key} cannot be read"
        for key in models.trusted_keys
        if not os.access(key, os.R_OK)
    ]
    folder = Path(models.folder)
    if not os.access(folder if folder.exists() else folder.parent, os.W_OK):
        remarks.append(f"[models] folder: {folder} cannot be written to")
    sensors = {sensor.id for sensor in config.sensor}
    return remarks + [
        f"[[condition]] {condition.id}: names no {quantity} of this gateway: no model can "
        "forecast it"
        for condition in filter(forecastable, config.condition)
        for quantity, signal in zip(MODEL_INPUTS, inputs_of(condition), strict=True)
        if quantity in _NEEDED and (signal is None or signal.sensor_id not in sensors)
    ]
