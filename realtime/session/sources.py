"""What a configuration, or one string, means as a source. A source is registered here, by its scheme.

demo                          the clip in the package
clip.mp4, file:clip.mp4       a recording; `-` is standard input
camera, 0, /dev/video0        a camera of this machine, beside a microphone
csi:0                         a Jetson's CSI sensor, beside a microphone
camera:http://…               a network camera's picture, beside a microphone of this machine
rtsp://…, http://…, tcp://…   a network stream with its own picture and sound
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..config.schema import NONE, Config
from ..core.clock import Clock
from ..core.errors import SourceError, UsageError
from ..sources.base import Source

if TYPE_CHECKING:
    from ..sources.live import LiveOptions

OpenSource = Callable[[Config, Clock], Source]
"""A configuration that names the source → the source, not opened yet."""


def demo_path() -> Path:
    """The clip in the package."""
    path = Path(str(files(__package__.rpartition(".")[0]) / "data" / "demo.mp4"))
    if not path.is_file():
        raise SourceError(
            f"the demo clip is missing from the installation ({path}); install the package again"
        )
    return path


def replay(config: Config, clock: Clock) -> Source:
    """`--file` or `--demo`: a recording, replayed as a stream."""
    from ..sources.replay import Replay, ReplayOptions
    from ..stream.budget import delivered_frames

    return Replay(
        demo_path() if config.demo else Path(config.file or ""),
        clock,
        ReplayOptions(
            speed=None if config.fast else config.speed,
            start_s=config.start_s,
            duration_s=config.duration_s,
            loop=config.loop,
            video=config.camera != NONE,
            audio=config.mic != NONE,
            originals=config.clips.dir is not None,
            channel=config.channel,
            video_track=config.video_track,
            audio_track=config.audio_track,
            frames=delivered_frames(config.most_frames, config.hop_s),
            sync_offset_ms=config.sync_offset_ms or 0.0,
            hwaccel=config.hwaccel,
            pipe=True,
        ),
    )


def wanted_fps(config: Config) -> float:
    """Pictures a second that a live source decodes and hands on.

    Twice what may be chosen, so that the one chosen for a part of a second is from its first half; all that
    clips are to show.
    """
    from ..stream.budget import delivered_frames

    if config.clips.dir is not None:
        return 32.0
    return 2.0 * delivered_frames(config.most_frames, config.hop_s)


def network(config: Config, clock: Clock) -> Source:
    """`--url`: a stream with its own picture and sound."""
    from ..sources.connect import NetworkOptions
    from ..sources.network import NetworkSource

    options = NetworkOptions(
        config.url or "",
        video=config.camera != NONE,
        audio=config.mic != NONE,
        keep_original=config.clips.dir is not None,
        channel=config.channel,
        transport=config.rtsp_transport,
        wanted_fps=wanted_fps(config),
        sync_offset_ms=config.sync_offset_ms or 0.0,
        hwaccel=config.hwaccel,
    )
    return NetworkSource(options, clock)


def live(config: Config, clock: Clock) -> Source:
    """`--camera` and `--mic`: two devices, two clocks; what calibration measured of them is applied."""
    from ..sources.live import LiveSource
    from .calibration import camera_delay_ms

    return LiveSource(live_options(config, camera_delay_ms(config)), clock)


SCHEMES: Final[dict[str, OpenSource]] = {
    **dict.fromkeys(("rtsp", "rtsps", "rtmp", "http", "https", "tcp", "udp", "rtp", "srt", "mms"), network),
}
"""Address scheme → what opens it; `register_source` adds to it."""


def register_source(scheme: str, factory: OpenSource) -> None:
    """Let addresses `scheme://…` be opened by `factory`, wherever `--url` or `open` takes one.

    Args:
        scheme: letters, digits, `+`, `-`, `.`, without `://`.
        factory: gets the configuration, whose `url` is the address, and the clock.

    Raises:
        ValueError: not a scheme, or taken.

    """
    name = scheme.lower()
    if not name or not all(c.isalnum() or c in "+-." for c in name):
        raise ValueError(f"scheme {scheme!r}: expected letters, digits, +, - and . only")
    if name in SCHEMES:
        raise ValueError(f"scheme {scheme!r} is registered already")
    SCHEMES[name] = factory


def make_source(config: Config, clock: Clock) -> Source:
    """The source that a configuration asks for; not opened yet.

    Raises:
        UsageError: an address whose scheme nobody opens.

    """
    if not config.is_live:
        return replay(config, clock)
    if config.url is None:
        return live(config, clock)
    scheme = config.url.partition("://")[0].lower()
    if "://" not in config.url or scheme not in SCHEMES:
        raise UsageError(
            f"--url: expected an address that begins with {', '.join(f'{s}://' for s in SCHEMES)}"
        )
    return SCHEMES[scheme](config, clock)


def addressed(config: Config, source: str | int | Path, mic: str | int | None) -> Config:
    """A configuration that names a source as one string, see above; `mic` is for those without own sound."""
    microphone = NONE if mic is None else str(mic)
    text = str(source)
    if isinstance(source, Path):
        return replace(config, file=source, camera="0", mic="default")
    if text == "demo":
        return replace(config, demo=True)
    if text == "camera" or text.isdigit() or text.startswith(("/dev/", "csi:")):
        return replace(config, camera="0" if text == "camera" else text, mic=microphone)
    if text.startswith("camera:"):
        return replace(config, camera=text.removeprefix("camera:"), mic=microphone)
    if text.partition("://")[0].lower() in SCHEMES and "://" in text:
        return replace(config, url=text)
    return replace(config, file=Path(text.removeprefix("file:")))


def live_options(config: Config, camera_delay_ms: float = 0.0) -> LiveOptions:
    """What the configuration says about devices.

    `camera_delay_ms` comes from a calibration; `--sync-offset`, a shift of the camera's time, overrides it.
    """
    from ..sources.capture import CameraOptions
    from ..sources.live import LiveOptions
    from ..sources.microphone import MicOptions

    camera = microphone = None
    if config.camera != NONE:
        size: tuple[int, int] | None = None
        if config.size is not None:
            width, height = config.size.split("x")
            size = (int(width), int(height))
        keep = config.clips.dir is not None
        camera = CameraOptions(
            config.camera, size, config.fps, keep_original=keep, wanted_fps=wanted_fps(config)
        )
    if config.mic != NONE:
        microphone = MicOptions(config.mic, config.channel)
    if config.sync_offset_ms is not None:
        camera_delay_ms = -config.sync_offset_ms
    return LiveOptions(camera, microphone, camera_delay_ms)
