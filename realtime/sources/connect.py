"""Opening a network stream with FFmpeg: transports, what is known of it before anything is decoded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from ..core.errors import SourceError
from ..core.redact import redact
from .buffers import BufferOptions
from .codecs import decodable, undecodable
from .hardware import Hardware, Hwaccel, hardware
from .health import HealthOptions

Transport = Literal["auto", "tcp", "udp"]

_NO_STAMPS = 0x80
_PLAYLIST_TIMEOUT_S = 30.0
"""A playlist's next segment may take as long as its longest one, which may be long."""
_PLAYLISTS = (".m3u8", ".m3u", ".mpd")
_PLAYLIST_FORMATS = ("hls", "dash", "applehttp")


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """Where the stream is and how patient to be.

    `read_timeout_s`: nothing for so long closes the connection, and a new one is tried (playlists of segments
    get longer). `wanted_fps`: hand on at most this many pictures a second. `video`, `audio`: which tracks to
    use. `channel`: of the sound, from 1; None mixes all. `transport`: of RTSP; `auto` tries TCP, then UDP.
    `sync_offset_ms`: pictures are shown so much later. `hwaccel`: what decodes pictures, see `hardware`.
    """

    url: str
    video: bool = True
    audio: bool = True
    open_timeout_s: float = 8.0
    read_timeout_s: float = 4.0
    wanted_fps: float = 32.0
    keep_original: bool = False
    channel: int | None = None
    transport: Transport = "auto"
    sync_offset_ms: float = 0.0
    hwaccel: Hwaccel = "none"
    health: HealthOptions = field(
        default_factory=lambda: HealthOptions(stall_after_s=1.5, lose_after_s=10.0, open_timeout_s=30.0)
    )
    buffer: BufferOptions = field(default_factory=BufferOptions)


@dataclass(frozen=True, slots=True)
class Connection:
    """An open container and the tracks that are used.

    Attributes:
        container: PyAV's.
        video, audio: its streams; None where there is none, or none is wanted.
        read_timeout_s: after which FFmpeg gives up waiting.
        playlist: it comes in segments of seconds, in bursts.
        finite: it is a recording behind an address, with an end.
        stampless: its pictures carry no time (bare H.264, Motion JPEG): the arrival is all there is.
        decoder: what decodes its pictures, where that was asked for.
        remarks: what is to be said about it.

    """

    container: Any
    video: Any = None
    audio: Any = None
    read_timeout_s: float = 4.0
    playlist: bool = False
    finite: bool = False
    stampless: bool = False
    decoder: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def tracks(self) -> list[Any]:
        """Those used."""
        return [track for track in (self.video, self.audio) if track is not None]

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(Exception):
            self.container.close()


Connector = Callable[[NetworkOptions], Connection]


def connect(options: NetworkOptions) -> Connection:
    """Open a stream and choose its tracks.

    Raises:
        SourceError: it can't be opened; credentials are not part of the message.

    """
    import av

    av.logging.set_level(av.logging.PANIC)  # FFmpeg would print addresses with their credentials
    path = urlsplit(options.url).path.lower()
    if path.endswith(_PLAYLISTS):
        options = _patient(options)
    connection = _chosen(_open(options), options)
    if connection.playlist and options.read_timeout_s < _PLAYLIST_TIMEOUT_S:
        # PyAV takes the timeout at opening only, and the address did not tell.
        connection.close()
        options = _patient(options)
        connection = _chosen(_open(options), options)
    elif connection.container.format.name == "mpjpeg" and not connection.video.codec_context.width:
        # FFmpeg insists on Content-Type: image/jpeg, cameras say image/jpg: look for the pictures themselves.
        connection.close()
        connection = _chosen(_open(options, "mjpeg", probesize="2048"), options)
    return connection


def _patient(options: NetworkOptions) -> NetworkOptions:
    return replace(options, read_timeout_s=max(options.read_timeout_s, _PLAYLIST_TIMEOUT_S))


def _open(options: NetworkOptions, form: str | None = None, **flags: str) -> Any:
    import av

    # No `nobuffer`: what FFmpeg reads to find out about a stream holds its first key frame.
    flags = {"analyzeduration": "1500000", "fpsprobesize": "0", **flags}
    if options.url.lower().startswith("rtsp"):
        flags["rtsp_transport"] = "tcp+udp" if options.transport == "auto" else options.transport
        if options.transport == "auto":
            flags["rtsp_flags"] = "prefer_tcp"
    timeout = (options.open_timeout_s, options.read_timeout_s)
    accel = _hardware(options).accel
    try:
        return av.open(options.url, format=form, options=flags, timeout=timeout, hwaccel=accel)
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        if isinstance(error, (av.error.ExitError, TimeoutError)):
            reason = f"no answer within {options.open_timeout_s:g} s"
        raise SourceError(
            f"stream {redact(options.url)}: {redact(str(reason))}; check the address, the credentials, and "
            "that the server is up"
        ) from error


def _chosen(container: Any, options: NetworkOptions) -> Connection:
    """The best picture that can be decoded and the sound that belongs to it; the others are not fetched."""
    from av.stream import Discard

    video = _best(container, "video") if options.video else None
    audio = _best(container, "audio", video) if options.audio else None
    remarks = undecodable(container, video=options.video, audio=options.audio)
    if video is None and audio is None:
        container.close()
        why = "; ".join(remarks) or "it carries neither picture nor sound that can be used"
        raise SourceError(f"stream {redact(options.url)}: {why}")
    decoder = ""
    if video is not None:
        decoder, remark = _hardware(options).word(video), _hardware(options).remark(video)
        remarks += [remark] if remark else []
    for stream in container.streams:
        if stream is not video and stream is not audio:
            stream.discard = Discard.all
    duration, scheme = container.duration, urlsplit(options.url).scheme.lower()
    return Connection(
        container,
        video,
        audio,
        read_timeout_s=options.read_timeout_s,
        playlist=container.format.name.split(",")[0] in _PLAYLIST_FORMATS,
        finite=bool(duration and duration > 0 and scheme in ("http", "https")),
        stampless=bool(container.format.flags & _NO_STAMPS),
        decoder=decoder,
        remarks=tuple(remarks),
    )


def _hardware(options: NetworkOptions) -> Hardware:
    return hardware(options.hwaccel if options.video else "none")


def _best(container: Any, kind: str, related: Any = None) -> Any:
    found = container.streams.best(kind, related=related)
    if found is not None and decodable(found):
        return found
    streams = container.streams.video if kind == "video" else container.streams.audio
    return next((stream for stream in streams if decodable(stream)), None)
