"""Converts the cloud's forecasts to search documents, and installs their index template."""

import json
from dataclasses import asdict
from datetime import UTC, date, datetime

from cloud.forecast import FORECAST_COLUMNS, Forecast
from cloud.search.bulk import Document
from cloud.search.names import IndexNames
from cloud.search.templates import TIMESTAMP, TemplateTarget, mapping_of, template

__all__ = ["document_id", "document_of", "install_template"]


def install_template(target: TemplateTarget, names: IndexNames) -> None:
    """Install or update the template of the forecasts' indices."""
    target.ensure_template(names.forecasts, template(names.forecasts, FORECAST_COLUMNS))
    target.extend_mapping(names.forecasts, mapping_of(FORECAST_COLUMNS))


def document_of(forecast: Forecast, names: IndexNames) -> Document:
    """Return the forecast as a document of the index of its day."""
    fields = asdict(forecast) | {TIMESTAMP: forecast.issued_at}
    body = json.dumps(fields, separators=(",", ":"), allow_nan=False)
    return Document(names.forecast(_day(forecast.issued_at)), document_id(forecast), body)


def document_id(forecast: Forecast) -> str:
    """Return the id `device:stream:seq:condition:model:version`."""
    f = forecast
    return ":".join((f.device_id, f.stream_id, str(f.seq), f.condition_id, f.model, f.version))


def _day(at_ms: int) -> date:
    return datetime.fromtimestamp(at_ms // 1000, tz=UTC).date()
