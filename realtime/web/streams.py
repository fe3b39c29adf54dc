"""Routes of streams: what they show now, and what of them may be changed from a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fastapi import HTTPException, Response
from fastapi.responses import StreamingResponse

from ..core.redact import MARK
from ..sinks.watch import Setting
from .answers import Done, StreamView
from .box import Changing
from .parts import Parts

_FROM_OUTSIDE = (
    *("name", "url", "camera", "mic", "rtsp_transport", "size", "fps", "channel", "sync_offset_ms", "settle"),
    *("enter", "leave", "min_event_s", "brief", "hold_s", "cooldown_s", "classes", "ignore"),
)
"""Keys of a stream that may be set from a browser."""
_ADDRESS = re.compile(r"(?i)(https?|rtsps?|rtmps?|srt|rtp|udp)://[^\s]+$")


class Streams:
    """Handlers; see `api.routes` for what each is for."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def streams(self) -> list[StreamView]:
        """Every stream as it is now."""
        return [StreamView.of(now) for now in self._parts.box.streams()]

    def add(self, values: dict[str, Any]) -> Done:
        """Start one more stream."""
        _harmless(values)
        return self._changed(lambda box: box.add(values))

    def change(self, name: str, values: dict[str, Any]) -> Done:
        """Change keys of a stream."""
        _harmless(values)
        self._known(name)
        return self._changed(lambda box: box.change(name, values))

    def settings(self, name: str) -> list[Setting]:
        """What may be changed of a stream while it runs."""
        self._known(name)
        return list(self._changing().settings(name))

    def remove(self, name: str) -> Done:
        """End a stream."""
        self._known(name)
        return self._changed(lambda box: box.remove(name))

    def _changed(self, what: Callable[[Changing], str]) -> Done:
        return Done(what(self._changing()))

    def _changing(self) -> Changing:
        if not isinstance(self._parts.box, Changing):
            raise HTTPException(409, "avel-live has one stream; avel serve has several")
        return self._parts.box

    def snapshot(self, name: str) -> Response:
        """The newest picture, as JPEG."""
        self._known(name)
        picture = self._parts.box.snapshot(name)
        if picture is None:
            raise HTTPException(404, f"{name} has no picture now")
        return Response(picture, media_type="image/jpeg", headers={"cache-control": "no-store"})

    def preview(self, name: str) -> StreamingResponse:
        """Two pictures a second, as multipart/x-mixed-replace."""
        self._known(name)
        self._parts.live.seat()
        kind = "multipart/x-mixed-replace; boundary=picture"
        return StreamingResponse(self._parts.live.pictures(name), media_type=kind)

    def live(self) -> StreamingResponse:
        """Records of schema 1, as server-sent events."""
        self._parts.live.seat()
        head = {"x-accel-buffering": "no", "cache-control": "no-store"}
        return StreamingResponse(self._parts.live.records(), media_type="text/event-stream", headers=head)

    def _known(self, name: str) -> None:
        if name not in {now.name for now in self._parts.box.streams()}:
            raise HTTPException(404, "no stream of that name")


def _harmless(values: dict[str, Any]) -> None:
    """See that only streams and thresholds are changed: who may look must not run programs or write files.

    Raises:
        HTTPException: a key that only the file may set, an address that is none of a network's, or one as it
            is shown, without its secrets.

    """
    for key, value in values.items():
        if key not in _FROM_OUTSIDE:
            raise HTTPException(403, f"{key[:100]}: only avel.toml sets it; here: {', '.join(_FROM_OUTSIDE)}")
        plain = (key == "camera" and str(value).isdecimal()) or value in ("none", None)
        if key in ("url", "camera") and not plain and not _ADDRESS.match(str(value)):
            raise HTTPException(403, f"{key}: expected an address such as rtsp://… or http://…")
        if key in ("url", "camera") and MARK in str(value):
            raise HTTPException(422, f"{key}: {MARK} hides a password here; type the whole address")
