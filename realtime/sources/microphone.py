"""A microphone that is watched: the callback copies, a thread drains, the watchdog looks at the age.

The callback writes into a ring that was allocated beforehand: no lock, no allocation of arrays, no
PortAudio call. Losing a device raises nothing in PortAudio: callbacks just stop, so the age of the last
data decides, helped by `active` and the `finished` callback, which come sooner where they come at all.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.clock import NS_PER_S, Clock
from ..core.errors import SourceError
from ..core.messages import AudioBlock, Status
from . import portaudio
from .detectors import ClippingDetector, NumberGuard, SilenceDetector
from .device import WatchedDevice
from .health import HealthOptions
from .pcmring import PcmRing


@dataclass(frozen=True, slots=True)
class MicOptions:
    """Which microphone, and how to hear it.

    `spec`: `default`, an index, a name or part of one. `channel`: which channel (from 1); None mixes all.
    `rate`: samples per second to open it at; None takes the device's own. `silent_after_s`: digital zeros
    for so long are reported. `drain_s`: how often the ring is emptied.
    """

    spec: str = "default"
    channel: int | None = None
    rate: int | None = None
    silent_after_s: float = 5.0
    drain_s: float = 0.02


class InputStream(Protocol):
    """What we need of `sounddevice.InputStream`."""

    active: bool

    def start(self) -> None:
        """Begin to call back."""

    def abort(self, ignore_errors: bool = True) -> None:
        """Stop at once."""

    def close(self, ignore_errors: bool = True) -> None:
        """Release it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream that was opened but not started, and what it turned out to be."""

    stream: InputStream
    device: portaudio.InputDevice
    rate: int
    channels: int
    closed: Callable[[], None] = lambda: None
    """To be called once the stream has been closed."""


Callback = Callable[[NDArray[np.float32], int, Any, Any], None]
StreamOpener = Callable[[MicOptions, Callback, Callable[[], None], str | None], Opened]


def open_stream(
    options: MicOptions, callback: Callback, finished: Callable[[], None], known_name: str | None
) -> Opened:
    """Open the microphone at its own rate.

    Args:
        options: which one.
        callback: PortAudio's; called with [frames, channels] float32.
        finished: called when the stream ends for whatever reason.
        known_name: the name found the first time; an index may mean another device after a rescan.

    Raises:
        SourceError: none or several match, or it can't be opened.

    """
    sd = portaudio.sounddevice()
    with portaudio.exclusive():
        devices = portaudio.input_devices()
        device = None
        if known_name is not None and options.spec.isdigit():
            device = next((d for d in devices if d.name == known_name), None)
        device = device or portaudio.find_device(options.spec, devices)
        channels = device.channels if device.channels <= 8 else 2
        if options.channel is not None:
            if options.channel > device.channels:
                raise SourceError(
                    f"microphone {device.name}: no channel {options.channel}, it has {device.channels}"
                )
            channels = max(options.channel, min(channels, device.channels))
        # `pulse` and `default` offer dozens of channels that are only copies.
        elif device.channels > 8:
            channels = 2
        rate = options.rate or device.rate
        try:
            stream = sd.InputStream(
                device=device.index,
                samplerate=rate,
                channels=channels,
                dtype="float32",
                blocksize=0,
                latency="high",
                callback=callback,
                finished_callback=finished,
            )
        except (sd.PortAudioError, ValueError) as error:
            text = str(error).splitlines()[0]
            raise SourceError(
                f"microphone {device.name} can't be opened at {rate} Hz: {text}; is another program using it?"
            ) from error
        portaudio.opened()
    return Opened(stream, device, rate, channels, portaudio.closed)


class Microphone(WatchedDevice["_Session"]):
    """One microphone, kept alive.

    Args:
        options: which, and how.
        clock: stamps the callbacks.
        on_block: called in the draining thread with every block.
        on_status: called on every change of state.
        health: when it is stalled, lost, given up.
        opener: what opens it; tests inject fakes.
        rescan: what makes new devices visible before a reopening.

    """

    def __init__(
        self,
        options: MicOptions,
        clock: Clock,
        on_block: Callable[[AudioBlock], None],
        on_status: Callable[[Status], None],
        health: HealthOptions | None = None,
        opener: StreamOpener = open_stream,
        rescan: Callable[[], bool] = portaudio.rescan,
    ) -> None:
        super().__init__("microphone", "sound", clock, on_status, health)
        self.options = options
        self.opened: Opened | None = None
        self.overflows = 0
        self.dropped = 0
        """Sample frames that came faster than the ring was emptied."""
        self._on_block = on_block
        self._open = opener
        self._rescan = rescan
        self._epoch = -1

    def _open_session(self) -> _Session:
        before = self.opened
        if before is not None:
            self._rescan()
        session = _Session(self._clock, self.options)
        known = before.device.name if before is not None else None
        opened = self._open(self.options, session.callback, session.finished.set, known)
        session.attach(opened, self._epoch + 1)
        try:
            opened.stream.start()
        except Exception as error:
            session.close()
            raise SourceError(f"microphone {opened.device.name} does not start: {error}") from error
        self._epoch += 1
        self.opened = opened
        self._remark(before, opened)
        return session

    def _remark(self, before: Opened | None, now: Opened) -> None:
        """Say what is remarkable about a device just opened."""
        device = now.device
        if before is not None and (before.rate, before.device.name) != (now.rate, device.name):
            self.health.say(
                f"came back as {device.name} at {now.rate} Hz, was {before.device.name} at {before.rate} Hz"
            )
        if before is not None and before.device.name == device.name:
            return
        monitor = portaudio.looks_like_monitor(device)
        if monitor is not None:
            self.health.say(
                f"{monitor} is a monitor: it records what this machine plays, not a microphone; "
                "choose another with --mic (`avel devices`)"
            )

    def _release(self, session: _Session) -> None:
        session.close()

    def _work(self, generation: int, session: _Session) -> str:
        silence = SilenceDetector(session.rate, self.options.silent_after_s)
        clipping, guard = ClippingDetector(session.rate), NumberGuard()
        note = f"{session.name} at {session.rate} Hz"
        while self._current(generation):
            over = session.ended  # looked at before draining: what came until then is still delivered
            for block in session.drain():
                if not self._delivered(generation, block.t_ns, note):
                    return "closed"
                self.overflows += block.overflow
                samples, damage = guard.clean(block.samples)
                for line in (damage, silence.look(samples), clipping.look(samples)):
                    if line is not None:
                        self.health.say(line)
                self._on_block(replace(block, samples=samples))
            self.dropped += session.take_dropped()
            if over:
                return "the stream ended (unplugged, or the sound server is gone)"
            self._clock.wait_until(self._clock.now_ns() + round(self.options.drain_s * NS_PER_S), self._stop)
        return "closed"


class _Session:
    """One opening of the stream: its callback, its ring, its flags."""

    def __init__(self, clock: Clock, options: MicOptions) -> None:
        self.finished = threading.Event()
        self.rate = 0
        self.name = ""
        self._clock = clock
        self._channel = options.channel
        self._epoch = 0
        self._ring: PcmRing | None = None
        self._opened: Opened | None = None
        self._dropped_told = 0

    def attach(self, opened: Opened, epoch: int) -> None:
        """The stream is open, not started yet."""
        self.rate, self.name, self._epoch = opened.rate, opened.device.name, epoch
        self._opened = opened
        self._ring = PcmRing(capacity=4 * opened.rate, channels=opened.channels)

    def callback(self, data: NDArray[np.float32], frames: int, time_info: Any, flags: Any) -> None:
        """PortAudio's callback: copy, count, nothing else."""
        if self._ring is not None:
            self._ring.write(data, self._clock.now_ns(), bool(flags.input_overflow))

    @property
    def ended(self) -> bool:
        """Whether PortAudio knows that the stream is over."""
        assert self._opened is not None
        try:
            return self.finished.is_set() or not self._opened.stream.active
        except Exception:  # PortAudio forgets streams of a server that died
            return True

    def take_dropped(self) -> int:
        """Sample frames the ring had no room for since the last call."""
        assert self._ring is not None
        before, self._dropped_told = self._dropped_told, self._ring.dropped
        return self._dropped_told - before

    def drain(self) -> list[AudioBlock]:
        """Everything since the last call, mono."""
        assert self._ring is not None
        blocks = []
        for first, t_ns, overflow, data in self._ring.read():
            if self._channel is not None:
                mono = np.ascontiguousarray(data[:, self._channel - 1])
            elif data.shape[1] == 1:
                mono = np.ascontiguousarray(data[:, 0])
            else:
                mono = data.mean(axis=1, dtype=np.float32)
            blocks.append(AudioBlock(t_ns, first, self.rate, mono, self._epoch, overflow))
        return blocks

    def close(self) -> None:
        """Close the stream; safe to call twice."""
        opened, self._opened = self._opened, None
        if opened is None:
            return
        with contextlib.suppress(Exception):
            # abort, not stop: stopping waits for buffers that a dead server never fills.
            opened.stream.abort(ignore_errors=True)
        with contextlib.suppress(Exception):
            opened.stream.close(ignore_errors=True)
        opened.closed()
