"""Defines the HTTP API: bundles by name, the API's own health, and the health of gateways.

Bundles need only the registry's folder, so they are served even if all servers are down. A bundle
never changes under its name, so the name is the ETag and clients may keep answers for ever. The
health of gateways comes from the warehouse (`cloud.api.gateways`). `cloud.api.guard` decides who
may use the application.
"""

import os
import re
import stat
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from cloud.api.gateways import GatewayHealthEndpoint
from cloud.registry import bundle_path

__all__ = ["make_app"]

_NAME = re.compile(r"([0-9a-f]{64})\.dwb")
_FOREVER = "private, max-age=31536000, immutable"


def make_app(folder: Path, gateways: GatewayHealthEndpoint) -> Starlette:
    """Makes the application.

    Args:
        folder: The registry's folder; it need not exist yet.
        gateways: Endpoint for the health of gateways.
    """

    async def bundle(request: Request) -> Response:
        return await _bundle(folder, request)

    async def health(_request: Request) -> Response:
        return await _health(folder)

    return Starlette(
        routes=[
            Route("/bundles/{name}", bundle, methods=["GET"]),  # HEAD comes with it
            Route("/health", health, methods=["GET"]),
            Route("/v1/health", gateways.answer, methods=["GET"]),
        ]
    )


async def _bundle(folder: Path, request: Request) -> Response:
    match = _NAME.fullmatch(request.path_params["name"])
    if match is None:
        return PlainTextResponse("bundles are named <sha256>.dwb\n", status_code=404)
    path = bundle_path(folder, match[1])
    found = await run_in_threadpool(_regular, path)
    if found is None:
        return PlainTextResponse("this registry has no such bundle\n", status_code=404)
    headers = {"etag": f'"{match[1]}"', "cache-control": _FOREVER}
    if match[1] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return FileResponse(
        path, headers=headers, media_type="application/octet-stream", stat_result=found
    )


def _regular(path: Path) -> os.stat_result | None:
    """Returns the file's state; None unless it is a regular file, and not a link elsewhere."""
    try:
        found = path.lstat()
    except OSError:  # missing or unreadable: either way it cannot be served
        return None
    return found if stat.S_ISREG(found.st_mode) else None


async def _health(folder: Path) -> Response:
    if await run_in_threadpool(_readable, folder):
        return JSONResponse({"status": "ok"})
    text = "the registry's folder ([registry] folder) cannot be read"
    return JSONResponse({"status": "failed", "reason": text}, status_code=503)


def _readable(folder: Path) -> bool:
    """Returns whether the folder can be read; before the first bundle, its parent counts."""
    there = folder if folder.exists() else folder.parent
    return os.access(there, os.R_OK | os.X_OK)
