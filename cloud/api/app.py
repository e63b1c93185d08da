"""What the API answers: files of the registry by name, and how gateways and it itself fare.

Bundles come from the registry's folder alone: they are handed out whatever else is away. A bundle
never changes under its name, so the name is the ETag and answers may be kept for ever. Gateways
verify what they fetch; no bundle is secret. Verdicts on gateways come from the warehouse, see
`cloud.api.gateways`.
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
_FOREVER = "public, max-age=31536000, immutable"


def make_app(folder: Path, gateways: GatewayHealthEndpoint) -> Starlette:
    """The application.

    Args:
        folder: The registry's; it need not be there yet.
        gateways: Answers how gateways fare.
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
        return PlainTextResponse("no such bundle\n", status_code=404)
    headers = {"etag": f'"{match[1]}"', "cache-control": _FOREVER}
    if match[1] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return FileResponse(
        path, headers=headers, media_type="application/octet-stream", stat_result=found
    )


def _regular(path: Path) -> os.stat_result | None:
    """Its state if it is a file of the folder itself: no link leads out of it."""
    try:
        found = path.lstat()
    except OSError:  # gone or unreadable: either way there is nothing to hand out
        return None
    return found if stat.S_ISREG(found.st_mode) else None


async def _health(folder: Path) -> Response:
    if await run_in_threadpool(_readable, folder):
        return JSONResponse({"status": "ok"})
    text = "the registry's folder cannot be read"
    return JSONResponse({"status": "failed", "reason": text}, status_code=503)


def _readable(folder: Path) -> bool:
    """A folder that is not there yet has no bundle yet; its parent must be there."""
    there = folder if folder.exists() else folder.parent
    return os.access(there, os.R_OK | os.X_OK)
