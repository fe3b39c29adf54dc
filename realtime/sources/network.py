"""A network stream that carries picture and sound (RTSP, HTTP, anything FFmpeg reads): one clock, no skew.

Both are placed by the sender's presentation times. The sender's clock is not ours, though: where the
stream's present is follows from the packets that arrived with the least delay lately, so that days of
drift between the two clocks never look like lateness.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..core.clock import NS_PER_S, Clock
from ..core.errors import SourceError
from ..core.messages import EndOfStream, SourceInfo, Status
from ..core.redact import redact
from ..core.states import State
from .base import Item, Source
from .buffers import LiveBuffer
from .clocks.sender import SenderClock, step_words
from .connect import Connection, Connector, NetworkOptions, connect
from .delivery import Delivery
from .disposable import FEW_FPS, Disposable
from .downmix import Downmix
from .health import Backoff, DeviceHealth
from .picture import FrameConverter
from .playout import Playout

_ALONE = ("mjpeg",)
"""Codecs of which each picture stands by itself: what is not wanted need not be decoded."""
_ROOM_NS = 3 * NS_PER_S


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
        self._delivery = Delivery(options, clock, self._buffer, self.health, self.account)
        self._lock = threading.Lock()
        self._decoding = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._generation = 0
        self._begin_ns = 0

    def open(self) -> None:
        """Connect and begin to receive; see `Source.open`."""
        try:
            connection = self._connected()
        except SourceError:
            if self.health.state != "ended":
                self.health.to("failed", "can't be opened")
            raise
        self.info = self._delivery.info = self._describe(connection)
        # Of a playlist there may be one segment yet, and the next comes when it comes: some room is wanted.
        room_ns = _ROOM_NS if connection.playlist else 0
        self._begin_ns = self._clock.now_ns() + room_ns
        with self._lock:
            self._sender.begin(self._begin_ns)
        self._spawn(self._run, 0, connection)
        self._spawn(self._watch)

    def _connected(self) -> Connection:
        """Connect, in a thread: FFmpeg can't be interrupted, whoever waits for it must be."""
        done: list[Connection | BaseException] = []

        def work() -> None:
            try:
                done.append(self._connect(self.options))
            except BaseException as error:
                done.append(error)
            if self._stop.is_set() and isinstance(done[0], Connection):
                done[0].close()

        thread = threading.Thread(target=work, name="connect", daemon=True)
        thread.start()
        while thread.is_alive() and not self._stop.is_set():
            thread.join(0.1)
        if not done:
            raise SourceError(f"stream {redact(self.options.url)}: closed while it was being opened")
        if isinstance(done[0], BaseException):
            raise done[0]
        return done[0]

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
            return self._sender.present_ns(self._clock.now_ns()) or 0

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

    def _run(self, generation: int, connection: Connection | None) -> None:
        lost_ns = self._clock.now_ns()
        while self._current(generation):
            if connection is None:
                connection = self._reconnect(generation, lost_ns)
                if connection is None:
                    return
            try:
                reason = self._receive(generation, connection)
            except SourceError as error:
                if self._current(generation):
                    self.health.to("lost", str(error))
                    self._fail(str(error))
                return
            finally:
                connection.close()
            if not self._current(generation):
                return
            if connection.finite:
                self.health.to("ended", "it is over")
                self._buffer.end(EndOfStream(self.stream_now_ns() or 0, "end of the recording"))
                return
            connection = None
            lost_ns = self._clock.now_ns()
            self.health.to("lost", reason)

    def _fail(self, reason: str) -> None:
        self.health.to("failed", reason)
        self._buffer.end(EndOfStream(self.stream_now_ns() or 0, reason, lost=True))

    def _reconnect(self, generation: int, lost_ns: int) -> Connection | None:
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
                connection = self._connect(self.options)
            except SourceError as error:
                if not self._current(generation):
                    return None
                self.health.to("lost", str(error))
                continue
            return connection

    def _receive(self, generation: int, connection: Connection) -> str:
        """Play until the connection ends; why it ended."""
        self._begin(connection)
        converter = spare = None
        if connection.video is not None:
            connection.video.thread_type = "SLICE"  # frame threads hold pictures back
            converter = FrameConverter(connection.video)
            if self.options.wanted_fps <= FEW_FPS and not self.options.keep_original:
                spare = Disposable(connection.video, connection.container.format.name)
        downmix = Downmix(self.options.channel)

        def emit(frame: Any, t_ns: int, stream: Any) -> None:
            with self._decoding:
                if not self._current(generation):
                    return
                if stream.type == "audio":
                    self._delivery.sound(frame, t_ns, downmix)
                else:
                    assert converter is not None
                    self._delivery.picture(frame, t_ns, converter)

        playout = Playout(
            connection,
            self._clock,
            self._sender,
            self._lock,
            emit,
            self._say_machine,
            lambda: self._current(generation),
            {"video": self.account.video, "audio": self.account.audio},
            spare,
            self._delivery.is_wanted
            if connection.video is not None and connection.video.name in _ALONE
            else None,
        )
        playout.start()
        reason = self._demux(generation, connection, playout)
        playout.finish()
        with self._decoding:
            if self._current(generation):
                self._delivery.flush()
        return reason

    def _begin(self, connection: Connection) -> None:
        with self._lock:
            self._sender.reconnected(paced=connection.playlist or connection.finite)
        names = {"video": "picture", "audio": "sound"}
        since_ns = max(self._begin_ns, self._clock.now_ns())
        self.health.expect(*(names[track.type] for track in connection.tracks), since_ns=since_ns)
        for line in connection.remarks:
            self.health.say(line, "warning")

    def _demux(self, generation: int, connection: Connection, playout: Playout) -> str:
        import av

        quiet = f"nothing came for {connection.read_timeout_s:g} s"
        try:
            packets = connection.container.demux(connection.tracks)
            while True:
                asked_ns = self._clock.now_ns()
                packet = next(packets, None)
                if not self._current(generation):
                    return "closed"
                if packet is None or (packet.dts is None and packet.pts is None and not packet.size):
                    return "the server ended the stream"
                # A read that timed out may show as one late packet only, and the next read hangs again.
                if self._clock.now_ns() - asked_ns > 0.95 * connection.read_timeout_s * NS_PER_S:
                    return quiet
                playout.take(packet)
                self._tell_steps()
        except SourceError:
            raise  # an OSError, too
        except (av.error.ExitError, TimeoutError):
            return quiet
        except (av.FFmpegError, OSError) as error:
            return redact(f"the connection broke: {getattr(error, 'strerror', None) or type(error).__name__}")

    def _tell_steps(self) -> None:
        with self._lock:
            steps = self._sender.steps()
        for ns in steps:
            self.health.say(step_words(ns), "warning")

    def _say_machine(self, state: State, reason: str) -> None:
        self._buffer.put(Status("machine", state, reason, self._clock.now_ns()))

    def _describe(self, connection: Connection) -> SourceInfo:
        video = audio = ""
        if connection.video is not None:
            context, rate = connection.video.codec_context, connection.video.average_rate
            fps = f" at {float(rate):g} fps" if rate and not connection.stampless else ""
            size = f"{context.width}x{context.height}" if context.width else "picture"
            video = ", ".join(filter(None, (f"{size}{fps} {context.name}", connection.decoder)))
        if connection.audio is not None:
            context = connection.audio.codec_context
            audio = f"{context.name} {context.sample_rate} Hz"
        return SourceInfo(redact(self.options.url), "network", video, audio, None, True)
