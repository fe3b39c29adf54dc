"""Streams of posteriors with known events, in which every class has its own habit of over-confidence."""

from __future__ import annotations

import numpy as np
from avel_live.calibration.thresholds import Stream
from avel_live.model.spans import Span

CLASSES = 28
ACTIVE = 6
"""Classes that ever happen in these streams."""


def posterior_stream(
    seconds: int, rng: np.random.Generator, *, events: bool = True, alarm_every_s: float = 400.0
) -> Stream:
    """Settled posteriors [seconds, 29] with events of 3–8 s and short bursts of false confidence.

    Class k is believed less the larger k is: its evidence reaches 0.9 for k = 0 and 0.4 for k = 5, while
    bursts of false evidence reach half to nine tenths of that. One threshold can't suit all.
    """
    evidence = rng.normal(0, 0.35, (seconds, CLASSES + 1)) - 5.0
    evidence[:, -1] = 0.0
    truth = []
    at = rng.integers(2, 10)
    while events and at < seconds - 10:
        label, length = int(rng.integers(ACTIVE)), int(rng.integers(3, 9))
        evidence[at : at + length, label] = _logit(peak(label)) + rng.normal(0, 0.45, length)
        truth.append(Span(label, float(at), float(at + length)))
        at += length + int(rng.integers(5, 25))
    for _ in range(rng.poisson(seconds / alarm_every_s * ACTIVE)):
        label, start = int(rng.integers(ACTIVE)), int(rng.integers(0, seconds))
        length = int(rng.integers(2, 7))
        if any(s.start_s - 3 <= start <= s.end_s + 3 for s in truth):
            continue
        part = evidence[start : start + length]
        part[:, label] = _logit(peak(label) * rng.uniform(0.4, 0.85)) + rng.normal(0, 0.3, len(part))
    p = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    return Stream((p / p.sum(axis=1, keepdims=True)).astype(np.float32), tuple(truth))


def peak(label: int) -> float:
    return 0.92 - 0.1 * label


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))
