"""What stands beside a clip: its name, its thumbnail, its record."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from ...core.messages import Event, StreamStart
from ...core.names import slug
from ..overlay import jpeg, with_attention
from ..records import event_record
from .openclip import OpenClip


def stem_of(event: Event, stream: str, zero_s: float | None) -> str:
    """What the files of a clip are called, by its first event.

    Args:
        event: the one.
        stream: its name.
        zero_s: time of day where the stream began, Unix seconds; None where nobody knows.

    """
    if zero_s is None:
        when = f"t{event.start_s:08.1f}"
    else:
        when = datetime.fromtimestamp(zero_s + event.start_s, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return f"{when}_{slug(stream)}_{slug(event.name)}_e{event.id}"


def thumbnail(path: Path, clip: OpenClip, begin_s: float) -> bytes | None:
    """The surest moment, decoded from the finished clip: what is shown is what was kept. A JPEG."""
    import av

    wanted_s = max(0.0, clip.best_s - begin_s)
    image = None
    with av.open(str(path.absolute())) as container:
        if not container.streams.video:
            return None
        for frame in container.decode(video=0):
            image = frame
            if frame.time is not None and frame.time >= wanted_s:
                break
    if image is None:
        return None
    rgb = np.asarray(image.to_ndarray(format="rgb24"), np.uint8)
    return jpeg(rgb if clip.attention is None else with_attention(rgb, clip.attention))


def clip_record(
    clip: OpenClip, start: StreamStart, begin_s: float, end_s: float, *, zero_s: float | None, truncated: bool
) -> dict[str, Any]:
    """What a clip shows, for its JSON: times, events, the surest moment; `zero_s` as of `stem_of`."""
    events = sorted(clip.events.values(), key=lambda event: event.start_s)
    wall = None if zero_s is None else zero_s + begin_s
    return {
        "source": start.source.name,
        "start_s": round(begin_s, 3),
        "end_s": round(end_s, 3),
        "wall_clock": None if wall is None else datetime.fromtimestamp(wall, timezone.utc).isoformat(),
        "truncated": truncated,
        "events": [event_record(event, start.labels) for event in events],
        "surest": None
        if clip.attention is None
        else {
            "time_s": clip.best_s,
            "confidence": round(clip.best, 4),
            "attention": np.round(clip.attention, 4).tolist(),
        },
    }
