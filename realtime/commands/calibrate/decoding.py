"""The decoder's tracker as threshold calibration wants it: settled posteriors in, spans out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ....calibration.thresholds import Decode, Rules
from ....model.spans import Span
from ...events.config import DecoderConfig
from ...events.track import Closed, Second, Tracker
from ...session.calibration import with_rules


def decode_with(config: DecoderConfig) -> Decode:
    """The decoder's tracker over settled posteriors, as threshold calibration wants it."""

    def decode(posteriors: NDArray[np.float32], rules: Rules) -> list[Span]:
        tracker = Tracker(with_rules(config, rules))
        state, step = tracker.initial(), config.segment_s
        ended: list[Closed] = []
        for k, row in enumerate(np.asarray(posteriors, np.float64)):
            state, closed = tracker.step(state, Second(k * step, (k + 1) * step, row))
            ended.extend(closed)
        ended.extend(tracker.finish(state))
        return [Span(c.span.label, c.span.start_s, c.span.end_s) for c in ended if c.kept]

    return decode
