"""The application: the guard around the API and the page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from ..core.errors import UsageError
from ..core.redact import redact
from ..memory import MemoryFileError
from .api import routes
from .guard import App, Guard, RefusedError
from .parts import Parts

STATIC = Path(__file__).parent / "static"


def make_app(parts: Parts) -> App:
    """An ASGI application of it all."""
    app = FastAPI(
        title="avel-live",
        version=version("avel-live"),
        description="Streams as they are now, and what was remembered of them. Times are ISO 8601.",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.include_router(routes(parts))
    app.add_exception_handler(UsageError, _said(422))
    app.add_exception_handler(MemoryFileError, _said(503))
    app.add_exception_handler(RefusedError, _refused)
    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return Guard(app, parts.doors)


def _said(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(_request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": redact(str(error))}, status)

    return answer


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    headers: dict[str, Any] = {"retry-after": str(error.wait_s)} if error.wait_s else {}
    return JSONResponse({"detail": error.detail}, error.status, headers)
