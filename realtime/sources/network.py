"""A network stream that carries picture and sound (RTSP, HTTP, anything FFmpeg reads): one clock, no skew.

Both are placed by the sender's presentation times. The sender's clock is not ours, though: where the
stream's present is follows from the packets that arrived with the least delay lately, so that days of
drift between the two clocks never look like lateness.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ..clock import NS_PER_S, Clock
from ..errors import SourceError
from ..messages import EndOfStream, SourceInfo, State, Status, TimedAudio
from .base import Item, Source
from .buffers import BufferOptions, LiveBuffer
from .clocks.sender import SenderClock
from .decode import Resampler16k
from .downmix import Downmix
from .health import Backoff, DeviceHealth, HealthOptions
from .picture import FrameConverter
from .redact import redact
from .steady import Sound


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """Where the stream is and how patient to be.

    `read_timeout_s`: nothing for so long closes the connection, and a new one is tried.
    `wanted_fps`: hand on at most this many pictures a second. `video`, `audio`: which tracks to use.
    """

    url: str
    video: bool = True
    audio: bool = True
    open_timeout_s: float = 8.0
    read_timeout_s: float = 4.0
    wanted_fps: float = 32.0
    keep_original: bool = False
    health: HealthOptions = field(
        default_factory=lambda: HealthOptions(stall_after_s=1.5, lose_after_s=10.0, open_timeout_s=30.0)
    )
    buffer: BufferOptions = field(default_factory=BufferOptions)


Connector = Callable[[NetworkOptions], Any]


def connect(options: NetworkOptions) -> Any:
    """An open PyAV container.

    Raises:
        SourceError: it can't be opened; credentials are not part of the message.

    """
    import av

    av.logging.set_level(av.logging.PANIC)  # FFmpeg would print addresses with their credentials
    flags = {"fflags": "nobuffer", "analyzeduration": "1500000"}
    if options.url.lower().startswith("rtsp"):
        flags["rtsp_transport"] = "tcp"
    try:
        container = av.open(
            options.url, options=flags, timeout=(options.open_timeout_s, options.read_timeout_s)
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        if isinstance(error, (av.error.ExitError, TimeoutError)):
            reason = f"no answer within {options.open_timeout_s:g} s"
        raise SourceError(
            f"stream {redact(options.url)}: {redact(str(reason))}; check the address, the credentials, and "
            "that the server is up"
        ) from error
    if not _wanted(container, options):
        container.close()
        raise SourceError(
            f"stream {redact(options.url)}: it carries neither picture nor sound that can be used"
        )
    return container


def _wanted(container: Any, options: NetworkOptions) -> list[Any]:
    streams = container.streams
    video = list(streams.video[:1]) if options.video else []
    audio = list(streams.audio[:1]) if options.audio else []
    return video + audio


class NetworkSource(Source):
    """A network stream as one source; reconnects by itself."""

    def __init__(self, options: NetworkOptions, clock: Clock, connector: Connector = connect) -> None:
        self.options = options
        self.info = SourceInfo(redact(options.url), "network", live=True)
        self._clock = clock
        self._connect = connector
        self._buffer = LiveBuffer(clock, options.buffer, self.account)
        self.health = DeviceHealth("stream", clock, self._buffer.put, options.health)
        self._backoff = Backoff(options.health.backoff_s, options.health.backoff_max_s)
        self._sender = SenderClock()
        self._sound = Resampler16k()
        self._downmix = Downmix()
        self._last_frame_ns = -1
        self._next_wanted_ns = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._generation = 0
        self._behind = False
        self._size: tuple[int, int] | None = None

    def open(self) -> None:
        """Connect and begin to receive; see `Source.open`."""
        try:
            container = self._connect(self.options)
        except SourceError:
            self.health.to("failed", "can't be opened")
            raise
        self.info = self._describe(container)
        self._spawn(self._run, 0, container)
        self._spawn(self._watch)

    def read(self, timeout_s: float) -> Item | None:
        """The next item; see `Source.read`."""
        item = self._buffer.get(timeout_s)
        if isinstance(item, Status):
            ago_ns = self._clock.now_ns() - item.t_ns
            return replace(item, t_ns=max(0, (self.stream_now_ns() or 0) - ago_ns))
        return item

    def stream_now_ns(self) -> int | None:
        """Where the stream's present is, on the sender's clock."""
        with self._lock:
            present = self._sender.present_ns(self._clock.now_ns())
        return 0 if present is None else present

    @property
    def dropped(self) -> int:  # type: ignore[override]
        """Items dropped so far because the reader was late."""
        return self._buffer.meter.dropped

    def close(self) -> None:
        """Disconnect; see `Source.close`. A read that hangs ends by its own timeout, in the background."""
        self._stop.set()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout=1.0)
        if self.health.state not in ("failed", "ended"):
            self.health.to("ended", "closed")
        self._buffer.end(EndOfStream(self.stream_now_ns() or 0, "closed"))

    def _spawn(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, name="stream", daemon=True)
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()

    def _current(self, generation: int) -> bool:
        return generation == self._generation and not self._stop.is_set()

    def _watch(self) -> None:
        while not self._clock.wait_until(self._clock.now_ns() + NS_PER_S // 10, self._stop):
            if self.health.watch() == "reopen":
                # FFmpeg hangs and can't be interrupted from here: leave that thread to itself.
                self._generation += 1
                self.health.to("lost", f"nothing came for {self.health.age_s:.0f} s")
                self._spawn(self._run, self._generation, None)

    def _run(self, generation: int, container: Any | None) -> None:
        lost_ns = self._clock.now_ns()
        while self._current(generation):
            if container is None:
                container = self._reconnect(generation, lost_ns)
                if container is None:
                    return
            reason = self._receive(generation, container)
            with contextlib.suppress(Exception):
                container.close()
            container = None
            if self._current(generation):
                lost_ns = self._clock.now_ns()
                self.health.to("lost", reason)

    def _reconnect(self, generation: int, lost_ns: int) -> Any | None:
        attempt = 0
        give_up = self.options.health.give_up_s
        while True:
            pause_ns = round(self._backoff.pause_s(attempt) * NS_PER_S)
            self._clock.wait_until(self._clock.now_ns() + pause_ns, self._stop)
            if not self._current(generation):
                return None
            if give_up is not None and self._clock.now_ns() - lost_ns > give_up * NS_PER_S:
                self.health.to("failed", f"not back within {give_up:g} s")
                self._buffer.end(
                    EndOfStream(self.stream_now_ns() or 0, "the stream is lost for good", lost=True)
                )
                return None
            attempt += 1
            self.health.to("recovering", f"attempt {attempt}")
            try:
                container = self._connect(self.options)
            except SourceError as error:
                if not self._current(generation):
                    return None
                self.health.to("lost", str(error))
                continue
            with self._lock:
                self._sender.reconnected()
            return container

    def _receive(self, generation: int, container: Any) -> str:
        """Decode until the connection ends; why it ended."""
        import av

        streams = _wanted(container, self.options)
        converter = None
        for stream in streams:
            if stream.type == "video":
                stream.thread_type = "SLICE"  # frame threads hold pictures back
                converter = FrameConverter(stream)
        quiet = f"nothing came for {self.options.read_timeout_s:g} s"
        last_ns = self._clock.now_ns()
        try:
            for packet in container.demux(streams):
                if not self._current(generation):
                    return "closed"
                # A read that timed out may show as one late packet only, and the next read hangs again.
                now_ns = self._clock.now_ns()
                if now_ns - last_ns > 0.95 * self.options.read_timeout_s * NS_PER_S:
                    return quiet
                last_ns = now_ns
                with contextlib.suppress(av.error.InvalidDataError):
                    for frame in packet.decode():
                        self._take(frame, packet.stream, converter)
        except (av.error.ExitError, TimeoutError):
            return quiet
        except (av.FFmpegError, OSError) as error:
            return redact(f"the connection broke: {getattr(error, 'strerror', None) or type(error).__name__}")
        finally:
            if self._current(generation):
                self._emit(self._sound.flush())
        return "the server ended the stream"

    def _take(self, frame: Any, stream: Any, converter: FrameConverter | None) -> None:
        if frame.pts is None or frame.time_base is None:
            return
        now_ns = self._clock.now_ns()
        pts_ns = round(frame.pts * frame.time_base * NS_PER_S)
        with self._lock:
            t_ns = self._sender.place(pts_ns, now_ns)
            present = self._sender.present_ns(now_ns) or 0
        self.health.data(now_ns, self.info.video or self.info.audio)
        if stream.type == "audio":
            if frame.samples:
                samples, note = self._downmix.mono(frame)
                self._emit(self._sound.push(Sound(t_ns, frame.sample_rate, samples, note)))
            return
        assert converter is not None
        self._keep_up(stream, present - t_ns)
        if t_ns <= self._last_frame_ns or t_ns < self._next_wanted_ns:
            return
        self._last_frame_ns = t_ns
        self._next_wanted_ns = t_ns + round(0.7 * NS_PER_S / self.options.wanted_fps)
        size = (frame.width, frame.height)
        if self._size is not None and size != self._size:
            self.health.say(f"picture is now {size[0]}x{size[1]}, was {self._size[0]}x{self._size[1]}")
        self._size = size
        self._buffer.put(converter.timed(t_ns, frame, keep_original=self.options.keep_original))

    def _keep_up(self, stream: Any, lag_ns: int) -> None:
        """When decoding falls behind, pictures that no other depends on are passed over."""
        if not self._behind and lag_ns > NS_PER_S:
            self._behind = True
            stream.codec_context.skip_frame = "NONREF"
            self._say_machine(
                "late", f"the stream is {lag_ns / NS_PER_S:.1f} s behind: passing over pictures"
            )
        elif self._behind and lag_ns < NS_PER_S // 3:
            self._behind = False
            stream.codec_context.skip_frame = "DEFAULT"
            self._say_machine("running", "the stream keeps up again")

    def _say_machine(self, state: State, reason: str) -> None:
        self._buffer.put(Status("machine", state, reason, self._clock.now_ns()))

    def _emit(self, blocks: Iterator[tuple[int, Any]]) -> None:
        for position, samples in blocks:
            begin = max(0, -position)
            if begin < len(samples):
                self._buffer.put(TimedAudio(position + begin, samples[begin:]))
        for status in self._sound.told():
            self._buffer.put(replace(status, t_ns=self._clock.now_ns()))

    def _describe(self, container: Any) -> SourceInfo:
        video = audio = ""
        for stream in _wanted(container, self.options):
            context = stream.codec_context
            if stream.type == "video":
                rate = stream.average_rate
                fps = f" at {float(rate):g} fps" if rate else ""
                video = f"{context.width}x{context.height}{fps} {context.name}"
            else:
                audio = f"{context.name} {context.sample_rate} Hz"
        return SourceInfo(redact(self.options.url), "network", video, audio, None, True)
