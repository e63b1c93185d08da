"""Reads the state of Logstash's pipelines from its API, `GET /_health_report`."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloud.errors import ProjectionError
from cloud.logstash.http_client import open_connection
from contract.errors import ConfigError

__all__ = ["NodeApi", "PipelineHealth"]

_KEY = "logstash_api_url"
_PATH = "/_health_report"


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineHealth:
    """Health of one pipeline.

    Attributes:
        state: LOADING, RUNNING, FINISHED, TERMINATED or UNKNOWN.
        status: green, yellow, red or unknown.
        symptom: Logstash's description.
    """

    state: str
    status: str
    symptom: str


class NodeApi:
    """The API of one Logstash, 8.16 or later; it has no account."""

    def __init__(self, url: str, *, ca_file: str | None = None, answer_s: float = 10.0) -> None:
        """Validate the address, without connecting.

        Raises:
            ConfigError: The address is not valid, or the CA file cannot be read.
        """
        self._url = url
        self._connection = open_connection(url, _KEY, ca_file=ca_file, timeout_s=answer_s)

    def pipelines(self) -> dict[str, PipelineHealth]:
        """Return the health of each pipeline that Logstash knows, by id.

        Raises:
            ProjectionError: Logstash does not answer.
            ConfigError: The answer is not a health report.
        """
        try:
            self._connection.request("GET", _PATH)
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ProjectionError(
                f"{self._url}: no answer: {error}; is Logstash running?"
            ) from error
        finally:
            self._connection.close()
        try:
            return _pipelines(json.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"[search] {_KEY}: {self._url}{_PATH} answers {response.status} without a health "
                "report: set the address of Logstash's API, such as http://127.0.0.1:9600"
            ) from error


def _pipelines(report: Mapping[str, Any]) -> dict[str, PipelineHealth]:
    found = report["indicators"]["pipelines"].get("indicators", {})
    return {
        name: PipelineHealth(
            state=str(one.get("details", {}).get("status", {}).get("state", "UNKNOWN")),
            status=str(one.get("status", "unknown")),
            symptom=str(one.get("symptom", "")),
        )
        for name, one in found.items()
    }
