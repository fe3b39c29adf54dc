"""From segments to answers: features, window, head, decoder. No thread, no clock, no device.

With a hop below one second the segments (still of one second) overlap: every phase of the grid has a window
of its own, and only the looks on whole seconds reach the decoder; the others refresh the provisional answer.
With a hop of n seconds features are made every second and the head looks every n-th.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...model.runtime.base import Engine
from ..core.clock import NS_PER_S
from ..core.messages import ClosedSegment, Scores, Segment, SelectedFrame
from ..events import Decoder, DecoderStep
from .features import FeatureBuilder
from .keyframes import REST_NS, KeyFrames
from .window import Calibrate, Window, softmax

if TYPE_CHECKING:  # most streams know no taught class
    from ...model.teach.judge import Taught


@dataclass(frozen=True)
class Judgement:
    """One answer: the number of its hop, what was looked at, what was seen in it, and what follows."""

    hop: int
    segment: Segment
    scores: Scores
    label: int
    confidence: float
    step: DecoderStep


class Judge:
    """Takes what the cutter cuts, in order; gives an answer for every hop.

    Args:
        engine: the networks.
        decoder: fuses the looks; one for a stream.
        hop_s: seconds between answers: 0.25, 0.5 or a whole number.
        calibrate: logits → probabilities.
        by_change: compute the pictures that show something new; False = every one.
        sparing: and fewer of those where two in a row said the same.
        taught: classes that the user taught; they stand before *background* in the decoder's labels.

    """

    def __init__(
        self,
        engine: Engine,
        decoder: Decoder,
        hop_s: float = 1.0,
        calibrate: Calibrate = softmax,
        *,
        by_change: bool = False,
        sparing: bool = False,
        taught: Taught | None = None,
    ) -> None:
        self.decoder = decoder
        self._engine = engine
        self._phases, self._stride = max(1, round(1 / hop_s)), max(1, round(hop_s))
        self._taught = taught
        known = len(taught.names) if taught is not None else 0
        self._windows = [Window(engine, calibrate, known) for _ in range(self._phases)]
        self._builders: dict[int, FeatureBuilder] = {}
        self._keys = KeyFrames(engine, rest_ns=REST_NS * sparing) if by_change else None
        self._unlooked: Segment | None = None

    def add(self, frame: SelectedFrame) -> None:
        """A picture is part of its segment: the networks may start on it."""
        self._builder(frame.key).add(frame.image, frame.t_ns)

    def close(self, closed: ClosedSegment, *, thin: bool = False) -> Judgement | None:
        """A segment is complete.

        Args:
            closed: the segment.
            thin: look at a few of the pictures left only, the machine is behind.

        Returns:
            the answer; None between the hops of several seconds.

        """
        key, segment = closed.key, closed.segment
        builder = self._builder(key)
        if thin:
            segment = builder.thin(segment)
        features = builder.finish(segment)
        if self._taught is not None:
            frames = segment.frames if segment.video else None
            sound = segment.audio if segment.sound else None
            features = replace(features, taught=self._taught.judge(frames, sound))
        # Builders of skipped segments go, too.
        self._builders = {k: builder for k, builder in self._builders.items() if k > key}
        phase = key % self._phases
        self._windows[phase].push(features)
        if key % self._stride:
            self._unlooked = segment
            return None
        self._unlooked = None
        return self._look(phase, key // self._stride, segment)

    def last_look(self) -> Judgement | None:
        """With a hop of several seconds the last ones of a stream would never be looked at."""
        if self._unlooked is None:
            return None
        segment, self._unlooked = self._unlooked, None
        return self._look(0, segment.index // self._stride + 1, segment)

    def _builder(self, key: int) -> FeatureBuilder:
        if key not in self._builders:
            self._builders[key] = FeatureBuilder(self._engine, self._keys)
        return self._builders[key]

    def _look(self, phase: int, hop: int, segment: Segment) -> Judgement:
        scores = self._windows[phase].look(hop)
        if phase == 0:
            step = self.decoder.push(scores, segment.end_ns / NS_PER_S if segment.partial else None)
            label, confidence = self.decoder.provisional()
        else:
            step = DecoderStep()
            label = int(scores.probabilities[-1].argmax())
            confidence = float(scores.probabilities[-1][label])
        return Judgement(hop, segment, scores, label, confidence, step)
