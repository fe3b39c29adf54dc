"""A camera and a microphone, two clocks, one timeline.

Each device lives in threads of its own and recovers on its own; the other goes on meanwhile. This module
only wires them: devices → timeline → bounded hand-over → `read`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

from ..core.clock import NS_PER_S, Clock
from ..core.errors import SourceError, UsageError
from ..core.messages import AudioBlock, EndOfStream, SourceInfo, Status, VideoFrame
from ..core.redact import redact
from .base import Item, Source
from .buffers import BufferOptions, LiveBuffer
from .camera import Camera
from .capture import CameraOptions
from .clocks import AudioTimeline, FrameTimeline, SkewReport
from .health import HealthOptions
from .microphone import MicOptions, Microphone
from .picture import timed_frame

_TICK_NS = NS_PER_S // 10


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """What a live pair of devices needs to know; None means there is no such device.

    `camera_delay_ms`: how much longer a picture takes to reach the machine than the sound of the same
    instant (measured by `avel calibrate sync`); frames are moved earlier by it. `wait_s`: how long `open`
    waits for first data of a second device once the first delivers.
    """

    camera: CameraOptions | None = None
    microphone: MicOptions | None = None
    camera_delay_ms: float = 0.0
    camera_health: HealthOptions = field(default_factory=HealthOptions)
    microphone_health: HealthOptions = field(
        default_factory=lambda: HealthOptions(stall_after_s=0.7, lose_after_s=2.5, open_timeout_s=4.0)
    )
    buffer: BufferOptions = field(default_factory=BufferOptions)
    wait_s: float = 4.0


class LiveSource(Source):
    """A camera, a microphone, or both, as one source."""

    def __init__(
        self,
        options: LiveOptions,
        clock: Clock,
        camera: Camera | None = None,
        microphone: Microphone | None = None,
    ) -> None:
        if options.camera is None and options.microphone is None:
            raise UsageError("camera and microphone are both none: give one of them")
        self.options = options
        self.info = SourceInfo("live", "live", live=True)
        self._clock = clock
        self._buffer = LiveBuffer(clock, options.buffer, self.account)
        self._lock = threading.Lock()
        self._start_ns: int | None = None
        self._frames: FrameTimeline | None = None
        self._audio: AudioTimeline | None = None
        self._before: list[AudioBlock] = []
        self._stop = threading.Event()
        self._first = threading.Event()
        self._watcher: threading.Thread | None = None
        self._audio_open = False
        self.camera = camera
        self.microphone = microphone
        if options.camera is not None and camera is None:
            self.camera = Camera(
                options.camera, clock, self.take_frame, self._buffer.put, options.camera_health
            )
        if options.microphone is not None and microphone is None:
            self.microphone = Microphone(
                options.microphone, clock, self.take_block, self.take_status, options.microphone_health
            )

    def open(self) -> None:
        """Open both, wait for first data, and start the timeline.

        Raises:
            SourceError: a device can't be opened, or none delivers anything.

        """
        devices = [d for d in (self.microphone, self.camera) if d is not None]
        try:
            for device in devices:
                device.start()
            self._watcher = threading.Thread(target=self._watch, name="watchdog", daemon=True)
            self._watcher.start()
            self._await_first_data()
        except BaseException:
            self.close()
            raise
        self._begin()
        self.info = self._describe()

    def read(self, timeout_s: float) -> Item | None:
        """The next item, states with their instant on the stream."""
        item = self._buffer.get(timeout_s)
        if isinstance(item, Status):
            return replace(item, t_ns=max(0, item.t_ns - (self._start_ns or item.t_ns)))
        return item

    def stream_now_ns(self) -> int | None:
        """Nanoseconds since the start."""
        return None if self._start_ns is None else self._clock.now_ns() - self._start_ns

    @property
    def skew(self) -> SkewReport | None:
        """The state of the two clocks; None without a microphone."""
        with self._lock:
            return None if self._audio is None or self.microphone is None else self._audio.report

    @property
    def skew_ms(self) -> float | None:
        """Camera time minus microphone time left on the timeline; None where there is only one device."""
        if self.camera is None:
            return None
        report = self.skew
        return None if report is None else report.skew_ms

    @property
    def drift_ppm(self) -> float | None:
        """The microphone's clock against the machine's, positive when slow; None without a microphone."""
        report = self.skew
        return None if report is None else report.drift_ppm

    @property
    def dropped(self) -> int:  # type: ignore[override]
        """Frames and blocks dropped so far because the reader was late."""
        return self._buffer.meter.dropped

    @property
    def drop_causes(self) -> dict[str, int]:
        """How many were dropped for which reason."""
        return dict(self._buffer.meter.causes)

    def close(self) -> None:
        """Release both devices."""
        self._stop.set()
        self._first.set()
        for device in (self.camera, self.microphone):
            if device is not None:
                device.close()
        watcher = self._watcher
        if watcher is not None and watcher is not threading.current_thread():
            watcher.join(timeout=2.0)
        self._buffer.end(EndOfStream(self.stream_now_ns() or 0, "closed"))

    # What the device threads call.

    def take_frame(self, frame: VideoFrame) -> None:
        """A picture from the camera's thread."""
        with self._lock:
            t_ns = None if self._frames is None else self._frames.stamp(frame.t_ns)
        self._first.set()
        if t_ns is not None:
            keep = self.options.camera is not None and self.options.camera.keep_original
            granted = None if self.camera is None else self.camera.granted
            aspect = None if granted is None else granted.aspect
            self._buffer.put(timed_frame(t_ns, frame.image, keep_original=keep, aspect=aspect))

    def take_block(self, block: AudioBlock) -> None:
        """Sound from the microphone's thread."""
        self._first.set()
        with self._lock:
            if self._audio is None:
                self._before.append(block)
                del self._before[:-1000]
                return
            for audio in self._audio.push(block):
                self._buffer.put(audio)

    def take_status(self, status: Status) -> None:
        """A change of the microphone's state: sound held back is delivered when the device is lost."""
        if status.state == "lost":
            with self._lock:
                for audio in self._audio.finish() if self._audio is not None else ():
                    self._buffer.put(audio)
        self._buffer.put(status)

    def _devices_running(self) -> list[bool]:
        return [d.health.state == "running" for d in (self.camera, self.microphone) if d is not None]

    def _await_first_data(self) -> None:
        """Until every device delivers, or one does and the other had `wait_s`, or nothing ever will."""
        begun = self._clock.now_ns()
        patience_ns = round(self.options.wait_s * NS_PER_S)
        limit_ns = round(max(self.options.camera_health.open_timeout_s, self.options.wait_s) * NS_PER_S)
        while not all(self._devices_running()):
            waited = self._clock.now_ns() - begun
            if any(self._devices_running()) and waited > patience_ns:
                return
            if waited > limit_ns:
                names = [
                    redact(o.spec) for o in (self.options.camera, self.options.microphone) if o is not None
                ]
                raise SourceError(
                    f"{' and '.join(names)}: opened, but nothing was delivered within "
                    f"{limit_ns / NS_PER_S:.0f} s; try another one (`avel devices --test`)"
                )
            if self._clock.wait_until(self._clock.now_ns() + _TICK_NS // 2, self._stop):
                return

    def _begin(self) -> None:
        with self._lock:
            self._start_ns = self._clock.now_ns()
            delay_ns = round(self.options.camera_delay_ms * 1e6)
            self._frames = FrameTimeline(self._start_ns, delay_ns)
            self._audio = AudioTimeline(self._start_ns)
            before, self._before = self._before, []
            for block in before:
                for audio in self._audio.push(block):
                    self._buffer.put(audio)

    def _describe(self) -> SourceInfo:
        video = audio = ""
        details: dict[str, str] = {}
        camera, mic = self.camera, self.microphone
        if camera is not None and camera.granted is not None:
            video = f"{redact(camera.options.spec)} {camera.granted}"
            details["camera"] = redact(camera.options.spec)
        if mic is not None and mic.opened is not None:
            audio = f"{mic.opened.device.name} {mic.opened.rate} Hz"
            details["microphone"] = mic.opened.device.name
        kind = (
            "live"
            if camera is not None and mic is not None
            else "camera"
            if camera is not None
            else "microphone"
        )
        name = " + ".join(details.values())
        return SourceInfo(name, kind, video, audio, None, True, details)  # type: ignore[arg-type]

    def _watch(self) -> None:
        """The watchdog's thread; ends the stream when no device is left."""
        devices = [d for d in (self.camera, self.microphone) if d is not None]
        while not self._clock.wait_until(self._clock.now_ns() + _TICK_NS, self._stop):
            for device in devices:
                device.watch()
            if all(d.health.state in ("failed", "ended") for d in devices):
                self._buffer.end(
                    EndOfStream(self.stream_now_ns() or 0, "every device is lost for good", lost=True)
                )
                return
