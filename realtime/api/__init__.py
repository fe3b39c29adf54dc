"""avel-live as a library: which of 28 events is both seen and heard, second by second.

    import avel_live

    with avel_live.open("rtsp://camera.local/stream") as stream:
        for event in stream.events():
            if event.kind == "end":
                print(event.name, event.start_s, event.end_s)

Streams

    open            a camera, an address, a recording, or a `Source` of yours, as a `Stream`
    from_config     the same from a whole configuration (`avel.toml`, a mapping)
    Stream          iterate it for `Hop`s; `events`, `seconds`, `aevents`; `run` it into `Sink`s; `stop`
    localize        a whole recording at once → `Findings`
    Localizer       no devices, no threads: push one second of frames and samples, get one `Hop`
    load_engine     the networks, to share between streams
    cameras, microphones            what this machine has

What arrives

    Hop             one answer, with everything that was seen on the way
    Event           a change in the life of an event: start, update, end, retract
    Settled         the final answer for one second
    Status          a device or the machine has something to say
    StreamStart, StreamEnd          what holds for all of it, and the totals

To add things of your own

    Sink            a consumer of results: override what you want to hear of
    Source          pictures and sound on one timeline; `register_source` gives it an address scheme
    DecoderConfig   every number that makes seconds and events of answers

Errors

    AvelError       of everything that can go wrong; its children are also the built-ins they resemble

Arrays are NumPy's. Importing this module loads neither torch nor OpenCV; they come when networks or devices
are opened.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .model.runtime.base import Engine as Engine
    from .realtime.core.clock import Clock as Clock
    from .realtime.core.errors import AvelError as AvelError
    from .realtime.core.errors import BackendError as BackendError
    from .realtime.core.errors import ModelFileError as ModelFileError
    from .realtime.core.errors import OutputError as OutputError
    from .realtime.core.errors import SourceError as SourceError
    from .realtime.core.errors import UsageError as UsageError
    from .realtime.core.messages import EndOfStream as EndOfStream
    from .realtime.core.messages import Event as Event
    from .realtime.core.messages import Hop as Hop
    from .realtime.core.messages import Scores as Scores
    from .realtime.core.messages import Segment as Segment
    from .realtime.core.messages import Settled as Settled
    from .realtime.core.messages import SourceInfo as SourceInfo
    from .realtime.core.messages import Status as Status
    from .realtime.core.messages import StreamEnd as StreamEnd
    from .realtime.core.messages import StreamStart as StreamStart
    from .realtime.core.messages import TimedAudio as TimedAudio
    from .realtime.core.messages import TimedFrame as TimedFrame
    from .realtime.events import DecoderConfig as DecoderConfig
    from .realtime.recordings.findings import Findings as Findings
    from .realtime.recordings.library import localize as localize
    from .realtime.session.library import cameras as cameras
    from .realtime.session.library import from_config as from_config
    from .realtime.session.library import load_engine as load_engine
    from .realtime.session.library import microphones as microphones
    from .realtime.session.library import open as open
    from .realtime.session.push import Localizer as Localizer
    from .realtime.session.sources import register_source as register_source
    from .realtime.sinks.base import Sink as Sink
    from .realtime.sources.base import Source as Source
    from .realtime.sources.picture import timed_frame as timed_frame
    from .realtime.sources.portaudio import InputDevice as InputDevice
    from .realtime.sources.probe import CameraDevice as CameraDevice
    from .realtime.stream.loop import Stream as Stream

_HOMES: Final[dict[str, str]] = {
    **dict.fromkeys(("AvelError", "BackendError", "ModelFileError", "OutputError"), "realtime.core.errors"),
    **dict.fromkeys(("SourceError", "UsageError"), "realtime.core.errors"),
    "CameraDevice": "realtime.sources.probe",
    "Clock": "realtime.core.clock",
    "DecoderConfig": "realtime.events",
    "EndOfStream": "realtime.core.messages",
    "Engine": "model.runtime.base",
    **dict.fromkeys(("Event", "Hop", "Scores", "Segment", "Settled"), "realtime.core.messages"),
    "Findings": "realtime.recordings.findings",
    "InputDevice": "realtime.sources.portaudio",
    "Localizer": "realtime.session.push",
    "Sink": "realtime.sinks.base",
    "Source": "realtime.sources.base",
    **dict.fromkeys(("SourceInfo", "Status"), "realtime.core.messages"),
    "Stream": "realtime.stream.loop",
    **dict.fromkeys(("StreamEnd", "StreamStart", "TimedAudio", "TimedFrame"), "realtime.core.messages"),
    **dict.fromkeys(("cameras", "from_config", "load_engine", "microphones"), "realtime.session.library"),
    "localize": "realtime.recordings.library",
    "open": "realtime.session.library",
    "register_source": "realtime.session.sources",
    "timed_frame": "realtime.sources.picture",
}

__version__: str
"""Of the installed package."""

__all__ = [
    "AvelError",
    "BackendError",
    "CameraDevice",
    "Clock",
    "DecoderConfig",
    "EndOfStream",
    "Engine",
    "Event",
    "Findings",
    "Hop",
    "InputDevice",
    "Localizer",
    "ModelFileError",
    "OutputError",
    "Scores",
    "Segment",
    "Settled",
    "Sink",
    "Source",
    "SourceError",
    "SourceInfo",
    "Status",
    "Stream",
    "StreamEnd",
    "StreamStart",
    "TimedAudio",
    "TimedFrame",
    "UsageError",
    "__version__",
    "cameras",
    "from_config",
    "load_engine",
    "localize",
    "microphones",
    "open",
    "register_source",
    "timed_frame",
]


def __getattr__(name: str) -> Any:
    """Names are fetched when first used (PEP 562): `import avel_live` costs a millisecond."""
    if name == "__version__":
        from importlib.metadata import version

        return version("avel-live")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
