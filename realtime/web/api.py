"""The API: every route, what it takes, what it answers. The page uses nothing else."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, StreamingResponse

from .access import Access
from .events import Events
from .parts import Parts
from .streams import Streams


def routes(parts: Parts) -> APIRouter:
    """All routes, under `/api`."""
    router = APIRouter(prefix="/api")
    add = router.add_api_route
    access, streams, events = Access(parts), Streams(parts), Events(parts)
    add("/session", access.session, summary="Who the reader is", tags=["access"])
    add("/login", access.login, methods=["POST"], summary="Begin a session", tags=["access"])
    add("/logout", access.logout, methods=["POST"], summary="End the session", tags=["access"])
    add("/streams", streams.streams, summary="Every stream as it is now", tags=["streams"])
    add("/streams", streams.add, methods=["POST"], summary="Start one more stream", tags=["streams"])
    add(
        "/streams/{name}",
        streams.change,
        methods=["PATCH"],
        summary="Change keys of a stream",
        tags=["streams"],
    )
    add("/streams/{name}/settings", streams.settings, summary="What may be changed while it runs",
        tags=["streams"])  # fmt: skip
    add("/streams/{name}", streams.remove, methods=["DELETE"], summary="End a stream", tags=["streams"])
    jpeg: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}}
    add("/streams/{name}/snapshot.jpg", streams.snapshot, response_class=Response, responses=jpeg,
        summary="The newest picture", tags=["streams"])  # fmt: skip
    add("/streams/{name}/preview", streams.preview, response_class=StreamingResponse,
        summary="Two pictures a second, as multipart/x-mixed-replace", tags=["streams"])  # fmt: skip
    add("/live", streams.live, response_class=StreamingResponse,
        summary="Records of schema 1 as server-sent events", tags=["streams"])  # fmt: skip
    add("/events", events.events, summary="What was remembered, newest first", tags=["events"])
    add("/events/count", events.count, summary="How many match", tags=["events"])
    add("/events/{number}", events.event, summary="One event", tags=["events"])
    add(
        "/events/{number}/mark",
        events.mark,
        methods=["PUT"],
        summary="Right, wrong, or what it is",
        tags=["events"],
    )
    add(
        "/events/{number}/mark",
        events.unmark,
        methods=["DELETE"],
        summary="Take a mark back",
        tags=["events"],
    )
    add(
        "/events/{number}/clip.mp4",
        events.clip,
        response_class=FileResponse,
        summary="Its clip",
        tags=["events"],
    )
    add("/events/{number}/thumbnail.jpg", events.thumbnail, response_class=FileResponse,
        summary="Its surest moment", tags=["events"])  # fmt: skip
    add("/events/{number}/labels.vtt", events.labels, response_class=Response,
        summary="What its clip shows, as subtitles", tags=["events"])  # fmt: skip
    add("/names", events.names, summary="Streams and classes ever remembered", tags=["events"])
    add("/statistics", events.statistics, summary="Totals by class, hour and day", tags=["events"])
    add("/health", events.health, summary="Streams and devices", tags=["health"])
    return router
