"""A microphone that is watched: the callback copies, a thread drains, the watchdog looks at the age.

The callback writes into a ring that was allocated beforehand: no lock, no allocation of arrays, no
PortAudio call. Losing a device raises nothing in PortAudio: callbacks just stop, so the age of the last
data decides, helped by `active` and the `finished` callback, which come sooner where they come at all.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..clock import NS_PER_S, Clock
from ..errors import SourceError
from ..messages import AudioBlock, Status
from . import portaudio
from .health import Backoff, DeviceHealth, HealthOptions
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

    def start(self) -> None: ...
    def close(self, ignore_errors: bool = True) -> None: ...


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream that was opened but not started, and what it turned out to be."""

    stream: InputStream
    device: portaudio.InputDevice
    rate: int
    channels: int


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
    with portaudio.lock():
        devices = portaudio.input_devices()
        device = None
        if known_name is not None and options.spec.isdigit():
            device = next((d for d in devices if d.name == known_name), None)
        device = device or portaudio.find_device(options.spec, devices)
        channels = device.channels if device.channels <= 8 else 2
        if options.channel is not None:
            if options.channel > device.channels:
                raise SourceError(
                    f"microphone {device.name}: channel {options.channel} does not exist, it has {device.channels}"
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
    return Opened(stream, device, rate, channels)


class Microphone:
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
        self.options = options
        self.opened: Opened | None = None
        self.health = DeviceHealth("microphone", clock, on_status, health or HealthOptions())
        self.overflows = 0
        self.dropped = 0
        self._clock = clock
        self._on_block = on_block
        self._open = opener
        self._rescan = rescan
        self._backoff = Backoff(self.health.options.backoff_s, self.health.options.backoff_max_s)
        self._generation = 0
        self._epoch = -1
        self._stop = threading.Event()
        self._lost_at_ns = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open and begin to listen.

        Raises:
            SourceError: it can't be opened.

        """
        try:
            session = self._session()
        except SourceError:
            self.health.to("failed", "can't be opened")
            raise
        self._spawn(session)

    def watch(self) -> None:
        """One look of the watchdog; call it about ten times a second, from one thread."""
        if self._stop.is_set() or self.health.watch() != "reopen":
            return
        self._generation += 1  # the old thread closes its stream, if the driver lets it
        self._to_lost(f"no sound for {self.health.age_s:.0f} s")
        self._spawn(None)

    def close(self) -> None:
        """Stop and release the device; waits up to three seconds for the driver."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=3.0)
        if self.health.state not in ("failed", "ended"):
            self.health.to("ended", "closed")

    def _session(self) -> _Session:
        known = self.opened.device.name if self.opened is not None else None
        session = _Session(self._clock, self.options)
        opened = self._open(self.options, session.callback, session.finished.set, known)
        session.attach(opened)
        try:
            opened.stream.start()
        except Exception as error:
            session.close()
            raise SourceError(f"microphone {opened.device.name} does not start: {error}") from error
        self._revalidate(opened)
        self._epoch += 1
        session.epoch = self._epoch
        return session

    def _revalidate(self, opened: Opened) -> None:
        before, self.opened = self.opened, opened
        if before is not None and (before.rate, before.device.name) != (opened.rate, opened.device.name):
            self.health.say(
                f"came back as {opened.device.name} at {opened.rate} Hz, was {before.device.name} at {before.rate} Hz"
            )
        monitor = portaudio.looks_like_monitor(opened.device)
        if monitor is not None and (before is None or before.device.name != opened.device.name):
            self.health.say(
                f"{monitor} is a monitor: it records what this machine plays, not a microphone; "
                "choose another with --mic (`avel devices`)"
            )

    def _spawn(self, session: _Session | None) -> None:
        self._thread = threading.Thread(
            target=self._run, args=(self._generation, session), name=f"mic-{self._generation}", daemon=True
        )
        self._thread.start()

    def _current(self, generation: int) -> bool:
        return generation == self._generation and not self._stop.is_set()

    def _to_lost(self, reason: str) -> None:
        if self.health.state in ("opening", "running", "stalled", "recovering"):
            if self._lost_at_ns == 0:
                self._lost_at_ns = self._clock.now_ns()
            self.health.to("lost", reason)

    def _run(self, generation: int, session: _Session | None) -> None:
        attempt = 0
        while self._current(generation):
            if session is None:
                if not self._pause(generation, attempt):
                    return
                attempt += 1
                session = self._reopen(generation)
                if session is None:
                    continue
            delivered, reason = self._drain_all(generation, session)
            session.close()
            session = None
            if delivered:
                attempt = 0
            if self._current(generation):
                self._to_lost(reason)
        if session is not None:
            session.close()

    def _pause(self, generation: int, attempt: int) -> bool:
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

    def _reopen(self, generation: int) -> _Session | None:
        try:
            self._rescan()
            session = self._session()
        except SourceError as error:
            if self._current(generation):
                self._to_lost(str(error))
            return None
        if not self._current(generation):
            session.close()
            return None
        return session

    def _drain_all(self, generation: int, session: _Session) -> tuple[bool, str]:
        """Empty the ring until told to stop or the stream ends; whether anything came, and why it ended."""
        silence = SilenceDetector(session.rate, self.options.silent_after_s)
        delivered = False
        while self._current(generation):
            over = session.finished.is_set()  # before draining: what came until then is still delivered
            for block in session.drain():
                if not self._current(generation):
                    return delivered, "closed"
                if not delivered:
                    delivered = True
                    self._lost_at_ns = 0
                    self.health.data(block.t_ns, f"{session.name} at {session.rate} Hz")
                self.health.data(block.t_ns)
                self.overflows += block.overflow
                note = silence.look(block.samples)
                if note is not None:
                    self.health.say(note)
                self._on_block(block)
            self.dropped = session.ring.dropped
            if over or not session.active:
                return delivered, "the stream ended (unplugged, or the sound server is gone)"
            self._clock.wait_until(self._clock.now_ns() + round(self.options.drain_s * NS_PER_S), self._stop)
        return delivered, "closed"


class _Session:
    """One opening of the stream: its callback, its ring, its flags."""

    def __init__(self, clock: Clock, options: MicOptions) -> None:
        self.epoch = 0
        self.rate = 0
        self.name = ""
        self.finished = threading.Event()
        self.ring: PcmRing
        self._clock = clock
        self._channel = options.channel
        self._opened: Opened | None = None
        self._ready = False
        self._closed = False

    def attach(self, opened: Opened) -> None:
        self.rate, self.name = opened.rate, opened.device.name
        self.ring = PcmRing(capacity=4 * opened.rate, channels=opened.channels)
        self._opened = opened
        self._ready = True

    @property
    def active(self) -> bool:
        assert self._opened is not None
        try:
            return bool(self._opened.stream.active)
        except Exception:  # PortAudio forgets streams of a server that died
            return False

    def callback(self, data: NDArray[np.float32], frames: int, time_info: Any, flags: Any) -> None:
        """PortAudio's callback: copy, count, nothing else."""
        if self._ready:
            self.ring.write(data, self._clock.now_ns(), bool(flags.input_overflow))

    def drain(self) -> list[AudioBlock]:
        """Everything since the last call, mono."""
        blocks = []
        for first, t_ns, overflow, data in self.ring.read():
            if self._channel is not None:
                mono = np.ascontiguousarray(data[:, self._channel - 1])
            elif data.shape[1] == 1:
                mono = np.ascontiguousarray(data[:, 0])
            else:
                mono = data.mean(axis=1, dtype=np.float32)
            blocks.append(AudioBlock(t_ns, first, self.rate, mono, self.epoch, overflow))
        return blocks

    def close(self) -> None:
        if self._opened is None or self._closed:
            return
        self._closed = True
        with contextlib.suppress(Exception):
            # abort() rather than stop(): stop waits for buffers that a dead server never fills.
            abort = getattr(self._opened.stream, "abort", None)
            if abort is not None:
                abort(ignore_errors=True)
        with contextlib.suppress(Exception):
            self._opened.stream.close(ignore_errors=True)
        portaudio.closed()


class SilenceDetector:
    """Says so when only digital zeros come, and when sound comes back. Pure."""

    def __init__(self, rate: int, after_s: float) -> None:
        self._limit = round(rate * after_s)
        self._after_s = after_s
        self._zeros = 0
        self._said = False

    def look(self, samples: NDArray[np.float32]) -> str | None:
        """A line when zeros have gone on for too long or have ended; None otherwise."""
        if not samples.any():
            self._zeros += len(samples)
            if not self._said and self._zeros >= self._limit:
                self._said = True
                return (
                    f"only digital zeros for {self._after_s:g} s: muted, switched off, "
                    "or the monitor of a silent output?"
                )
            return None
        self._zeros = 0
        if self._said:
            self._said = False
            return "sound again"
        return None
