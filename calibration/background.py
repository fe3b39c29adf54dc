"""A room: what it sounds and looks like while nothing happens, and what the network makes of it.

Only numbers are kept: per second a level, a brightness, how much moved, and every class's probability. Five
minutes without a false alarm can't promise less than some twenty an hour, so thresholds for a budget are
*extrapolated*: the log-odds of a class above its 90th percentile are taken as exponentially distributed
(peaks over threshold), and the enter threshold is put where that tail gives the class's share of the budget.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .rates import Rate, poisson_rate
from .thresholds import Decode, Rules

Floats = NDArray[np.float64]

_HIGHEST = 0.999
"""No proposed enter threshold exceeds this: a class that gets so far here had better be ignored."""
MIN_SECONDS = 30


@dataclass(frozen=True)
class QuietSecond:
    """One second of a quiet room: RMS level, mean brightness 0..1, mean |change| 0..1, posterior [C]."""

    level_dbfs: float
    brightness: float
    motion: float
    posterior: NDArray[np.float32]


@dataclass(frozen=True)
class RoomReport:
    """What was measured. Levels in dB of full scale; the arrays are per event class [C − 1]."""

    seconds: int
    noise_dbfs: float
    """Tenth percentile of the level: the noise floor."""
    loud_dbfs: float
    """95th percentile."""
    brightness: float
    motion: float
    false_alarms: Rate
    per_class: NDArray[np.int64]
    highest: Floats
    proposed: Rules
    """The rules in use, with enter thresholds raised where this room needs it."""
    raised: tuple[int, ...]
    hopeless: tuple[int, ...]
    """Classes that no threshold can keep quiet here: to be ignored, or the room to be changed."""

    @property
    def dark(self) -> bool:
        """Too dark to see anything."""
        return self.brightness < 0.04

    @property
    def mute(self) -> bool:
        """Nothing but digital silence."""
        return self.loud_dbfs < -90


def measure_room(
    seconds: Iterable[QuietSecond],
    rules: Rules,
    decode: Decode,
    *,
    max_per_hour: float = 1.0,
    segment_s: float = 1.0,
) -> RoomReport:
    """Judge a quiet room.

    Args:
        seconds: as they come; at least 30.
        rules: the thresholds in use.
        decode: the decoder that uses them.
        max_per_hour: false alarms that the proposal aims at, all classes together.
        segment_s: length of a second.

    Raises:
        ValueError: too little was measured.

    """
    many = list(seconds)
    if len(many) < MIN_SECONDS:
        raise ValueError(f"expected at least {MIN_SECONDS} seconds of quiet, got {len(many)}")
    posteriors = np.stack([s.posterior for s in many])
    levels = np.array([s.level_dbfs for s in many])
    classes = len(rules.enter)
    counts = np.zeros(classes, np.int64)
    for span in decode(posteriors, rules):
        counts[span.label] += 1
    hours = len(many) * segment_s / 3600
    share = max_per_hour / classes  # alike for all: five minutes tell too little to share it better
    needed = np.array([tail_threshold(posteriors[:, c], share, segment_s) for c in range(classes)])
    # Where nothing fired and the tail stays low, the threshold in use is left alone.
    wanted = np.where(counts > 0, np.maximum(needed, posteriors[:, :classes].max(axis=0)), needed)
    hopeless = tuple(int(c) for c in np.flatnonzero(wanted > _HIGHEST))
    enter = np.maximum(rules.enter, np.minimum(wanted, _HIGHEST))
    ratio = rules.leave / np.maximum(rules.enter, 1e-9)
    return RoomReport(
        seconds=len(many),
        noise_dbfs=float(np.quantile(levels, 0.1)),
        loud_dbfs=float(np.quantile(levels, 0.95)),
        brightness=float(np.median([s.brightness for s in many])),
        motion=float(np.median([s.motion for s in many])),
        false_alarms=poisson_rate(int(counts.sum()), hours),
        per_class=counts,
        highest=posteriors[:, :classes].max(axis=0).astype(np.float64),
        proposed=replace(rules, enter=enter, leave=enter * ratio),
        raised=tuple(int(c) for c in np.flatnonzero(enter > rules.enter + 1e-6)),
        hopeless=hopeless,
    )


def tail_threshold(posterior: NDArray[np.float32], max_per_hour: float, segment_s: float = 1.0) -> float:
    """The probability that a class exceeds `max_per_hour` times an hour, by an exponential tail.

    The tail is that of the log-odds above their 90th percentile, its mean raised by one standard error:
    what is extrapolated should be cautious. Neighbouring seconds count as separate, which errs the same way.
    """
    p = np.clip(np.asarray(posterior, np.float64), 1e-9, 1 - 1e-9)
    odds = np.log(p / (1 - p))
    start = float(np.quantile(odds, 0.9))
    over = odds[odds > start] - start
    if not len(over):
        return float(p.max())
    mean = float(over.mean()) * (1 + 1 / np.sqrt(len(over)))
    per_hour = len(over) / (len(odds) * segment_s) * 3600
    at = start + mean * np.log(max(1.0, per_hour / max_per_hour))
    return float(1 / (1 + np.exp(-at)))
