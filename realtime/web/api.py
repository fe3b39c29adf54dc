"""The API: every route, what it takes, what it answers. The page uses nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse

from ..core.clock import wall_clock_s
from ..core.text import one_line
from ..memory import Filter, Memory
from ..memory.tend import mark as keep_mark
from ..memory.times import moment_us, offset_s
from ..sinks.watch import Setting
from .answers import (
    Done,
    EventPage,
    EventView,
    Health,
    Login,
    Mark,
    Names,
    SessionView,
    StateView,
    Statistics,
    StreamView,
)
from .box import Box, Changing
from .guard import COOKIE, Doors, RefusedError
from .live import Live
from .sessions import SESSION_S

_MOST = 500
_FROM_OUTSIDE = (
    *("name", "url", "camera", "mic", "rtsp_transport", "size", "fps", "channel", "sync_offset_ms", "settle"),
    *("enter", "leave", "min_event_s", "brief", "hold_s", "cooldown_s", "classes", "ignore"),
)
"""Keys of a stream that may be set from a browser."""
_ADDRESS = re.compile(r"(?i)(https?|rtsps?|rtmps?|srt|rtp|udp)://[^\s]+$")
_DAY_ZERO = date(1970, 1, 1)


@dataclass(frozen=True)
class Parts:
    """What the routes work with."""

    box: Box
    memory: Memory | None
    """None where nothing is remembered."""
    folders: Callable[[], tuple[Path, ...]]
    """Says where clips may lie; nothing else is ever sent."""
    doors: Doors
    live: Live
    secure: bool
    """Whether the page is reached by https."""


def routes(parts: Parts) -> APIRouter:
    """All routes, under `/api`."""
    router = APIRouter(prefix="/api")
    add = router.add_api_route
    handlers = _Handlers(parts)
    add("/session", handlers.session, summary="Who the reader is", tags=["access"])
    add("/login", handlers.login, methods=["POST"], summary="Begin a session", tags=["access"])
    add("/logout", handlers.logout, methods=["POST"], summary="End the session", tags=["access"])
    add("/streams", handlers.streams, summary="Every stream as it is now", tags=["streams"])
    add("/streams", handlers.add, methods=["POST"], summary="Start one more stream", tags=["streams"])
    add(
        "/streams/{name}",
        handlers.change,
        methods=["PATCH"],
        summary="Change keys of a stream",
        tags=["streams"],
    )
    add("/streams/{name}/settings", handlers.settings, summary="What may be changed while it runs",
        tags=["streams"])  # fmt: skip
    add("/streams/{name}", handlers.remove, methods=["DELETE"], summary="End a stream", tags=["streams"])
    jpeg: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}}
    add("/streams/{name}/snapshot.jpg", handlers.snapshot, response_class=Response, responses=jpeg,
        summary="The newest picture", tags=["streams"])  # fmt: skip
    add("/streams/{name}/preview", handlers.preview, response_class=StreamingResponse,
        summary="Two pictures a second, as multipart/x-mixed-replace", tags=["streams"])  # fmt: skip
    add("/live", handlers.live, response_class=StreamingResponse,
        summary="Records of schema 1 as server-sent events", tags=["streams"])  # fmt: skip
    add("/events", handlers.events, summary="What was remembered, newest first", tags=["events"])
    add("/events/count", handlers.count, summary="How many match", tags=["events"])
    add("/events/{number}", handlers.event, summary="One event", tags=["events"])
    add(
        "/events/{number}/mark",
        handlers.mark,
        methods=["PUT"],
        summary="Right, wrong, or what it is",
        tags=["events"],
    )
    add(
        "/events/{number}/mark",
        handlers.unmark,
        methods=["DELETE"],
        summary="Take a mark back",
        tags=["events"],
    )
    add(
        "/events/{number}/clip.mp4",
        handlers.clip,
        response_class=FileResponse,
        summary="Its clip",
        tags=["events"],
    )
    add("/events/{number}/thumbnail.jpg", handlers.thumbnail, response_class=FileResponse,
        summary="Its surest moment", tags=["events"])  # fmt: skip
    add("/events/{number}/labels.vtt", handlers.labels, response_class=Response,
        summary="What its clip shows, as subtitles", tags=["events"])  # fmt: skip
    add("/names", handlers.names, summary="Streams and classes ever remembered", tags=["events"])
    add("/statistics", handlers.statistics, summary="Totals by class, hour and day", tags=["events"])
    add("/health", handlers.health, summary="Streams and devices", tags=["health"])
    return router


class _Handlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    # Access -------------------------------------------------------------------------------------------

    def session(self, request: Request, response: Response) -> SessionView:
        doors, session = self._parts.doors, request.scope["state"]["session"]
        if session is None and doors.open:
            session = doors.sessions.begin("")
            self._cookie(response, session.id)
        changing = isinstance(self._parts.box, Changing)
        if session is None:
            by_token = "authorization" in request.headers  # a wrong one did not come as far as here
            return SessionView(None, None, not by_token and not doors.open, changing)
        return SessionView(session.user or None, session.csrf, False, changing)

    async def login(self, given: Login, request: Request, response: Response) -> SessionView:
        doors = self._parts.doors
        address = request.client.host if request.client else ""
        if wait_s := doors.attempts.wait_s(address):
            raise RefusedError(429, "too many wrong passwords", wait_s)
        if len(given.password) > 1024 or doors.passwords is None:
            raise RefusedError(401, "no password is asked for here" if doors.passwords is None else "wrong")
        # Counted before it is looked at: many at a time are no way around it.
        doors.attempts.wrong(address)
        if not await to_thread.run_sync(doors.passwords.right, given.user, given.password):
            raise RefusedError(401, "name or password is wrong")
        doors.attempts.forgive(address)
        session = doors.sessions.begin(given.user)
        self._cookie(response, session.id)
        return SessionView(session.user, session.csrf, False, isinstance(self._parts.box, Changing))

    def logout(self, request: Request, response: Response) -> Done:
        session = request.scope["state"]["session"]
        if session is not None:
            self._parts.doors.sessions.end(session.id)
        response.delete_cookie(COOKIE, path="/")
        return Done("logged out")

    def _cookie(self, response: Response, value: str) -> None:
        response.set_cookie(
            COOKIE,
            value,
            max_age=SESSION_S,
            path="/",
            httponly=True,
            samesite="strict",
            secure=self._parts.secure,
        )

    # Streams ------------------------------------------------------------------------------------------

    def streams(self) -> list[StreamView]:
        return [StreamView.of(now) for now in self._parts.box.streams()]

    def add(self, values: dict[str, Any]) -> Done:
        _harmless(values)
        return self._changed(lambda box: box.add(values))

    def change(self, name: str, values: dict[str, Any]) -> Done:
        _harmless(values)
        self._known(name)
        return self._changed(lambda box: box.change(name, values))

    def settings(self, name: str) -> list[Setting]:
        self._known(name)
        return list(self._changing().settings(name))

    def remove(self, name: str) -> Done:
        self._known(name)
        return self._changed(lambda box: box.remove(name))

    def _changed(self, what: Callable[[Changing], str]) -> Done:
        return Done(what(self._changing()))

    def _changing(self) -> Changing:
        if not isinstance(self._parts.box, Changing):
            raise HTTPException(409, "avel-live has one stream; avel serve has several")
        return self._parts.box

    def snapshot(self, name: str) -> Response:
        self._known(name)
        picture = self._parts.box.snapshot(name)
        if picture is None:
            raise HTTPException(404, f"{name} has no picture now")
        return Response(picture, media_type="image/jpeg", headers={"cache-control": "no-store"})

    def preview(self, name: str) -> StreamingResponse:
        self._known(name)
        self._parts.live.seat()
        kind = "multipart/x-mixed-replace; boundary=picture"
        return StreamingResponse(self._parts.live.pictures(name), media_type=kind)

    def live(self) -> StreamingResponse:
        self._parts.live.seat()
        head = {"x-accel-buffering": "no", "cache-control": "no-store"}
        return StreamingResponse(self._parts.live.records(), media_type="text/event-stream", headers=head)

    def _known(self, name: str) -> None:
        if name not in {now.name for now in self._parts.box.streams()}:
            raise HTTPException(404, "no stream of that name")

    # Events -------------------------------------------------------------------------------------------

    def events(
        self,
        since: str | None = None,
        until: str | None = None,
        label: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006 — FastAPI copies it
        stream: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006
        min_confidence: Annotated[float, Query(ge=0, le=1)] = 0.0,
        clips: bool = False,
        retracted: bool = False,
        limit: Annotated[int, Query(ge=1, le=_MOST)] = 50,
        before: Annotated[str | None, Query(pattern=r"^-?\d{1,18}\.\d{1,18}$")] = None,
    ) -> EventPage:
        if self._parts.memory is None:
            return EventPage([], None)
        which = _filter(since, until, label, stream, min_confidence, clips, retracted)
        behind = None
        if before is not None:
            at, _, number = before.partition(".")
            behind = int(at), int(number)
        found = self._parts.memory.events(which, limit=limit, before=behind)
        after = f"{found[-1].start_us}.{found[-1].id}" if len(found) == limit else None
        return EventPage([EventView.of(event) for event in found], after)

    def count(
        self,
        since: str | None = None,
        until: str | None = None,
        label: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006
        stream: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006
        min_confidence: Annotated[float, Query(ge=0, le=1)] = 0.0,
    ) -> int:
        if self._parts.memory is None:
            return 0
        return self._parts.memory.count(_filter(since, until, label, stream, min_confidence, False, False))

    def event(self, number: int) -> EventView:
        return EventView.of(self._event(number))

    def mark(self, number: int, mark: Mark) -> EventView:
        if (mark.label is not None) != (mark.verdict == "other") or mark.label == "":
            raise HTTPException(422, "label: to be given with the verdict other, and only then")
        event = self._event(number)
        label = None if mark.label is None else one_line(mark.label)[:200]
        keep_mark(self._remembering().path, event.id, mark.verdict, round(wall_clock_s() * 1e6), label)
        return EventView.of(self._event(number))

    def unmark(self, number: int) -> EventView:
        event = self._event(number)
        keep_mark(self._remembering().path, event.id, None, round(wall_clock_s() * 1e6))
        return EventView.of(self._event(number))

    def clip(self, number: int, request: Request) -> FileResponse:
        if "," in request.headers.get("range", ""):
            raise HTTPException(416, "one range at a time")
        return self._file(self._event(number).clip, ".mp4", "video/mp4")

    def thumbnail(self, number: int) -> FileResponse:
        return self._file(self._event(number).thumbnail, ".jpg", "image/jpeg")

    def labels(self, number: int) -> Response:
        event = self._event(number)
        began_us = event.start_us if event.clip_start_us is None else event.clip_start_us
        return Response(webvtt(self._remembering().beside(number), began_us), media_type="text/vtt")

    def names(self) -> Names:
        memory = self._parts.memory
        return Names([], []) if memory is None else Names(memory.streams(), memory.labels())

    def statistics(
        self,
        since: date | None = None,
        until: date | None = None,
        stream: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006
    ) -> Statistics:
        last = until or datetime.now(timezone.utc).astimezone().date()
        first = since or date.fromordinal(max(1, last.toordinal() - 6))
        if self._parts.memory is None:
            return Statistics(first.isoformat(), last.isoformat(), {}, {}, {})
        days = (first - _DAY_ZERO).days, (last - _DAY_ZERO).days + 1
        totals = self._parts.memory.totals(*days, stream)
        zero = _DAY_ZERO.toordinal()
        by_day = {date.fromordinal(zero + day).isoformat(): n for day, n in totals.by_day.items()}
        return Statistics(first.isoformat(), last.isoformat(), totals.by_hour, by_day, totals.lasted_s)

    def health(self) -> Health:
        streams = self._parts.box.streams()
        memory = self._parts.memory
        away = {now.name: now.away for now in streams if now.away}
        healthy = not away and all(now.state in ("running", "opening") for now in streams)
        states = {now.name: now.state for now in streams}
        if memory is None:
            return Health(healthy, dict(states), away, False)
        offset = offset_s(round(wall_clock_s() * 1e6))
        kept = [[StateView.of(one, offset) for one in many] for many in (memory.states(), memory.history(50))]
        return Health(healthy, dict(states), away, True, *kept)

    def _remembering(self) -> Memory:
        if self._parts.memory is None:
            raise HTTPException(404, "nothing is remembered here; start with --memory")
        return self._parts.memory

    def _event(self, number: int) -> Any:
        if not 0 <= number < 2**63 or (event := self._remembering().event(number)) is None:
            raise HTTPException(404, "no such event")
        return event

    def _file(self, name: str | None, suffix: str, kind: str) -> FileResponse:
        """A file of a clip, out of the folders of clips and from nowhere else."""
        if name is not None:
            path = Path(name).resolve()
            inside = any(path.is_relative_to(folder.resolve()) for folder in self._parts.folders())
            if inside and path.suffix == suffix and path.is_file():
                return FileResponse(path, media_type=kind, headers={"cache-control": "private, max-age=3600"})
        raise HTTPException(404, "no such file (any more)")


def _harmless(values: dict[str, Any]) -> None:
    """See that only streams and thresholds are changed: who may look must not run programs or write files.

    Raises:
        HTTPException: a key that only the file may set, or an address that is none of a network's.

    """
    for key, value in values.items():
        if key not in _FROM_OUTSIDE:
            raise HTTPException(403, f"{key[:100]}: only avel.toml sets it; here: {', '.join(_FROM_OUTSIDE)}")
        plain = (key == "camera" and str(value).isdecimal()) or value == "none"
        if key in ("url", "camera") and not plain and not _ADDRESS.match(str(value)):
            raise HTTPException(403, f"{key}: expected an address such as rtsp://… or http://…")


def _filter(
    since: str | None, until: str | None, label: list[str], stream: list[str], min_confidence: float,
    clips: bool, retracted: bool,
) -> Filter:  # fmt: skip
    now = datetime.now(timezone.utc).astimezone()

    def instant(text: str | None, *, end: bool) -> int | None:
        try:
            return moment_us(text, now, end=end) if text else None
        except (ValueError, OverflowError) as error:
            raise HTTPException(422, str(error)) from None

    return Filter(
        instant(since, end=False), instant(until, end=True), tuple(label), tuple(stream), min_confidence,
        retracted, clips,
    )  # fmt: skip


def webvtt(events: list[Any], began_us: int) -> str:
    """What a clip shows, as a track of labels."""

    def stamp(us: int) -> str:
        ms = max(0, us) // 1000
        return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"

    cues = ["WEBVTT"]
    for event in events:
        end_us = max(event.end_us or 0, event.start_us + 1_000_000) - began_us
        text = one_line(f"{event.label} ({event.confidence:.0%})")
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        cues.append(f"{event.id}\n{stamp(event.start_us - began_us)} --> {stamp(end_us)}\n{text}")
    return "\n\n".join(cues) + "\n"
