"""A camera that is watched: one thread always grabs, the watchdog looks at the age of the last picture.

The grabbing thread stamps right after `grab()` and decodes only what is wanted, so that a slow machine
never makes the driver's queue grow stale (a slow reader of HTTP-MJPEG falls seconds behind). A thread
that hangs inside the driver is abandoned: it holds an old generation number, and whatever it may still
deliver is ignored.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from typing import Any

from ..clock import NS_PER_S, Clock
from ..errors import SourceError
from ..messages import Status, VideoFrame
from .capture import CameraOptions, Granted, open_capture
from .health import Backoff, DeviceHealth, HealthOptions
from .redact import redact

Opener = Callable[[CameraOptions], tuple[Any, Granted]]


class BacklogFilter:
    """Tells pictures that waited in a queue from fresh ones, by how quickly they come.

    After a pause a driver or the network hands over what piled up meanwhile, as fast as it can be read;
    the stamps of such pictures would be lies. They are skipped until the pace is natural again.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._usual_ns = 0.0
        self._draining_until_ns = 0

    def fresh(self, t_ns: int) -> bool:
        """Whether the picture grabbed at `t_ns` may be believed."""
        last, self._last_ns = self._last_ns, t_ns
        if last is None:
            return True
        interval = t_ns - last
        if self._usual_ns and interval > max(4 * self._usual_ns, 250_000_000):
            self._draining_until_ns = t_ns + 5 * NS_PER_S
            return False  # the first one after a pause is the oldest of the queue
        if t_ns < self._draining_until_ns:
            if interval < 0.4 * self._usual_ns:
                return False
            self._draining_until_ns = 0
            return True
        self._usual_ns = interval if not self._usual_ns else 0.9 * self._usual_ns + 0.1 * interval
        return True


class Camera:
    """One camera, kept alive.

    Args:
        options: which, and what to ask of it.
        clock: stamps and waits.
        on_frame: called in the grabbing thread with every wanted picture (RGB).
        on_status: called on every change of state.
        health: when it is stalled, lost, given up.
        opener: what opens it; tests inject fakes.

    """

    def __init__(
        self,
        options: CameraOptions,
        clock: Clock,
        on_frame: Callable[[VideoFrame], None],
        on_status: Callable[[Status], None],
        health: HealthOptions | None = None,
        opener: Opener = open_capture,
    ) -> None:
        self.options = options
        self.wanted_fps = options.wanted_fps
        self.granted: Granted | None = None
        self.health = DeviceHealth("camera", clock, on_status, health or HealthOptions())
        self.stale = 0
        self._clock = clock
        self._on_frame = on_frame
        self._open = opener
        self._backoff = Backoff(self.health.options.backoff_s, self.health.options.backoff_max_s)
        self._generation = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lost_at_ns = 0

    def start(self) -> None:
        """Open and begin to grab.

        Raises:
            SourceError: it can't be opened.

        """
        try:
            capture, self.granted = self._open(self.options)
        except SourceError:
            self.health.to("failed", "can't be opened")
            raise
        self._spawn(capture)

    def watch(self) -> None:
        """One look of the watchdog; call it about ten times a second, from one thread."""
        if self._stop.is_set() or self.health.watch() != "reopen":
            return
        # The thread is stuck in the driver, or fed nothing: leave it to itself and start another.
        self._generation += 1
        self._to_lost(f"no picture for {self.health.age_s:.0f} s")
        self._spawn(None)

    def close(self) -> None:
        """Stop grabbing and release the device; waits up to three seconds for the driver."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=3.0)
        if self.health.state not in ("failed", "ended"):
            self.health.to("ended", "closed")

    def _spawn(self, capture: Any | None) -> None:
        self._thread = threading.Thread(
            target=self._run, args=(self._generation, capture), name=f"camera-{self._generation}", daemon=True
        )
        self._thread.start()

    def _current(self, generation: int) -> bool:
        return generation == self._generation and not self._stop.is_set()

    def _to_lost(self, reason: str) -> None:
        if self.health.state in ("opening", "running", "stalled", "recovering"):
            if self._lost_at_ns == 0:
                self._lost_at_ns = self._clock.now_ns()
            self.health.to("lost", reason)

    def _run(self, generation: int, capture: Any | None) -> None:
        attempt = 0
        while self._current(generation):
            if capture is None:
                if not self._pause(generation, attempt):
                    return
                attempt += 1
                capture = self._reopen(generation)
                if capture is None:
                    continue
            try:
                delivered, reason = self._grab_all(generation, capture)
            finally:
                capture.release()
                capture = None
            if delivered:
                attempt = 0
            if self._current(generation):
                self._to_lost(reason)

    def _pause(self, generation: int, attempt: int) -> bool:
        """Wait before an attempt; False when it is time to leave."""
        give_up = self.health.options.give_up_s
        if give_up is not None and self._clock.now_ns() - self._lost_at_ns > give_up * NS_PER_S:
            self.health.to("failed", f"not back within {give_up:g} s")
            return False
        wait_ns = round(self._backoff.pause_s(attempt) * NS_PER_S)
        self._clock.wait_until(self._clock.now_ns() + wait_ns, self._stop)
        if not self._current(generation):
            return False
        self.health.to("recovering", f"attempt {attempt + 1}")
        return True

    def _reopen(self, generation: int) -> Any | None:
        try:
            capture, granted = self._open(self.options)
        except SourceError as error:
            if self._current(generation):
                self._to_lost(redact(str(error)))
            return None
        if not self._current(generation):
            capture.release()
            return None
        if self.granted is not None and (granted.width, granted.height) != (
            self.granted.width,
            self.granted.height,
        ):
            self.health.say(
                f"came back as {granted.width}x{granted.height}, was {self.granted.width}x{self.granted.height}"
            )
        self.granted = granted
        return capture

    def _grab_all(self, generation: int, capture: Any) -> tuple[bool, str]:
        """Grab until told to stop or the device fails; whether anything came, and why it ended."""
        import cv2

        clock, health = self._clock, self.health
        backlog, frozen = BacklogFilter(), FrozenDetector(self.options.frozen_after_s)
        next_wanted_ns, failures, delivered = 0, 0, False
        shape: tuple[int, ...] | None = None
        while self._current(generation):
            if not capture.grab():
                failures += 1
                if failures >= 3 or not delivered:
                    return delivered, "reading failed (unplugged, or the server is gone)"
                clock.wait_until(clock.now_ns() + 10_000_000, self._stop)
                continue
            failures = 0
            t_ns = clock.now_ns()
            if not self._current(generation):
                break
            if not backlog.fresh(t_ns):
                self.stale += 1
                continue
            if t_ns < next_wanted_ns:
                health.data(t_ns)
                continue
            ok, image = capture.retrieve()
            if not ok or image is None or image.size == 0:
                continue  # not data: the watchdog goes on counting
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB)
            if not self._current(generation):
                break
            first, delivered = not delivered, True
            if first or health.state != "running":
                health.data(t_ns, f"{image.shape[1]}x{image.shape[0]}")
            health.data(t_ns)
            if shape is not None and image.shape != shape:
                health.say(f"picture is now {image.shape[1]}x{image.shape[0]}, was {shape[1]}x{shape[0]}")
            shape = image.shape
            note = frozen.look(t_ns, image)
            if note is not None:
                health.say(note)
            self._lost_at_ns = 0
            self._on_frame(VideoFrame(t_ns, image))
            # Never more than half of the time in decoding: grabbing comes first.
            cost_ns = clock.now_ns() - t_ns
            next_wanted_ns = t_ns + max(round(0.7 * NS_PER_S / self.wanted_fps), 2 * cost_ns)
        return delivered, "closed"


class FrozenDetector:
    """Says so when the same picture comes again and again, and when it moves again. Pure."""

    def __init__(self, after_s: float) -> None:
        self.after_ns = round(after_s * NS_PER_S)
        self._mark: int | None = None
        self._since_ns = 0
        self._said = False

    def look(self, t_ns: int, image: Any) -> str | None:
        """A line when the picture has frozen or moves again; None otherwise."""
        mark = zlib.crc32(image[::8, ::8].tobytes())
        if mark != self._mark:
            self._mark, self._since_ns = mark, t_ns
            if self._said:
                self._said = False
                return "the picture moves again"
            return None
        if not self._said and t_ns - self._since_ns > self.after_ns:
            self._said = True
            return (
                f"the picture has not changed at all for {self.after_ns / NS_PER_S:.0f} s: "
                "frozen camera or covered lens?"
            )
        return None
