"""What is known of a stream right now, and the records of all as they come, for whoever looks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ..core.messages import Event, Hop, Status, StreamEnd, StreamStart, TimedAudio, TimedFrame
from .base import Sink
from .presence import Presence
from .records import (
    Record,
    end_records,
    event_record,
    hop_records,
    of_stream,
    start_record,
    status_record,
)

Life = Literal["opening", "running", "waiting", "ended", "failed"]
"""Of a stream: being opened, giving answers, waiting for its source to come back, over, given up."""

_WIDTH: Final = 480
_QUALITY: Final = 85
_SECONDS: Final = 10
_WAITING: Final = 2_000
"""Records that wait for a subscriber; of one that does not take them the oldest go."""


@dataclass(frozen=True)
class Second:
    """What was said of one second of a stream."""

    index: int
    label: str
    confidence: float
    settled: bool


@dataclass(frozen=True)
class StreamState:
    """A stream as it is now."""

    name: str
    source: str = ""
    """Address or devices, without secrets."""
    state: Life = "opening"
    reason: str = ""
    """Why it is in that state, where it is not running."""
    away: dict[str, str] = field(default_factory=dict)
    """Devices that do not deliver, and why."""
    label: str = ""
    confidence: float = 0.0
    """Of the newest second, provisional."""
    events: tuple[Record, ...] = ()
    """What is going on, as `event` records."""
    level_dbfs: float = -120.0
    attention: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    """[7, 7], summing to 1: where in the picture the sound was found."""
    start: Record | None = None
    """The `start` record of this run."""
    hop: Record | None = None
    """The newest `hop` record."""
    seconds: tuple[Second, ...] = ()
    """The last ten, oldest first."""
    frames_per_segment: int = 0
    runs: int = 0
    """How often it was started."""
    followed: bool = False
    """Whether it is a stream of another box, which can't be changed here."""


@dataclass(frozen=True)
class Setting:
    """A key of a stream that may be changed while it runs."""

    key: str
    kind: Literal["integer", "number", "text", "names", "address", "choice"]
    value: int | float | str | list[str] | None
    """What was said for this stream, without secrets; None = nothing."""
    common: int | float | str | list[str] | None
    """What holds then: what was said for all streams, or the default; None = by calibration."""
    minimum: float | None
    maximum: float | None
    help: str
    choices: tuple[str, ...] = ()
    """Of a `choice`: what it may be."""


class Bell:
    """Hands the records of all streams to whoever subscribed; costs nothing where nobody did."""

    def __init__(self) -> None:
        self._subscriptions: tuple[Subscription, ...] = ()
        self._lock = threading.Lock()

    @property
    def heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._subscriptions)

    def subscribe(self) -> Subscription:
        """Every record from now on."""
        new = Subscription(self._leave)
        with self._lock:
            self._subscriptions = (*self._subscriptions, new)
        return new

    def ring(self, record: Record) -> None:
        """A record, to all; never waits."""
        for one in self._subscriptions:
            one.put(record)

    def _leave(self, who: Subscription) -> None:
        with self._lock:
            self._subscriptions = tuple(one for one in self._subscriptions if one is not who)


class Subscription:
    """Records on their way to one reader; a context manager."""

    def __init__(self, leave: Callable[[Subscription], None]) -> None:
        self._leave = leave
        self._records: deque[Record] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.lost = 0
        """Records that went because they were not taken in time."""

    def put(self, record: Record) -> None:
        """One more; the oldest goes where there is no room."""
        with self._changed:
            if len(self._records) >= _WAITING:
                self._records.popleft()
                self.lost += 1
            self._records.append(record)
            self._changed.notify()

    def get(self, timeout_s: float) -> Record | None:
        """The next record; None when none came in time, or it was closed."""
        with self._changed:
            if not self._records and not self._closed:
                self._changed.wait(timeout_s)
            return self._records.popleft() if self._records else None

    def close(self) -> None:
        """No more; whoever waits is let go."""
        self._leave(self)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Watch(Sink):
    """Remembers what one stream is doing, and rings the bell.

    Args:
        name: of the stream.
        bell: of all streams.

    """

    def __init__(self, name: str, bell: Bell) -> None:
        self._bell = bell
        self._now = StreamState(name)
        self._hop: Hop | None = None
        self._labels: tuple[str, ...] = ()
        self._open: dict[int, Event] = {}
        self._seconds: dict[int, Second] = {}
        self._presence = Presence()
        self._picture: TimedFrame | None = None
        self._lock = threading.Lock()

    def now(self) -> StreamState:
        """All of it, made when somebody asks."""
        with self._lock:
            state, hop, labels = self._now, self._hop, self._labels
            away = {device: f"{s.state}: {s.reason}" for device, s in self._presence.all.items()}
            seconds = tuple(self._seconds[index] for index in sorted(self._seconds)[-_SECONDS:])
            events = tuple(of_stream(event_record(e, labels), state.name) for e in self._open.values())
        if hop is None:
            return replace(state, away=away)
        return replace(
            state,
            away=away,
            label=labels[hop.label],
            confidence=hop.confidence,
            events=events,
            seconds=seconds,
            level_dbfs=hop.audio_level_dbfs,
            attention=hop.scores.attention[-1],
            hop=of_stream(next(hop_records(hop, labels)), state.name),
            frames_per_segment=hop.frames_per_segment,
        )

    def snapshot(self) -> bytes | None:
        """The newest picture as a JPEG file, in its true proportions; None where there is none."""
        picture = self._picture
        return None if picture is None else jpeg(picture)

    def life(self, state: Life, reason: str = "", source: str = "") -> None:
        """The stream comes, goes, or waits."""
        with self._lock:
            self._now = replace(self._now, state=state, reason=reason, source=source or self._now.source)
            if state != "running":
                self._hop, self._picture = None, None
                self._open.clear()
                self._seconds.clear()
        self._ring({"type": "stream", "state": state, "reason": reason})

    def start(self, start: StreamStart) -> None:
        """It runs."""
        record = start_record(start)
        with self._lock:
            self._labels = start.labels
            self._now = replace(
                self._now,
                state="running",
                reason="",
                source=start.source.name,
                start=of_stream(record, self._now.name),
                runs=self._now.runs + 1,
            )
        self._ring(record)

    def hop(self, record: Hop) -> None:
        """Remember the newest, without the pictures and sound of its second."""
        from .thread import without_media

        with self._lock:
            self._hop = without_media(record)
            self._say_second(record.segment.index, record.label, record.confidence, settled=False)
            for one in record.settled:
                self._say_second(one.index, one.label, one.confidence, settled=True)
            for event in record.events:
                self._open.pop(event.id, None)
                if event.kind in ("start", "update"):
                    self._open[event.id] = event
        if self._bell.heard:
            for line in hop_records(record, self._labels):
                self._ring(line)

    def _say_second(self, index: int, label: int, confidence: float, *, settled: bool) -> None:
        self._seconds[index] = Second(index, self._labels[label], float(confidence), settled)
        for old in sorted(self._seconds)[:-_SECONDS]:
            del self._seconds[old]

    def status(self, status: Status) -> None:
        """Who is away is remembered."""
        with self._lock:
            self._presence.take(status)
        if self._bell.heard:
            self._ring(status_record(status))

    def end(self, end: StreamEnd) -> None:
        """What the end settled is said, too."""
        if self._bell.heard:
            for line in end_records(end, self._labels):
                self._ring(line)

    def media(self, item: TimedFrame | TimedAudio) -> None:
        """The newest picture."""
        if isinstance(item, TimedFrame):
            self._picture = item

    def _ring(self, record: dict[str, Any]) -> None:
        if self._bell.heard:
            self._bell.ring(of_stream(record, self._now.name))


def jpeg(picture: TimedFrame) -> bytes:
    """The picture for people: the original where the source keeps it, else what the networks see of it."""
    import cv2

    image = picture.image if picture.original is None else picture.original
    height, width = image.shape[:2]
    if picture.original is None and picture.preview is not None:
        height, width = picture.preview.shape[:2]
    scale = _WIDTH / width
    if picture.original is None or scale < 1:
        image = cv2.resize(image, (_WIDTH, max(1, round(height * scale))))
    good, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert good, "a picture of bytes can always be written"
    return data.tobytes()
