"""One stream, from an open source to answers: a reader thread cuts, whoever iterates runs the networks.

    reader thread   source ──▶ cutter ──▶ queue                                    (`reader`)
    your thread     queue ──▶ features ──▶ window ──▶ head ──▶ decoder ──▶ Hop      (`judge`)

Iterating a `Stream` gives its hops; `run` hands everything to sinks instead. The stream owns its reader and
its source: it starts the one, closes both, and raises what went wrong in it.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from ...model.level import level_dbfs
from ...model.runtime.base import Engine
from ..core.clock import NS_PER_S, Clock, wall_clock_s
from ..core.errors import SourceError, UsageError
from ..core.messages import (
    ClosedSegment,
    EndOfStream,
    Event,
    Hop,
    Segment,
    SelectedFrame,
    Settled,
    Status,
    StreamEnd,
    StreamStart,
    Totals,
)
from ..events import Decoder, DecoderStep
from ..sinks.base import Sink, wants_media
from ..sources.base import Source
from .behind import Behind
from .budget import LEVELS, Budget, FrameBudget
from .daytime import DayTime
from .judge import Judge, Judgement
from .latency import Latencies
from .missing import what_is_missing
from .queue import SegmentQueue, StatusQueue
from .reader import Reader
from .window import Calibrate, softmax

if TYPE_CHECKING:  # most streams know no taught class
    from ...model.teach.judge import Taught

_TAKE_TIMEOUT_S = 0.2


@dataclass(frozen=True)
class StreamOptions:
    """How hops are made.

    Attributes:
        hop_s: seconds between answers: 0.25, 0.5 or a whole number.
        frames_per_segment: pictures at most; None = 4, fewer while a live stream is too much for the machine.
        by_change: compute those that show something new; False = every one.
        sparing: and fewer of those where two in a row said the same.
        duration_s: end a live stream after so long (recordings end themselves).
        paced: whether the source keeps to a speed; the real-time factor of one that does not is taken
            from the wall clock and so includes decoding.

    """

    hop_s: float = 1.0
    frames_per_segment: int | None = None
    by_change: bool = True
    sparing: bool = False
    duration_s: float | None = None
    paced: bool = True


class Stream:
    """One stream. Iterate it for hops, or `run` it into sinks; once, and within its context.

    Args:
        source: open already; closed with the stream.
        engine: the networks; whoever made them closes them.
        decoder: of this stream.
        start: what every answer is to be read with.
        clock: the one clock.
        options: see there.
        calibrate: logits → probabilities.
        taught: classes that the user taught.
        reports: what outputs and networks have to say.
        heartbeat: called several times a second, also while nothing happens.
        on_close: called once by `close`, at the end of it.
        wall_s: the time of day, Unix seconds.
        budget: how many pictures a second; None watches this stream's own load.

    """

    def __init__(
        self,
        source: Source,
        engine: Engine,
        decoder: Decoder,
        start: StreamStart,
        clock: Clock,
        options: StreamOptions | None = None,
        *,
        calibrate: Calibrate = softmax,
        taught: Taught | None = None,
        reports: StatusQueue | None = None,
        heartbeat: Callable[[], None] = lambda: None,
        on_close: Callable[[], None] = lambda: None,
        wall_s: Callable[[], float] = wall_clock_s,
        budget: Budget | None = None,
    ) -> None:
        self.start = start
        """What runs where, and the names of the labels."""
        self.end: StreamEnd | None = None
        """The totals, and what was settled only by the end; None before it."""
        self.reports = reports or StatusQueue()
        self._options = o = options or StreamOptions()
        self._source, self._clock = source, clock
        self._heartbeat, self._on_close = heartbeat, on_close
        live = source.info.live
        self._queue = SegmentQueue(live=live)
        self._reader = Reader(source, self._queue, clock, hop_s=o.hop_s, duration_s=o.duration_s)
        self._judge = Judge(
            engine, decoder, o.hop_s, calibrate, by_change=o.by_change, sparing=o.sparing, taught=taught
        )
        frames = o.frames_per_segment
        own = FrameBudget(frames or LEVELS[0], adaptive=live and frames is None)
        self._budget: Budget = budget or own
        self._reader.frames_per_segment = self._budget.frames_per_segment
        self._latencies = Latencies()
        self._behind = Behind()
        self._day_time = DayTime(start.wall_clock, wall_s)
        self._stop = threading.Event()
        self._busy_ns = self._end_ns = 0
        self._hops = self._events = 0
        self._begun = self._closed = False
        self._lost = ""

    # What people call -----------------------------------------------------------------------------

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Hop]:
        """Every hop as it is answered; ends with the source.

        Raises:
            SourceError: the source was lost for good; every hop until then was given.
            BackendError: the networks failed again and again.

        """
        for update in self.updates():
            if isinstance(update, Hop):
                yield update
        self._raise_if_lost()

    def events(self, *, final: bool = False) -> Generator[Event, None, None]:
        """Every change in the life of an event: start, update, end, retract.

        Args:
            final: only what is over for good (`end`).

        Raises:
            SourceError: the source was lost for good; what was open was ended.

        """
        for update in self.updates():
            if isinstance(update, Hop):
                yield from (event for event in update.events if event.kind == "end" or not final)
        assert self.end is not None
        yield from (event for event in self.end.last_events if event.kind == "end" or not final)
        self._raise_if_lost()

    def seconds(self) -> Iterator[Settled]:
        """The final answer for every second, in order.

        Raises:
            SourceError: the source was lost for good; every second until then was given.

        """
        for update in self.updates():
            if isinstance(update, Hop):
                yield from update.settled
        assert self.end is not None
        yield from self.end.last_settled
        self._raise_if_lost()

    async def aevents(self, *, final: bool = False) -> AsyncIterator[Event]:
        """As `events`, for asyncio: the networks run in a thread, the event loop stays free."""
        import asyncio  # for those who need it: not at every start

        events = self.events(final=final)
        waiting: asyncio.Task[Event | None] | None = None
        try:
            while True:
                waiting = asyncio.ensure_future(asyncio.to_thread(next, events, None))
                event = await asyncio.shield(waiting)
                waiting = None
                if event is None:
                    return
                yield event
        finally:
            self.stop()
            if waiting is not None:  # cancelled: the thread may be inside the generator, let it come out
                await asyncio.wait([waiting])
            events.close()

    def run(self, *sinks: Sink) -> StreamEnd:
        """Hand everything to sinks until the stream ends, and close the stream; the sinks stay open.

        Raises:
            SourceError: the source was lost for good; the sinks were told the end.
            Exception: whatever a sink raises.

        """
        try:
            self._reader.media = [sink for sink in sinks if wants_media(sink)]
            for sink in sinks:
                sink.start(self.start)
            for update in self.updates():
                for sink in sinks:
                    if isinstance(update, Hop):
                        sink.hop(update)
                    else:
                        sink.status(update)
            assert self.end is not None
            for sink in sinks:
                sink.end(self.end)
        finally:
            self.close()
        self._raise_if_lost()
        return self.end

    def updates(self) -> Iterator[Hop | Status]:
        """Hops, and between them every change of state; afterwards `end` is set."""
        if self._begun:
            raise UsageError("a stream can be read once; open it again")
        self._begun = True
        began_ns = self._clock.now_ns()
        self._reader.start()
        last: EndOfStream | None = None
        try:
            while last is None and not self._stop.is_set():
                message = self._queue.take(_TAKE_TIMEOUT_S)
                self._heartbeat()
                yield from self.reports.take(self._end_ns)
                if (moved := self._day_time.look(self._source.stream_now_ns())) is not None:
                    yield moved
                if message is None:
                    continue
                if isinstance(message, SelectedFrame | ClosedSegment):
                    yield from self._work(message)
                elif isinstance(message, Status):
                    yield message
                elif isinstance(message, EndOfStream):
                    last = message
                    self._end_ns = last.t_ns
                else:
                    raise message.error
            # Also when somebody stopped it: with a hop of several seconds the last ones wait to be looked at.
            if (judgement := self._judge.last_look()) is not None:
                yield self._hop(judgement, self._clock.now_ns())
            totals = self._totals()
            if totals.lost:
                yield Status("stream", "incomplete", what_is_missing(totals.lost), self._end_ns)
            self.end = self._summary(last.reason if last else "stopped", began_ns, totals)
            self._lost = last.reason if last is not None and last.lost else ""
        finally:
            self._reader.close()

    @property
    def closed_to_ns(self) -> int:
        """Stream time up to which the stream is cut, answered or not."""
        return self._reader.closed_to_ns

    @property
    def decoder(self) -> Decoder:
        """What fuses and settles; a reload gives it other thresholds."""
        return self._judge.decoder

    def stop(self) -> None:
        """End the stream soon; safe from a signal handler and from any thread."""
        self._stop.set()
        self._reader.stop()

    def close(self) -> None:
        """Stop, and release the source and what was made for this stream; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self.stop()
        try:
            self._reader.close()
        finally:
            self._on_close()

    # One answer after another ---------------------------------------------------------------------

    def _work(self, message: SelectedFrame | ClosedSegment) -> Iterator[Hop | Status]:
        """What a picture or a segment brings. Only the work counts as busy, not whoever takes the result."""
        before_ns = self._clock.now_ns()
        hop = None
        if isinstance(message, SelectedFrame):
            self._judge.add(message)
        else:
            judgement = self._judge.close(message, thin=message.late and self._budget.adaptive)
            self._end_ns = max(self._end_ns, message.segment.end_ns)
            if judgement is not None:
                hop = self._hop(judgement, message.at_ns)
        self._busy_ns += self._clock.now_ns() - before_ns
        if hop is not None:
            yield hop
            yield from self._adapted()

    def _hop(self, judgement: Judgement, closed_ns: int) -> Hop:
        self._count(judgement.step)
        latency_ms = self._latency_ms(judgement.segment, closed_ns)
        self._latencies.add(latency_ms)
        self._hops += 1
        return Hop(
            hop=judgement.hop,
            segment=judgement.segment,
            scores=judgement.scores,
            label=judgement.label,
            confidence=judgement.confidence,
            latency_ms=latency_ms,
            skipped=self._queue.skipped,
            dropped=self._source.dropped,
            skew_ms=self._source.skew_ms,
            wall_clock=self._day_time.zero_s,
            drift_ppm=self._source.drift_ppm,
            frames_per_segment=self._budget.frames_per_segment,
            settled=judgement.step.settled,
            events=judgement.step.events,
            audio_level_dbfs=level_dbfs(judgement.segment.audio) if judgement.segment.sound else -120.0,
        )

    def _latency_ms(self, segment: Segment, closed_ns: int) -> float:
        """Segment end → now; a recording has no present, so there it counts from when its data was out."""
        stream_ns = self._source.stream_now_ns()
        latency_ns = self._clock.now_ns() - closed_ns if stream_ns is None else stream_ns - segment.end_ns
        return max(0.0, latency_ns / 1e6)

    def _adapted(self) -> Iterator[Status]:
        """What is too much is told, and fewer pictures are looked at; more again when there is room."""
        yield from self._behind.after_hop(self._queue.skipped, self._source.behind_ns, self._end_ns)
        before = self._budget.frames_per_segment
        if (frames := self._budget.after_hop(self._busy_ns, self._clock.now_ns())) is not None:
            self._reader.frames_per_segment = frames
            reason = "1 picture a second" if frames == 1 else f"{frames} pictures a second"
            yield Status("machine", "effort", reason, self._end_ns, "info" if frames > before else "warning")

    def _count(self, step: DecoderStep) -> None:
        for event in step.events:
            self._events += (event.kind == "start") - (event.kind == "retract")

    def _totals(self) -> Totals:
        """The source's account, with what was skipped here because the networks were behind."""
        account = self._source.account
        skipped_ns = round(self._queue.skipped * min(1.0, self._options.hop_s) * NS_PER_S)
        for track in (account.video, account.audio):
            track.came_late(skipped_ns)
        return account.totals()

    def _summary(self, reason: str, began_ns: int, totals: Totals) -> StreamEnd:
        end_s = self._end_ns / NS_PER_S
        step = self._judge.decoder.finish(end_s)
        self._count(step)
        spent_ns = self._busy_ns if self._options.paced else self._clock.now_ns() - began_ns
        return StreamEnd(
            seconds=end_s,
            hops=self._hops,
            skipped=self._queue.skipped,
            dropped=self._source.dropped,
            events=self._events,
            real_time_factor=spent_ns / self._end_ns if self._end_ns else 0.0,
            latency_ms=self._latencies.summary(),
            skew_ms=self._source.skew_ms,
            reason=reason,
            wall_clock=self._day_time.zero_s,
            last_settled=step.settled,
            last_events=step.events,
            totals=totals,
        )

    def _raise_if_lost(self) -> None:
        if self._lost:
            raise SourceError(f"{self._source.info.name}: {self._lost}")
