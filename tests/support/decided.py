"""What the decoder makes of looks under a rule from logits to probabilities: events and their worth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from avel_live.model.labels import BACKGROUND
from avel_live.realtime.core.messages import Scores
from avel_live.realtime.events import Decoder, DecoderConfig
from avel_live.realtime.recordings.labelled import Clip
from avel_live.realtime.stream.window import Calibrate

Span = tuple[int, int, int]
"""Label, first second, the second after the last."""


@dataclass(frozen=True)
class Worth:
    """Of labelled seconds, %: events found in event seconds; events that hold no second of their class."""

    found: float
    events: int
    false: int


def spans(scores: Iterable[Scores], calibrate: Calibrate, config: DecoderConfig | None = None) -> list[Span]:
    """Events that were not taken back."""
    decoder = Decoder(config)
    records = []
    for look in scores:
        probabilities = calibrate(look.logits, len(look.logits))
        records += decoder.push(replace(look, probabilities=probabilities)).events
    records += decoder.finish().events
    return [
        (e.label, round(e.start_s), round(e.end_s))
        for e in records
        if e.kind == "end" and e.end_s is not None
    ]


def worth(clips: Sequence[Clip], calibrate: Calibrate, config: DecoderConfig | None = None) -> Worth:
    """Over whole clips."""
    found = total = false = events = 0
    for clip in clips:
        said = np.full(len(clip.targets), BACKGROUND)
        for label, start, end in spans(clip.scores, calibrate, config):
            said[start:end] = label
            events += 1
            false += not (clip.targets[start:end] == label).any()
        true = (clip.targets != BACKGROUND) & (clip.targets >= 0)
        total += int(true.sum())
        found += int((said == clip.targets)[true].sum())
    return Worth(100 * found / max(1, total), events, false)
