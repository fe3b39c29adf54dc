"""Routes of what was remembered: events, their clips and marks, statistics, states of devices."""

from __future__ import annotations

from datetime import date, datetime, timezone
from pathlib import Path
from typing import Annotated, Any

from fastapi import HTTPException, Query, Request, Response
from fastapi.responses import FileResponse

from ..core.clock import wall_clock_s
from ..core.text import one_line
from ..memory import Filter, Memory
from ..memory.tend import mark as keep_mark
from ..memory.times import moment_us, offset_s
from .answers import EventPage, EventView, Health, Mark, Names, StateView, Statistics
from .parts import Parts

_MOST = 500
_DAY_ZERO = date(1970, 1, 1)


class Events:
    """Handlers; see `api.routes` for what each is for."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

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
        """What was remembered, newest first."""
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
        """How many match."""
        if self._parts.memory is None:
            return 0
        return self._parts.memory.count(_filter(since, until, label, stream, min_confidence, False, False))

    def event(self, number: int) -> EventView:
        """One event."""
        return EventView.of(self._event(number))

    def mark(self, number: int, mark: Mark) -> EventView:
        """Keep whether it was right, wrong, or what it is."""
        if (mark.label is not None) != (mark.verdict == "other") or mark.label == "":
            raise HTTPException(422, "label: to be given with the verdict other, and only then")
        event = self._event(number)
        label = None if mark.label is None else one_line(mark.label)[:200]
        keep_mark(self._remembering().path, event.id, mark.verdict, round(wall_clock_s() * 1e6), label)
        return EventView.of(self._event(number))

    def unmark(self, number: int) -> EventView:
        """Take a mark back."""
        event = self._event(number)
        keep_mark(self._remembering().path, event.id, None, round(wall_clock_s() * 1e6))
        return EventView.of(self._event(number))

    def clip(self, number: int, request: Request) -> FileResponse:
        """Its clip."""
        if "," in request.headers.get("range", ""):
            raise HTTPException(416, "one range at a time")
        return self._file(self._event(number).clip, ".mp4", "video/mp4")

    def thumbnail(self, number: int) -> FileResponse:
        """Its surest moment."""
        return self._file(self._event(number).thumbnail, ".jpg", "image/jpeg")

    def labels(self, number: int) -> Response:
        """What its clip shows, as subtitles."""
        event = self._event(number)
        began_us = event.start_us if event.clip_start_us is None else event.clip_start_us
        return Response(webvtt(self._remembering().beside(number), began_us), media_type="text/vtt")

    def names(self) -> Names:
        """Streams and classes ever remembered."""
        memory = self._parts.memory
        return Names([], []) if memory is None else Names(memory.streams(), memory.labels())

    def statistics(
        self,
        since: date | None = None,
        until: date | None = None,
        stream: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006
    ) -> Statistics:
        """Totals by class, hour and day."""
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
        """Streams and devices."""
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
