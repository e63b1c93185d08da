"""Answers `GET /v1/health?devices=a,b&since=…`: the health of gateways, for a software rollout.

It queries the warehouse in a few threads of its own, with a time limit. While MySQL is down it
answers 503 with the reason, and bundles are still served.
"""

import asyncio
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cloud.api.access import Client
from cloud.clock import Clock
from cloud.config import HealthConfig
from cloud.errors import WarehouseError
from cloud.health.verdict import Asked, GatewayHealth, Verdict
from cloud.instants import LAST_INSTANT, parse_instant, shown_instant
from contract.errors import ConfigError

__all__ = ["MAX_DEVICES", "GatewayHealthEndpoint", "Gateways"]

MAX_DEVICES = 500
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_AT_ONCE = 4  # parallel queries to the warehouse
_WORST = (Verdict.UNHEALTHY, Verdict.UNKNOWN, Verdict.HEALTHY)


class Gateways(Protocol):
    """Source of verdicts."""

    def read(self, devices: Sequence[str], asked: Asked) -> Sequence[GatewayHealth]:
        """Returns one verdict for each device. Raises WarehouseError."""
        ...


class GatewayHealthEndpoint:
    """Endpoint for the health of gateways.

    Args:
        gateways: Source of verdicts; None if no warehouse is configured.
        clock: Clock for ages.
        limits: Time limits.
    """

    def __init__(self, gateways: Gateways | None, clock: Clock, limits: HealthConfig) -> None:
        self._gateways = gateways
        self._clock = clock
        self._limits = limits
        self._threads = ThreadPoolExecutor(_AT_ONCE, "health")

    async def answer(self, request: Request) -> Response:
        """Answers 200 with verdicts, or with a reason 400, 403, or 503 if the warehouse fails.

        The client is in `request.state.client`.
        """
        now = self._clock.utc_ms()
        try:
            devices, since = _question(request)
        except ConfigError as error:
            return _refusal(400, str(error))
        client: Client = request.state.client
        if (forbidden := client.refusal(devices)) is not None:
            return _refusal(403, forbidden)
        if self._gateways is None:
            return _refusal(503, "section [warehouse] is missing in the API's configuration")
        return await self._read(self._gateways, devices, self._asked(now, since))

    async def _read(self, gateways: Gateways, devices: Sequence[str], asked: Asked) -> Response:
        try:
            loop = asyncio.get_running_loop()
            reading = loop.run_in_executor(self._threads, gateways.read, devices, asked)
            found = await asyncio.wait_for(reading, self._limits.answer_s)
        except WarehouseError as error:
            return _refusal(503, str(error))
        except TimeoutError:
            limit_s = self._limits.answer_s
            return _refusal(503, f"the warehouse did not answer within {limit_s:g} s")
        return JSONResponse(_document(found, asked), headers={"cache-control": "no-store"})

    def _asked(self, now: int, since: int | None) -> Asked:
        limits = self._limits
        ledger_from = max(0, now - round(limits.ledger_s * 1000))
        return Asked(now=now, silent_s=limits.silent_s, ledger_from=ledger_from, since=since)


def _refusal(status: int, reason: str) -> Response:
    return JSONResponse({"status": "failed", "reason": reason}, status_code=status)


def _question(request: Request) -> tuple[tuple[str, ...], int | None]:
    unknown = sorted(request.query_params.keys() - {"devices", "since"})
    if unknown:
        raise ConfigError(f"{unknown[0]} is not a parameter: use devices and since")
    devices = tuple(dict.fromkeys(request.query_params.get("devices", "").split(",")))
    if len(devices) > MAX_DEVICES:
        raise ConfigError(f"devices: {len(devices)} names are too many: send at most {MAX_DEVICES}")
    for name in devices:
        if _NAME.fullmatch(name) is None:
            raise ConfigError(
                f"devices: {name[:80]!r} is not a device id: write ids of 1 to 63 characters "
                "a-z, 0-9 and -, separated by commas"
            )
    return devices, _since(request.query_params.get("since"))


def _since(text: str | None) -> int | None:
    if text is None:
        return None
    if text.isascii() and text.isdigit() and int(text) <= LAST_INSTANT:
        return int(text)
    try:
        return parse_instant(text)
    except ConfigError as error:
        # In a URL, a plus means a space.
        raise ConfigError(f"since: {error}, or ms since 1970; write + as %2B") from error


def _document(found: Sequence[GatewayHealth], asked: Asked) -> dict[str, Any]:
    verdicts = {health.verdict for health in found}
    return {
        "as_of": shown_instant(asked.now),
        "since": None if asked.since is None else shown_instant(asked.since),
        "ledger_from": shown_instant(asked.ledger_from),
        "verdict": next(verdict for verdict in _WORST if verdict in verdicts),
        "devices": [_device(health) for health in found],
    }


def _device(health: GatewayHealth) -> dict[str, Any]:
    known = health.known
    return {
        "device_id": known.device_id,
        "verdict": health.verdict,
        "reasons": list(health.reasons),
        "last_received_at": _instant(known.heard_at),
        "last_reading_received_at": _instant(known.reading_at),
        "last_status_received_at": _instant(known.status_at),
        "status": None if known.figures is None else _with_instants(asdict(known.figures)),
        "models": [_with_instants(asdict(model)) for model in known.models],
        "unexplained": known.unexplained,
        "doubled": known.doubled,
        "set_aside_blocks": known.set_aside_blocks,
    }


def _instant(at: int | None) -> str | None:
    return None if at is None else shown_instant(at)


def _with_instants(table: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _instant(value) if name.endswith("_at") else value for name, value in table.items()
    }
