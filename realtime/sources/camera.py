"""A camera that is watched: one thread always grabs, the watchdog looks at the age of the last picture.

The grabbing thread stamps right after `grab()` and decodes only what is wanted, so that a slow machine
never makes the driver's queue grow stale (a slow reader of HTTP-MJPEG falls seconds behind).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.clock import NS_PER_S, Clock
from ..core.messages import Status, VideoFrame
from .capture import CameraOptions, CaptureFormat, open_capture
from .detectors import BacklogFilter, FrozenDetector
from .device import WatchedDevice
from .health import HealthOptions

Opener = Callable[[CameraOptions], tuple[Any, CaptureFormat]]


class Camera(WatchedDevice[Any]):
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
        super().__init__("camera", "picture", clock, on_status, health)
        self.options = options
        self.wanted_fps = options.wanted_fps
        self.granted: CaptureFormat | None = None
        self.grabbed = 0
        self.stale = 0
        """Pictures skipped because they had waited in a queue."""
        self._on_frame = on_frame
        self._open = opener

    def _open_session(self) -> Any:
        capture, granted = self._open(self.options)
        before, self.granted = self.granted, granted
        if before is not None and (before.width, before.height) != (granted.width, granted.height):
            self.health.say(
                f"came back as {granted.width}x{granted.height}, was {before.width}x{before.height}"
            )
        return capture

    def _release(self, session: Any) -> None:
        session.release()

    def _work(self, generation: int, session: Any) -> str:
        import cv2

        clock = self._clock
        backlog, frozen = BacklogFilter(), FrozenDetector(self.options.frozen_after_s)
        next_wanted_ns = failures = 0
        shape: tuple[int, ...] | None = None
        while self._current(generation):
            if not session.grab():
                failures += 1
                if failures >= 3 or shape is None:
                    return "reading failed (unplugged, or the server is gone)"
                clock.wait_until(clock.now_ns() + 10_000_000, self._stop)
                continue
            failures = 0
            t_ns = clock.now_ns()
            self.grabbed += 1
            if not backlog.fresh(t_ns):
                self.stale += 1
                continue
            if t_ns < next_wanted_ns:
                continue
            ok, image = session.retrieve()
            if not ok or image is None or image.size == 0:
                continue  # not data: the watchdog goes on counting
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB)
            if not self._delivered(generation, t_ns, f"{image.shape[1]}x{image.shape[0]}"):
                break
            if shape is not None and image.shape != shape:
                self.health.say(f"now {image.shape[1]}x{image.shape[0]}, was {shape[1]}x{shape[0]}")
            shape = image.shape
            note = frozen.look(t_ns, image)
            if note is not None:
                self.health.say(note)
            self._on_frame(VideoFrame(t_ns, image))
            # Never more than half of the time in decoding: grabbing comes first.
            cost_ns = clock.now_ns() - t_ns
            next_wanted_ns = t_ns + max(round(0.7 * NS_PER_S / self.wanted_fps), 2 * cost_ns)
        return "closed"
