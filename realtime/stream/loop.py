"""Wiring: a reader thread cuts the stream, the caller's thread runs the networks and calls the sinks.

    reader   source ──▶ cutter ──▶ mailbox                                (`reader`)
    caller   mailbox ──▶ features ──▶ ring ──▶ head ──▶ decoder ──▶ sinks

`Pipeline.run` owns both: it starts the reader, closes it, and raises what went wrong in it. With a hop
below one second the segments (still of one second) overlap, every phase of the grid has a ring of its
own, and only the looks on whole seconds reach the decoder; the others refresh the provisional answer.
With a hop of n seconds features are made every second and the head looks every n-th.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...model.runtime.base import Engine
from ..clock import NS_PER_S, Clock
from ..errors import SourceError
from ..events import Decoder, DecoderStep
from ..messages import EndOfStream, HopRecord, Segment, Status, StreamEnd, StreamStart
from ..sinks.base import MediaSink, Sink
from ..sources.base import Source
from ..sources.slots import SLOTS
from .cutter import Chosen
from .effort import Effort
from .features import FeatureBuilder
from .latency import Latencies
from .queue import Mailbox, Reports, Stamped
from .reader import Reader
from .window import Calibrate, Localizer, softmax

_TAKE_TIMEOUT_S = 0.2


@dataclass(frozen=True)
class PipelineOptions:
    """How hops are made.

    Attributes:
        hop_s: seconds between answers: 0.25, 0.5 or a whole number.
        frames: pictures per segment; None = 16, fewer while a live stream is too much for the machine.
        duration_s: end a live stream after so long (recordings end themselves).
        paced: whether the source keeps to a speed; the real-time factor of one that does not is taken
            from the wall clock and so includes decoding.

    """

    hop_s: float = 1.0
    frames: int | None = None
    duration_s: float | None = None
    paced: bool = True


class Pipeline:
    """One stream from an open source to the sinks."""

    def __init__(
        self,
        source: Source,
        engine: Engine,
        decoder: Decoder,
        sinks: Sequence[Sink],
        clock: Clock,
        options: PipelineOptions | None = None,
        calibrate: Calibrate = softmax,
        reports: Reports | None = None,
        heartbeat: Callable[[], None] | None = None,
    ) -> None:
        self._heartbeat = heartbeat
        self._options = o = options or PipelineOptions()
        self._source, self._engine, self._decoder = source, engine, decoder
        self._sinks, self._clock = sinks, clock
        self._reports = reports or Reports()
        info = source.info
        self._mailbox = Mailbox(live=info.live)
        media = [sink for sink in sinks if isinstance(sink, MediaSink)]
        self.reader = Reader(source, self._mailbox, media, clock, hop_s=o.hop_s, duration_s=o.duration_s)
        self._phases, self._stride = max(1, round(1 / o.hop_s)), max(1, round(o.hop_s))
        self._localizers = [Localizer(engine, calibrate) for _ in range(self._phases)]
        self._effort = Effort(o.frames or SLOTS, adaptive=info.live and o.frames is None)
        self.reader.slots = self._effort.slots
        self._builders: dict[int, FeatureBuilder] = {}
        self._latencies = Latencies()
        self._stop = threading.Event()
        self._busy_ns = self._end_ns = 0
        self._hops = self._events = self._skips_told = 0
        self._unlooked: Segment | None = None

    def stop(self) -> None:
        """End the stream soon; safe from a signal handler and from any thread."""
        self._stop.set()
        self.reader.stop()

    def run(self, start: StreamStart) -> StreamEnd:
        """Process the whole stream; the source is open already and is closed here.

        Raises:
            SourceError: the source was lost for good; the sinks were told the end.
            OutputError: a sink can't go on.

        """
        began_ns = self._clock.now_ns()
        try:
            for sink in self._sinks:
                sink.start(start)
            self.reader.start()
            last = self._work()
            end = self._summary(last.reason, began_ns)
            for sink in self._sinks:
                sink.end(end)
        finally:
            self.reader.close()
        if last.lost:
            raise SourceError(f"{self._source.info.name}: {last.reason}")
        return end

    def _work(self) -> EndOfStream:
        """Until the stream ends or is stopped."""
        while not self._stop.is_set():
            message = self._mailbox.take(_TAKE_TIMEOUT_S)
            if self._heartbeat is not None:
                self._heartbeat()
            for status in self._reports.take():
                self._tell(replace(status, t_ns=self._end_ns))
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
                self._end_ns = message.t_ns
                self._last_look()
                return message
            else:
                raise message.error
            self._busy_ns += self._clock.now_ns() - before_ns
        return EndOfStream(self._end_ns, "stopped")

    def _builder(self, key: int) -> FeatureBuilder:
        if key not in self._builders:
            self._builders[key] = FeatureBuilder(self._engine)
        return self._builders[key]

    def _segment(self, stamped: Stamped) -> None:
        key, segment = stamped.closed.key, stamped.closed.segment
        builder = self._builder(key)
        if stamped.late and self._effort.adaptive:
            segment = builder.thin(segment)
        features = builder.finish(segment)
        # Builders of skipped segments go, too.
        self._builders = {k: builder for k, builder in self._builders.items() if k > key}
        phase = key % self._phases
        self._localizers[phase].push(features)
        self._end_ns = max(self._end_ns, segment.end_ns)
        if key % self._stride:
            self._unlooked = segment
            return
        self._unlooked = None
        self._hop(phase, key // self._stride, segment, stamped.at_ns)
        self._adapt()

    def _last_look(self) -> None:
        """With a hop of several seconds the last ones would never be looked at."""
        if self._unlooked is not None:
            segment, self._unlooked = self._unlooked, None
            self._hop(0, segment.index // self._stride + 1, segment, self._clock.now_ns())

    def _hop(self, phase: int, hop: int, segment: Segment, closed_ns: int) -> None:
        """Judge the window of a phase and tell everybody."""
        scores = self._localizers[phase].look(hop)
        if phase == 0:
            step = self._decoder.push(scores, segment.end_ns / NS_PER_S if segment.partial else None)
            label, confidence = self._decoder.provisional()
        else:
            step = DecoderStep()
            label = int(scores.probabilities[-1].argmax())
            confidence = float(scores.probabilities[-1][label])
        self._count(step)
        latency_ms = self._latency_ms(segment, closed_ns)
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
            drift_ppm=self._source.drift_ppm,
            frames_per_segment=self._effort.slots,
            settled=step.settled,
            events=step.events,
            audio_level_dbfs=level_dbfs(segment),
        )
        for sink in self._sinks:
            sink.hop(record)

    def _latency_ms(self, segment: Segment, closed_ns: int) -> float:
        """Segment end → now; a recording has no present, so there it counts from when its data was out."""
        stream_ns = self._source.stream_now_ns()
        latency_ns = self._clock.now_ns() - closed_ns if stream_ns is None else stream_ns - segment.end_ns
        return max(0.0, latency_ns / 1e6)

    def _adapt(self) -> None:
        """Fewer pictures when a live stream is too much, more again when there is room; skips are told."""
        if self._mailbox.skipped > self._skips_told:
            count, self._skips_told = self._mailbox.skipped - self._skips_told, self._mailbox.skipped
            many = "1 answer" if count == 1 else f"{count} answers"
            self._tell(Status("machine", "late", f"{many} skipped: the networks take too long", self._end_ns))
        if (slots := self._effort.after_hop(self._busy_ns, self._clock.now_ns())) is not None:
            self.reader.slots = slots
            self._tell(Status("machine", "effort", f"{slots} pictures a second", self._end_ns))

    def _tell(self, status: Status) -> None:
        for sink in self._sinks:
            sink.status(status)

    def _count(self, step: DecoderStep) -> None:
        for event in step.events:
            self._events += (event.kind == "start") - (event.kind == "retract")

    def _summary(self, reason: str, began_ns: int) -> StreamEnd:
        end_s = self._end_ns / NS_PER_S
        step = self._decoder.finish(end_s)
        self._count(step)
        spent_ns = self._busy_ns if self._options.paced else self._clock.now_ns() - began_ns
        return StreamEnd(
            seconds=end_s,
            hops=self._hops,
            skipped=self._mailbox.skipped,
            dropped=self._source.dropped,
            events=self._events,
            real_time_factor=spent_ns / self._end_ns if self._end_ns else 0.0,
            latency_ms=self._latencies.summary(),
            skew_ms=self._source.skew_ms,
            reason=reason,
            last_settled=step.settled,
            last_events=step.events,
        )


def level_dbfs(segment: Segment) -> float:
    """Root-mean-square level of a segment's sound, dB below full scale; -120 is silence."""
    if not segment.sound:
        return -120.0
    rms = float(np.sqrt(np.mean(np.square(segment.audio, dtype=np.float64))))
    return max(-120.0, 20 * float(np.log10(max(rms, 1e-6))))
