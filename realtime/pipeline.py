"""Wiring: a reader thread cuts the stream, the caller's thread runs the networks and calls the sinks.

    reader   source ──▶ cutter ──▶ mailbox
    caller   mailbox ──▶ features ──▶ ring ──▶ head ──▶ decoder ──▶ sinks

`Pipeline.run` owns both: it starts the reader, joins it, and raises what went wrong in it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..model.runtime.base import Engine
from .clock import NS_PER_S, Clock
from .cutter import Chosen, Closed, Cutter
from .effort import Effort
from .errors import SourceError
from .events import Decoder, DecoderStep
from .features import FeatureBuilder
from .latency import Latencies
from .localizer import Calibrate, Localizer, softmax
from .mailbox import Failed, Mailbox, Stamped
from .messages import (
    EndOfStream,
    HopRecord,
    Segment,
    Status,
    StreamEnd,
    StreamStart,
    TimedAudio,
    TimedFrame,
)
from .sinks.base import MediaSink, Sink
from .slots import SLOTS
from .sources.base import Source

_READ_TIMEOUT_S = 0.05
_TAKE_TIMEOUT_S = 0.2
_JOIN_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class PipelineOptions:
    """How hops are made.

    Attributes:
        hop_s: seconds between answers; below 1 the grid of segment starts, above 1 every n-th segment.
        frames: pictures per segment; None = 16, fewer while a live stream is too much for the machine.

    """

    hop_s: float = 1.0
    frames: int | None = None


class Pipeline:
    """One stream from source to sinks."""

    def __init__(
        self,
        source: Source,
        engine: Engine,
        decoder: Decoder,
        sinks: Sequence[Sink],
        clock: Clock,
        options: PipelineOptions | None = None,
        calibrate: Calibrate = softmax,
    ) -> None:
        o = options or PipelineOptions()
        info = source.info
        self._source, self._engine, self._decoder = source, engine, decoder
        self._sinks, self._clock = sinks, clock
        self._media = [sink for sink in sinks if isinstance(sink, MediaSink)]
        self._cutter = Cutter(live=info.live, video=bool(info.video), audio=bool(info.audio), hop_s=o.hop_s)
        self._mailbox = Mailbox(live=info.live)
        self._phases = max(1, round(1 / o.hop_s))
        self._stride = max(1, round(o.hop_s))
        self._localizers = [Localizer(engine, calibrate) for _ in range(self._phases)]
        self._effort = Effort(o.frames or SLOTS, adaptive=info.live and o.frames is None)
        self._cutter.slots = self._effort.slots
        self._builders: dict[int, FeatureBuilder] = {}
        self._latencies = Latencies()
        self._stop = threading.Event()
        self._busy_ns = 0
        self._hops = 0
        self._skips_told = 0
        self._dropped_told = 0
        self._started = self._retracted = 0
        self._unlooked: Segment | None = None
        self._end_s = 0.0

    def stop(self) -> None:
        """End the stream soon; safe from a signal handler or another thread."""
        self._stop.set()

    def run(self, start: StreamStart) -> StreamEnd:
        """Process the whole stream; the source is open already and is closed here.

        Raises:
            SourceError: the source was lost for good.
            OutputError: a sink can't go on.

        """
        reader = threading.Thread(target=self._read, name="reader", daemon=True)
        began_ns = self._clock.now_ns()
        try:
            for sink in self._sinks:
                sink.start(start)
            reader.start()
            reason = self._work()
            end = self._finish(reason, began_ns)
            for sink in self._sinks:
                sink.end(end)
            return end
        finally:
            self._stop.set()
            self._mailbox.close()
            self._source.close()
            if reader.ident is not None:
                reader.join(_JOIN_TIMEOUT_S)

    # Reader thread --------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            while not self._stop.is_set():
                item = self._source.read(_READ_TIMEOUT_S)
                if isinstance(item, EndOfStream):
                    self._forward(self._cutter.finish(item.t_ns))
                    self._mailbox.put(item)
                    return
                if isinstance(item, Status):
                    self._mailbox.put(item)
                elif item is not None:
                    self._take(item)
                now_ns = self._source.stream_now_ns()
                if now_ns is not None:
                    self._forward(self._cutter.advance(now_ns))
        except BaseException as error:
            self._mailbox.put(Failed(error))

    def _take(self, item: TimedFrame | TimedAudio) -> None:
        for sink in self._media:
            sink.media(item)
        dropped = self._source.dropped
        if dropped != self._dropped_told:
            self._cutter.note_dropped(dropped - self._dropped_told)
            self._dropped_told = dropped
        self._forward(self._cutter.push(item))

    def _forward(self, cuts: Sequence[Chosen | Closed]) -> None:
        for cut in cuts:
            self._mailbox.put(cut if isinstance(cut, Chosen) else Stamped(cut, self._clock.now_ns()))

    # Caller's thread ------------------------------------------------------------------------------

    def _work(self) -> str:
        """Until the stream ends or is stopped; says why it ended."""
        while not self._stop.is_set():
            message = self._mailbox.take(_TAKE_TIMEOUT_S)
            if message is None:
                continue
            before_ns = self._clock.now_ns()
            if isinstance(message, Chosen):
                self._builder(message.key).add(message.image)
            elif isinstance(message, Stamped):
                self._segment(message)
            elif isinstance(message, Status):
                self._tell(message)
            elif isinstance(message, EndOfStream):
                self._end_s = message.t_ns / NS_PER_S
                self._last_look()
                if self._source.info.live and message.reason and self._hops == 0:
                    raise SourceError(f"{self._source.info.name}: {message.reason}")
                return message.reason or "end of stream"
            else:
                raise message.error
            self._busy_ns += self._clock.now_ns() - before_ns
        return "stopped"

    def _builder(self, key: int) -> FeatureBuilder:
        return self._builders.setdefault(key, FeatureBuilder(self._engine))

    def _segment(self, stamped: Stamped) -> None:
        key, segment = stamped.closed.key, stamped.closed.segment
        features = self._builder(key).finish(segment)
        self._builders = {k: b for k, b in self._builders.items() if k > key}
        localizer = self._localizers[key % self._phases]
        localizer.push(features)
        self._end_s = max(self._end_s, segment.end_ns / NS_PER_S)
        if key % self._stride:
            self._unlooked = segment
            return
        self._unlooked = None
        self._hop(localizer, key // self._stride, segment, stamped.at_ns, final=key % self._phases == 0)
        self._adapt()

    def _last_look(self) -> None:
        """With a hop of several seconds the last ones would never be looked at."""
        if self._unlooked is not None:
            segment, self._unlooked = self._unlooked, None
            self._hop(self._localizers[0], segment.index // self._stride + 1, segment, None, final=True)

    def _hop(
        self, localizer: Localizer, hop: int, segment: Segment, closed_ns: int | None, *, final: bool
    ) -> None:
        """Judge the window and tell everybody; `final` looks are the ones on whole seconds."""
        scores = localizer.look(hop)
        if final:
            step = self._decoder.push(scores, segment.end_ns / NS_PER_S if segment.partial else None)
            label, confidence = self._decoder.provisional()
        else:
            step = DecoderStep()
            label = int(scores.probabilities[-1].argmax())
            confidence = float(scores.probabilities[-1][label])
        self._count(step)
        now_ns = self._clock.now_ns()
        stream_ns = self._source.stream_now_ns()
        if stream_ns is not None:
            latency_ns = stream_ns - segment.end_ns
        else:
            latency_ns = 0 if closed_ns is None else now_ns - closed_ns
        latency_ms = max(0.0, latency_ns / 1e6)
        self._latencies.add(latency_ms)
        self._hops += 1
        record = HopRecord(
            hop=hop,
            segment=segment,
            scores=scores,
            label=label,
            confidence=confidence,
            latency_ms=latency_ms,
            skipped=self._mailbox.skipped,
            dropped=self._source.dropped,
            skew_ms=self._source.skew_ms,
            frames_per_segment=self._effort.slots,
            settled=tuple(step.settled),
            events=tuple(step.events),
            audio_level_dbfs=level_dbfs(segment),
        )
        for sink in self._sinks:
            sink.hop(record)

    def _adapt(self) -> None:
        """Fewer pictures when a live stream is too much, more again when there is room; skips are told."""
        now_ns = self._clock.now_ns()
        if self._mailbox.skipped > self._skips_told:
            count, self._skips_told = self._mailbox.skipped - self._skips_told, self._mailbox.skipped
            self._tell(Status("machine", "late", f"{count} seconds skipped", round(self._end_s * NS_PER_S)))
        if (slots := self._effort.after_hop(self._busy_ns, now_ns)) is not None:
            self._cutter.slots = slots
            reason = f"{slots} pictures a second"
            self._tell(Status("machine", "effort", reason, round(self._end_s * NS_PER_S)))

    def _tell(self, status: Status) -> None:
        for sink in self._sinks:
            sink.status(status)

    def _count(self, step: DecoderStep) -> None:
        self._started += sum(event.kind == "start" for event in step.events)
        self._retracted += sum(event.kind == "retract" for event in step.events)

    def _finish(self, reason: str, began_ns: int) -> StreamEnd:
        step = self._decoder.finish(self._end_s)
        self._count(step)
        return StreamEnd(
            seconds=self._end_s,
            hops=self._hops,
            skipped=self._mailbox.skipped,
            dropped=self._source.dropped,
            events=self._started - self._retracted,
            real_time_factor=self._busy_ns / NS_PER_S / self._end_s if self._end_s else 0.0,
            latency_ms=self._latencies.summary(),
            skew_ms=self._source.skew_ms,
            reason=reason,
            last_settled=tuple(step.settled),
            last_events=tuple(step.events),
        )


def level_dbfs(segment: Segment) -> float:
    """Root-mean-square level of a segment's sound, dB below full scale; -120 is silence."""
    if not segment.sound:
        return -120.0
    rms = float(np.sqrt(np.mean(np.square(segment.audio, dtype=np.float64))))
    return max(-120.0, 20 * float(np.log10(max(rms, 1e-6))))
