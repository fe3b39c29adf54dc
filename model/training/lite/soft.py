"""What is heard weakly, for long or for a moment, and what falls silent: changes to evidence, in place.

Evidence is logarithmic, so that a share of the way from nothing's evidence to an event's is what the event is
at a distance: its scores fall by a factor. Weak evidence that lasts is an event, a moment of it is none, and
a second without it among seconds that hold it is a pause. AVE's annotators write down one span of seconds a
video (`Annotations.txt`: 4,143 of them, never two of one event in a video), and so no pauses; here a second
in which nothing is heard is background, as it is for who labels second by second.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...labels import BACKGROUND

_LEFT: Final = (0.35, 0.8)
"""Share of the way from nothing to the event."""
_IN_PAUSES: Final = (0.0, 0.35)
"""The same in a pause: rooms ring on."""
_BRIEF: Final = 3
"""Seconds, at most, of an event that is heard weakly for a moment."""


def soften(audio: NDArray[np.float32], nothing: NDArray[np.floating], rng: np.random.Generator) -> None:
    """The event is as far away in every second: [10, A], and a take of nothing, [10, A]."""
    audio[:] = _between(nothing, audio, rng.uniform(*_LEFT))


def flicker(
    audio: NDArray[np.float32],
    event: NDArray[np.floating],
    audible: NDArray[np.bool_],
    rng: np.random.Generator,
) -> None:
    """Where nothing is heard, [10, A], an event weakly for one to three seconds.

    Args:
        audio: a take of nothing.
        event: one of the event, [10, A].
        audible: in which of its seconds that is heard, [10].
        rng: draws which, and how weakly.

    """
    heard = np.flatnonzero(audible)
    if not heard.size:
        return
    seconds = rng.choice(len(audio), size=rng.integers(1, _BRIEF + 1), replace=False)
    audio[seconds] = _between(audio[seconds], event[rng.choice(heard, seconds.size)], rng.uniform(*_LEFT))


def pause(
    audio: NDArray[np.float32],
    label: NDArray[np.int64],
    nothing: NDArray[np.floating],
    rng: np.random.Generator,
) -> None:
    """An event that goes on stops for a second or two: [10, A], [10], a take of nothing [10, A]."""
    named = label != BACKGROUND
    within = named & np.roll(named, 1) & np.roll(named, -1)
    within[[0, -1]] = False
    if not within.any():
        return
    first = int(rng.choice(np.flatnonzero(within)))
    last = first + 2 if within[first + 1] and rng.random() < 0.5 else first + 1
    span = slice(first, last)
    audio[span] = _between(nothing[span], audio[span], rng.uniform(*_IN_PAUSES))
    label[span] = BACKGROUND


def _between(nothing: NDArray[np.floating], event: NDArray[np.floating], share: float) -> NDArray[np.float32]:
    """So far on the way from one to the other."""
    mixed: NDArray[np.float32] = (nothing + (event - nothing) * share).astype(np.float32)
    return mixed
