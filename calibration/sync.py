"""The camera-microphone offset of a real set-up, from claps or flashes and beeps.

The offset is *camera time minus microphone time*: +80 ms means that the picture of a clap carries a
stamp 80 ms later than its sound, so 80 ms must be taken off the camera's stamps.

Every visible event is an interval (the last frame before it, the first after it), every audible one an
instant with a few milliseconds of doubt. An offset is judged by how many events of either kind it pairs
up, and by how unlikely that many pairs would be by chance: speech, with its four onsets a second, pairs
with anything, and is refused. Within the winner the pairs' intervals are intersected softly; several
events at different phases of the frame clock pin the offset down to a fraction of a frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.errors import AvelError
from .onsets import Kind, SightOnsets, SoundOnsets, claps, flashes, frame_activity, sound_onsets

Floats = NDArray[np.float64]

_STEP_S = 0.0005
_AUDIO_SIGMA_S = 0.003
"""Doubt about the instant of an audible onset, and about stamps."""
_OUTLIER = 0.02
"""Share of pairs allowed to be accidents inside the winner."""
MIN_EVENTS = 3
_CHANCE = 1e-3
"""Highest accepted probability that as many pairs come about by accident anywhere in the range."""
_RIVAL = 0.8
"""Another offset that pairs this share of the winner's weight makes the answer ambiguous."""


class WeakEvidenceError(AvelError, ValueError):
    """Sound and picture do not agree on any offset, or on more than one; the message says what to do."""

    exit_code = 3


@dataclass(frozen=True)
class SyncEstimate:
    """What was found. Times in milliseconds; `low_ms`..`high_ms` holds the offset with 95 % probability."""

    offset_ms: float
    low_ms: float
    high_ms: float
    events: int
    """Pairs of a visible and an audible event that agree."""
    seen: int
    heard: int
    kind: Kind
    chance: float
    """Probability of so many agreeing pairs by accident."""
    frame_ms: float
    """Median distance between frames."""

    @property
    def uncertainty_ms(self) -> float:
        """Half the 95 % interval."""
        return (self.high_ms - self.low_ms) / 2


@dataclass(frozen=True)
class _Candidate:
    offset_s: float
    pairs: list[tuple[int, int]]
    chance: float
    rival_s: float | None


def estimate_sync(
    samples: NDArray[np.float32],
    rate: int,
    frames: Iterable[tuple[float, NDArray[np.uint8]]],
    *,
    audio_start_s: float = 0.0,
    max_offset_s: float = 0.5,
) -> SyncEstimate:
    """Measure the offset between a recording and the pictures taken with it.

    Args:
        samples: [n] mono.
        rate: samples per second.
        frames: instants in seconds on the sound's axis, and pictures [H, W, 3] or [H, W] uint8.
        audio_start_s: instant of the first sample.
        max_offset_s: offsets beyond this are not considered.

    Raises:
        WeakEvidenceError: nothing to pair, too little of it, or more than one offset fits.

    """
    heard = sound_onsets(samples, rate, audio_start_s)
    activity = frame_activity(frames)
    if len(activity.times_s) < 8:
        raise WeakEvidenceError(
            f"sync: only {len(activity.times_s)} pictures came; is the camera covered or lost? Record at "
            "least five seconds"
        )
    frame_s = float(np.median(np.diff(activity.times_s)))
    return match(heard, [flashes(activity), claps(activity)], frame_s, max_offset_s)


def match(
    heard: SoundOnsets, sights: Iterable[SightOnsets], frame_s: float, max_offset_s: float = 0.5
) -> SyncEstimate:
    """Pair audible with visible events; of several kinds of visible events the better one wins.

    Args:
        heard: audible onsets.
        sights: visible ones, by kind; a flash is preferred to the movement that it also looks like.
        frame_s: median distance between frames.
        max_offset_s: offsets beyond this are not considered.

    Raises:
        WeakEvidenceError: see `estimate_sync`.

    """
    many = list(sights)
    seen = max((len(s.low_s) for s in many), default=0)
    if len(heard.times_s) < MIN_EVENTS or seen < MIN_EVENTS:
        short = "heard" if len(heard.times_s) < MIN_EVENTS else "seen"
        count = len(heard.times_s) if short == "heard" else seen
        raise WeakEvidenceError(
            f"sync: {count} claps or flashes were {short}, at least {MIN_EVENTS} are needed; clap five "
            "times, hands in the middle of the picture, a metre from camera and microphone, in a lit room"
        )
    found = [(s, c) for s in many if (c := _best(heard, s, max_offset_s)) is not None]
    clear = [(s, c) for s, c in found if c.chance <= _CHANCE and len(c.pairs) >= MIN_EVENTS]
    if not clear:
        agree = max((len(c.pairs) for _, c in found), default=0)
        raise WeakEvidenceError(
            f"sync: of {len(heard.times_s)} sounds and {seen} visible events only {agree} agree on an "
            "offset, which may be chance; clap at least five times at uneven intervals, hands filling a "
            "third of the picture, without talking or other movement"
        )
    # A lamp going off looks like a movement that stops: where flashes explain as much, they are it.
    most = max(len(c.pairs) for _, c in clear)
    sight, best = min(
        ((s, c) for s, c in clear if len(c.pairs) >= 0.8 * most),
        key=lambda pair: (pair[0].kind != "flash", -len(pair[1].pairs), pair[1].chance),
    )
    if best.rival_s is not None:
        raise WeakEvidenceError(
            f"sync: offsets of {best.offset_s * 1e3:+.0f} and {best.rival_s * 1e3:+.0f} ms fit about equally "
            "well; clap at uneven intervals, or narrow the search with --max-offset"
        )
    mean, low, high = _posterior(heard, sight, best, frame_s)
    return SyncEstimate(
        offset_ms=mean * 1e3,
        low_ms=low * 1e3,
        high_ms=high * 1e3,
        events=len(best.pairs),
        seen=len(sight.low_s),
        heard=len(heard.times_s),
        kind=sight.kind,
        chance=best.chance,
        frame_ms=frame_s * 1e3,
    )


def _best(heard: SoundOnsets, sight: SightOnsets, reach_s: float) -> _Candidate | None:
    """The offset that pairs up the most."""
    if len(sight.low_s) < MIN_EVENTS or len(heard.times_s) < MIN_EVENTS:
        return None
    grid = np.arange(-reach_s, reach_s + _STEP_S / 2, _STEP_S)
    width = float(np.median(sight.high_s - sight.low_s)) + 4 * _AUDIO_SIGMA_S
    # Strength grows without limit (a clean clip has no noise to stand out from); its logarithm does not.
    loud, bright = np.log(heard.strength + 1), np.log(sight.strength + 1)
    loud, bright = loud / loud.mean(), bright / bright.mean()
    votes = np.zeros(len(grid))
    for e in range(len(sight.low_s)):
        # Best partner of this visible event at every offset, so that no event is counted twice.
        own = np.zeros(len(grid))
        near = np.flatnonzero(
            (heard.times_s > sight.low_s[e] - reach_s - 0.1)
            & (heard.times_s < sight.high_s[e] + reach_s + 0.1)
        )
        for a in near:
            inside = _inside(grid, sight.low_s[e] - heard.times_s[a], sight.high_s[e] - heard.times_s[a])
            np.maximum(own, inside * bright[e] * loud[a], out=own)
        votes += own
    top = int(votes.argmax())
    if votes[top] <= 0:
        return None
    far = np.abs(grid - grid[top]) > 2 * width
    rival = int(np.where(far, votes, 0).argmax())
    has_rival = bool(far.any()) and votes[rival] > _RIVAL * votes[top]
    # The middle of the plateau, not its first point.
    plateau = np.flatnonzero((votes > 0.98 * votes[top]) & (np.abs(grid - grid[top]) < width))
    offset = float(grid[plateau].mean())
    pairs = _pairs(heard, sight, offset)
    chance = _by_chance(heard, sight, len(pairs), width, reach_s)
    return _Candidate(offset, pairs, chance, float(grid[rival]) if has_rival else None)


def _inside(offset: Floats, low: float, high: float) -> Floats:
    """1 within [low, high], falling off like the audible onset's doubt."""
    beyond = np.maximum(0.0, np.maximum(low - offset, offset - high))
    out: Floats = np.exp(-0.5 * (beyond / _AUDIO_SIGMA_S) ** 2)
    return out


def _pairs(heard: SoundOnsets, sight: SightOnsets, offset_s: float) -> list[tuple[int, int]]:
    """One partner each: the strongest sound that fits."""
    used: set[int] = set()
    pairs = []
    for e in np.argsort(-sight.strength, kind="stable"):
        low, high = sight.low_s[e] - offset_s, sight.high_s[e] - offset_s
        margin = 2.5 * _AUDIO_SIGMA_S
        fits = [
            int(a)
            for a in np.flatnonzero((heard.times_s >= low - margin) & (heard.times_s <= high + margin))
            if int(a) not in used
        ]
        if fits:
            best = max(fits, key=lambda a: heard.strength[a])
            used.add(best)
            pairs.append((int(e), best))
    return pairs


def _by_chance(heard: SoundOnsets, sight: SightOnsets, pairs: int, width_s: float, reach_s: float) -> float:
    """Upper bound of the probability that unrelated events pair up so often at any offset.

    Unrelated sounds are taken as evenly spread: a visible event finds one in its interval with
    probability q, the number of pairs is binomial, and there are 2·reach / width offsets to try.
    """
    span = max(
        heard.times_s.max(initial=0.0) - heard.times_s.min(initial=0.0),
        sight.high_s.max(initial=0.0) - sight.low_s.min(initial=0.0),
        1.0,
    )
    q = 1.0 - math.exp(-len(heard.times_s) * width_s / span)
    n = len(sight.low_s)
    tail = sum(math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(pairs, n + 1))
    return min(1.0, tail * max(1.0, 2 * reach_s / width_s) * 2)


def _posterior(
    heard: SoundOnsets, sight: SightOnsets, best: _Candidate, frame_s: float
) -> tuple[float, float, float]:
    """Mean and 95 % interval of the offset, given the pairs; a flat prior around the winner."""
    reach = 1.5 * frame_s + 0.02
    grid = np.arange(best.offset_s - reach, best.offset_s + reach, _STEP_S / 2)
    # Frame stamps and the exposure blur what "between two frames" means: each interval gets a soft edge.
    soft = max(_AUDIO_SIGMA_S, 0.1 * frame_s)
    log = np.zeros(len(grid))
    for e, a in best.pairs:
        low, high = sight.low_s[e] - heard.times_s[a], sight.high_s[e] - heard.times_s[a]
        beyond = np.maximum(0.0, np.maximum(low - grid, grid - high))
        log += np.log((1 - _OUTLIER) * np.exp(-0.5 * (beyond / soft) ** 2) + _OUTLIER)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    total = np.cumsum(weight)
    mean = float((grid * weight).sum())
    return mean, float(grid[np.searchsorted(total, 0.025)]), float(grid[np.searchsorted(total, 0.975)])
