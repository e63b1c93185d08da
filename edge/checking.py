"""Checks a configuration for problems that the operator should fix before the gateway starts.

Uses neither hardware nor network. Reads the folders and files that the configuration names.
"""

import os
from pathlib import Path

from contract.errors import ConfigError
from contract.quantities import Quantity
from edge.configuration.config import GatewayConfig, ModelsConfig, UplinkConfig
from edge.sensing.hardware import driver_config, quantities_of
from models.advice import advice
from models.conditions import MODEL_INPUTS, forecastable, inputs_of, signals_of
from transport.tls import TlsFiles, client_context

__all__ = ["check"]

_NEEDED = (Quantity.TEMPERATURE, Quantity.HUMIDITY)  # if declared, a model cannot answer without


def check(config: GatewayConfig) -> list[str]:
    """Returns one message per problem; an empty list if there are none.

    Uses neither hardware nor network.

    Raises:
        ConfigError: A driver is unknown or its keys are wrong.
    """
    remarks = _check_quantities(config)
    folder = Path(config.outbox.path).parent
    if not os.access(folder, os.W_OK):
        remarks.append(
            f"[outbox] path: the folder {folder} does not exist, or this account cannot write there"
        )
    if config.uplink is None:
        remarks.append("[uplink] is absent: the gateway stores its readings but never sends them")
    elif config.uplink.password_file and not os.access(config.uplink.password_file, os.R_OK):
        remarks.append(
            f"[uplink] password_file: {config.uplink.password_file} does not exist, or this "
            "account cannot read it"
        )
    if config.board.recording and not os.access(config.board.recording, os.R_OK):
        remarks.append(
            f"[board] recording: {config.board.recording} does not exist, or this account "
            "cannot read it"
        )
    intervals_s = {sensor.id: sensor.interval_s for sensor in config.sensor}
    remarks += advice(config.condition, intervals_s)
    return remarks + _check_tls(config) + _check_models(config)


def _check_tls(config: GatewayConfig) -> list[str]:
    """Returns problems with TLS files. They are no errors: measuring works without TLS."""
    used: list[tuple[TlsFiles, str]] = []
    if config.uplink is not None and config.uplink.tls is not None:
        used.append((config.uplink.tls, "[uplink]"))
    if config.models is not None and config.models.url.startswith("https:"):
        used.append((_own_files(config.models, config.uplink), "[models]"))
    remarks = []
    for files, where in used:
        try:
            client_context(files, where)
        except ConfigError as error:
            remarks.append(str(error))
    return remarks


def _own_files(models: ModelsConfig, uplink: UplinkConfig | None) -> TlsFiles:
    """Returns the files of `[models]` without the certificate of `[uplink]`."""
    if uplink is not None and models.certificate_file == uplink.certificate_file:
        return TlsFiles(ca_file=models.ca_file)
    return models.tls


def _check_quantities(config: GatewayConfig) -> list[str]:
    measured = {s.id: quantities_of(s, driver_config(s)) for s in config.sensor}
    remarks = [
        f"[[sensor]] {sensor.id}: decimals: the driver does not measure {name}"
        for sensor in config.sensor
        for name in sensor.decimals
        if name not in measured[sensor.id]
    ]
    for condition in config.condition:
        for signal in signals_of(condition):
            if signal.quantity not in measured[signal.sensor_id]:
                missing = f"sensor {signal.sensor_id} does not measure {signal.quantity}"
                remarks.append(f"[[condition]] {condition.id}: {missing}")
    return remarks


def _check_credentials(models: ModelsConfig) -> list[str]:
    token = models.token_file
    if token is not None and not os.access(token, os.R_OK):
        return [f"[models] token_file: {token} does not exist, or this account cannot read it"]
    if models.certificate_file is not None or token is not None:
        return []
    text = (
        "[models] has neither a certificate nor a token, so the cloud may refuse to serve bundles. "
        "Set url to an https address, and certificate_file and key_file in [uplink] or [models], "
        "or token_file in [models]"
    )
    return [text]


def _check_models(config: GatewayConfig) -> list[str]:
    models = config.models
    if models is None:
        return []
    remarks = [
        f"[models] trusted_keys: {key} does not exist, or this account cannot read it"
        for key in models.trusted_keys
        if not os.access(key, os.R_OK)
    ]
    remarks += _check_credentials(models)
    folder = Path(models.folder)
    if not os.access(folder if folder.exists() else folder.parent, os.W_OK):
        remarks.append(
            f"[models] folder: {folder} or its parent does not exist, or this account cannot "
            "write there"
        )
    sensors = {sensor.id for sensor in config.sensor}
    return remarks + [
        f"[[condition]] {condition.id}: {quantity}: this gateway has no sensor "
        f"{signal.sensor_id}, so no model can forecast this condition here"
        for condition in filter(forecastable, config.condition)
        for quantity, signal in zip(MODEL_INPUTS, inputs_of(condition), strict=True)
        if quantity in _NEEDED and signal is not None and signal.sensor_id not in sensors
    ]
